#include "engine/crash_handler.hpp"

#include <execinfo.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/check.hpp"

namespace ftm::engine {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::size_t kAltStack = 128u << 10;

pid_t engine_pid = -1;
int crash_pipe_fd = -1;
int standby_event_fd = -1;
std::atomic<bool>* wounded_flag = nullptr;
std::atomic<std::uint32_t> parked_may_go{0};

thread_local int context_number = -1;
thread_local CrashReport* report = nullptr;
thread_local void* alt_stack = nullptr;

// Raised by this very thread: by its instruction, or by its abort(). kill(2) from outside is not contained.
bool own_fault(int signal, const siginfo_t& info) noexcept
{
    if (signal == SIGABRT) {
        return info.si_code == SI_TKILL && info.si_pid == ::getpid();
    }
    return info.si_code > 0; // SEGV_MAPERR …, SI_KERNEL
}

void default_action(int signal) noexcept
{
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
}

void on_fault(int signal, siginfo_t* info, void*)
{
    const int saved_errno = errno;
    const bool contained = context_number >= 0 && report != nullptr && ::getpid() == engine_pid; // not a script's pcntl_fork()
    if (!contained || report->signal.load() != 0 || !own_fault(signal, *info)) {
        default_action(signal); // returning faults again, or abort() raises again
        if (info->si_code <= 0) {
            ::raise(signal);
        }
        return;
    }
    sigset_t all;
    ::sigfillset(&all);
    ::sigdelset(&all, SIGKILL);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    report->tid = static_cast<int>(::syscall(SYS_gettid));
    report->signal.store(signal);
    wounded_flag->store(true);
    const CrashNote note{static_cast<std::int32_t>(::getpid()), context_number, signal, report->tid};
    [[maybe_unused]] ssize_t written = ::write(crash_pipe_fd, &note, sizeof note);
    const std::uint64_t count = 1;
    written = ::write(standby_event_fd, &count, sizeof count);
    report->frame_count.store(::backtrace(report->frames, CrashReport::kFrames));
    while (parked_may_go.load() == 0) {
        ::syscall(SYS_futex, &parked_may_go, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
    default_action(signal);
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    errno = saved_errno;
}

}  // namespace

void install_crash_handlers(int crash_pipe, std::atomic<bool>& wounded, int standby_event) noexcept
{
    engine_pid = ::getpid();
    crash_pipe_fd = crash_pipe;
    wounded_flag = &wounded;
    standby_event_fd = standby_event;
    void* warm[1];
    ::backtrace(warm, 1); // loads libgcc's unwinder now: dlopen is not for signal handlers
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigfillset(&action.sa_mask);
    for (const int signal : kSignals) {
        FTM_CHECK(::sigaction(signal, &action, nullptr) == 0);
    }
}

void contain_crashes(int context, CrashReport& r)
{
    alt_stack = ::mmap(nullptr, kAltStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    FTM_CHECK(alt_stack != MAP_FAILED);
    stack_t stack{};
    stack.ss_sp = alt_stack;
    stack.ss_size = kAltStack;
    FTM_CHECK(::sigaltstack(&stack, nullptr) == 0);
    report = &r;
    context_number = context;
}

void stop_containing() noexcept
{
    context_number = -1;
    report = nullptr;
    stack_t stack{};
    stack.ss_flags = SS_DISABLE;
    ::sigaltstack(&stack, nullptr);
    if (alt_stack != nullptr) {
        ::munmap(alt_stack, kAltStack);
        alt_stack = nullptr;
    }
}

void release_parked() noexcept
{
    parked_may_go.store(1);
    ::syscall(SYS_futex, &parked_may_go, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
}

}  // namespace ftm::engine
