// popen() and pclose() for contexts: libc's own would give the program the process's environment instead of the
// context's, and exec(), system() and shell_exec() of PHP all end here.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#include "php/context_environment.hpp"

namespace {

std::mutex children_mutex;
std::map<FILE*, pid_t>& children()
{
    static auto* map = new std::map<FILE*, pid_t>;  // guarded by children_mutex
    return *map;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) FILE* popen(const char* command, const char* mode)
{
    const bool reads = std::strchr(mode, 'r') != nullptr;
    if (!reads && std::strchr(mode, 'w') == nullptr) {
        errno = EINVAL;
        return nullptr;
    }
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        return nullptr;
    }
    const int ours = reads ? fds[0] : fds[1];
    const int theirs = reads ? fds[1] : fds[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs, reads ? STDOUT_FILENO : STDIN_FILENO);
    const char* argv[] = {"sh", "-c", command, nullptr};
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/bin/sh", &actions, nullptr, const_cast<char* const*>(argv),
                                    ftm::php::context_environ());
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(theirs);
    FILE* stream = error == 0 ? ::fdopen(ours, reads ? "r" : "w") : nullptr;
    if (stream == nullptr) {
        ::close(ours);
        if (error != 0) {
            errno = error;
        }
        return nullptr;
    }
    const std::lock_guard lock(children_mutex);
    children()[stream] = pid;
    return stream;
}

__attribute__((visibility("default"))) int pclose(FILE* stream)
{
    pid_t pid = -1;
    {
        const std::lock_guard lock(children_mutex);
        const auto it = children().find(stream);
        if (it == children().end()) {
            errno = EINVAL;
            return -1;
        }
        pid = it->second;
        children().erase(it);
    }
    std::fclose(stream);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return status;
}

}  // extern "C"

// The executable's link pulls this file in by this name: libc's names alone would be satisfied by libc, or by a
// sanitizer's library.
extern "C" {
extern const char ftm_interpose_popen;
const char ftm_interpose_popen = 1;
}
