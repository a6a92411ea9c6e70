// RULES 12: nothing one request opened reaches a program that another starts. The executable defines the calls that
// make descriptors, so that libphp, its modules and libraries always get close-on-exec ones. dup2() is libc's: what
// proc_open() puts on numbers 0, 1, 2 … is meant to pass.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#define FTM_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

mode_t mode_argument(int flags, va_list args) noexcept
{
    const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; // which contains O_DIRECTORY
    return creates ? va_arg(args, mode_t) : 0;
}

int set_cloexec(int fd) noexcept
{
    if (fd >= 0) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

int open_cloexec(int directory, const char* path, int flags, mode_t mode) noexcept
{
    return static_cast<int>(::syscall(SYS_openat, directory, path, flags | O_CLOEXEC | O_LARGEFILE, mode));
}

std::string with_e(const char* mode)
{
    std::string result = mode;
    const std::size_t end = std::min(result.find(','), result.size()); // then ",ccs=CHARSET"
    if (result.find('e') >= end) {
        result.insert(end, "e");
    }
    return result;
}

}  // namespace

#define FTM_DEFINE_OPEN(name)                                       \
    FTM_EXPORT int name(const char* path, int flags, ...)           \
    {                                                               \
        va_list args;                                               \
        va_start(args, flags);                                      \
        const mode_t mode = mode_argument(flags, args);             \
        va_end(args);                                               \
        return open_cloexec(AT_FDCWD, path, flags, mode);           \
    }
#define FTM_DEFINE_OPENAT(name)                                     \
    FTM_EXPORT int name(int directory, const char* path, int flags, ...) \
    {                                                               \
        va_list args;                                               \
        va_start(args, flags);                                      \
        const mode_t mode = mode_argument(flags, args);             \
        va_end(args);                                               \
        return open_cloexec(directory, path, flags, mode);          \
    }

#undef open
#undef open64
#undef openat
#undef openat64
FTM_DEFINE_OPEN(open)
FTM_DEFINE_OPEN(open64)
FTM_DEFINE_OPENAT(openat)
FTM_DEFINE_OPENAT(openat64)

// _FORTIFY_SOURCE's entry points
FTM_EXPORT int __open_2(const char* path, int flags) { return open_cloexec(AT_FDCWD, path, flags, 0); }
FTM_EXPORT int __open64_2(const char* path, int flags) { return open_cloexec(AT_FDCWD, path, flags, 0); }
FTM_EXPORT int __openat_2(int directory, const char* path, int flags) { return open_cloexec(directory, path, flags, 0); }
FTM_EXPORT int __openat64_2(int directory, const char* path, int flags) { return open_cloexec(directory, path, flags, 0); }

FTM_EXPORT int creat(const char* path, mode_t mode)
{
    return open_cloexec(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

FTM_EXPORT FILE* fopen(const char* path, const char* mode)
{
    static const auto real = reinterpret_cast<FILE* (*)(const char*, const char*)>(::dlsym(RTLD_NEXT, "fopen"));
    return real(path, with_e(mode).c_str());
}

FTM_EXPORT FILE* fopen64(const char* path, const char* mode)
{
    static const auto real = reinterpret_cast<FILE* (*)(const char*, const char*)>(::dlsym(RTLD_NEXT, "fopen64"));
    return real(path, with_e(mode).c_str());
}

FTM_EXPORT int socket(int domain, int type, int protocol) noexcept
{
    return static_cast<int>(::syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol));
}

FTM_EXPORT int socketpair(int domain, int type, int protocol, int fds[2]) noexcept
{
    return static_cast<int>(::syscall(SYS_socketpair, domain, type | SOCK_CLOEXEC, protocol, fds));
}

FTM_EXPORT int accept(int fd, sockaddr* address, socklen_t* size) { return ::accept4(fd, address, size, SOCK_CLOEXEC); }

FTM_EXPORT int pipe(int fds[2]) noexcept { return ::pipe2(fds, O_CLOEXEC); }

FTM_EXPORT int dup(int fd) noexcept { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }

FTM_EXPORT int mkstemp(char* pattern) { return ::mkostemp(pattern, O_CLOEXEC); }
FTM_EXPORT int mkstemp64(char* pattern) { return ::mkostemp64(pattern, O_CLOEXEC); }

FTM_EXPORT FILE* tmpfile()
{
    static const auto real = reinterpret_cast<FILE* (*)()>(::dlsym(RTLD_NEXT, "tmpfile"));
    FILE* file = real();
    if (file != nullptr) {
        set_cloexec(::fileno(file));
    }
    return file;
}

// The executable's link pulls this file in by this name: libc's names alone would be satisfied by libc, or by a
// sanitizer's library.
extern "C" {
extern const char ftm_interpose_cloexec;
const char ftm_interpose_cloexec = 1;
}
