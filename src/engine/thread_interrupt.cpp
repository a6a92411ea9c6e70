#include "engine/thread_interrupt.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.hpp"
#include "php/context_waits.hpp"

namespace ftm::engine {
namespace {

thread_local const RequestWatch* watched = nullptr;

// Also for the next request of the thread if it comes late: then the watch does not say that this one shall end.
void on_interrupt(int)
{
    if (watched != nullptr && watched->shall_end()) {
        php::give_up_waiting(true);
    }
}

}  // namespace

void install_interrupt_handler() noexcept
{
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_ONSTACK; // no SA_RESTART: the point is EINTR
    FTM_CHECK(::sigaction(SIGURG, &action, nullptr) == 0);
}

void make_interruptible(const RequestWatch* watch) noexcept { watched = watch; }

void begin_interruptible() noexcept { php::give_up_waiting(false); }

void interrupt_thread(pid_t tid) noexcept
{
    if (tid > 0) {
        ::syscall(SYS_tgkill, ::getpid(), tid, SIGURG);
    }
}

}  // namespace ftm::engine
