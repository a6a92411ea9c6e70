/* Preloaded into a server: libapparmor's two functions on a kernel without AppArmor. FAKE_APPARMOR: a file to which each
 * change of profile appends "PROFILE uid UID threads N"; FAKE_APPARMOR_ERROR: an errno with which it fails instead. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char* file;
static int error;

__attribute__((constructor)) static void prepare(void)
{
    file = getenv("FAKE_APPARMOR") != NULL ? strdup(getenv("FAKE_APPARMOR")) : NULL; /* the title will overwrite it */
    error = getenv("FAKE_APPARMOR_ERROR") != NULL ? atoi(getenv("FAKE_APPARMOR_ERROR")) : 0;
}

static int threads(void)
{
    int count = 0;
    DIR* directory = opendir("/proc/self/task");
    for (struct dirent* entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

int aa_getcon(char** label, char** mode)
{
    (void)mode;
    *label = strdup("confined");
    return 8;
}

int aa_change_profile(const char* profile)
{
    FILE* out = fopen(file, "a");
    fprintf(out, "%s uid %d threads %d\n", profile, (int)getuid(), threads());
    fclose(out);
    errno = error;
    return error != 0 ? -1 : 0;
}
