#include "php/context_waits.hpp"

#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace {

thread_local volatile bool has_given_up = false;

long answered(long result) noexcept
{
    if (result < 0 && errno == EINTR && has_given_up) {
        errno = ECANCELED;
    }
    return result;
}

}  // namespace

namespace ftm::php {

void give_up_waiting(bool given_up) noexcept { has_given_up = given_up; }

}  // namespace ftm::php

extern "C" {

extern const char ftm_interpose_waits;
const char ftm_interpose_waits = 1;  // -u pulls this file into the executable

__attribute__((visibility("default"))) int poll(pollfd* fds, nfds_t count, int timeout_ms)
{
    timespec time{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
    return static_cast<int>(answered(::syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? nullptr : &time, nullptr, 0)));
}

__attribute__((visibility("default"))) int select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* left)
{
    timespec time{};
    if (left != nullptr) {
        if (left->tv_sec < 0 || left->tv_usec < 0) {
            errno = EINVAL;
            return -1;
        }
        time = {left->tv_sec + left->tv_usec / 1'000'000, left->tv_usec % 1'000'000 * 1000};
    }
    const long result = ::syscall(SYS_pselect6, count, read, write, except, left != nullptr ? &time : nullptr, nullptr);
    if (left != nullptr) {
        *left = {time.tv_sec, time.tv_nsec / 1000}; // as select(2) of Linux
    }
    return static_cast<int>(answered(result));
}

}
