/* Preloaded into a server: holds back one kind of message between its processes (base/channel.hpp) in the thread that
 * sends it, as a loaded machine may. LATE_KIND: its number; LATE_MS; LATE_MARK: a file that tells it has happened. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static ssize_t (*original)(int, const struct msghdr*, int);
static int kind = -1;
static long milliseconds;
static char* mark;

__attribute__((constructor)) static void prepare(void)
{
    original = (ssize_t (*)(int, const struct msghdr*, int))dlsym(RTLD_NEXT, "sendmsg");
    if (getenv("LATE_KIND") != NULL) {
        kind = atoi(getenv("LATE_KIND"));
        milliseconds = atol(getenv("LATE_MS"));
        mark = strdup(getenv("LATE_MARK")); // the title will overwrite it
    }
}

ssize_t sendmsg(int fd, const struct msghdr* message, int flags)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (kind >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
        message->msg_iovlen > 0 && message->msg_iov[0].iov_len >= 4 &&
        ((const uint16_t*)message->msg_iov[0].iov_base)[1] == kind) {
        const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&time, NULL);
        close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    }
    return original(fd, message, flags);
}
