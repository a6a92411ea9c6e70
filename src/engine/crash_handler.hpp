// Crash containment, the wounded thread's part (DESIGN 2): a context that faults reports itself and parks; the pool
// host and the standby thread do the rest. Everything here runs in a signal handler: async-signal-safe only.
#pragma once

#include <atomic>
#include <cstdint>

namespace ftm::engine {

// What one context leaves behind when it crashes. Written by its handler before `signal` is, read by others after.
struct CrashReport {
    static constexpr int kFrames = 48;
    std::atomic<int> signal{0};      // 0: has not crashed
    std::atomic<int> frame_count{0}; // filled after the report is out: unwinding may hang
    void* frames[kFrames] = {};
    int tid = 0;
};

// What the handler writes to the crash pipe; the host reads it.
struct CrashNote {
    std::int32_t pid;
    std::int32_t context;
    std::int32_t signal;
    std::int32_t tid;
};

// Engine, before contexts start: handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT on the alternate stack.
// The handler sets `wounded` and writes to `standby_event`, then parks.
void install_crash_handlers(int crash_pipe, std::atomic<bool>& wounded, int standby_event) noexcept;
// Context thread: its faults are contained from here on; makes the alternate stack.
void contain_crashes(int context, CrashReport& report);
void stop_containing() noexcept;
// Lets every parked thread return into its fault with the default action: the process dies as php-fpm's child would.
void release_parked() noexcept;

}  // namespace ftm::engine
