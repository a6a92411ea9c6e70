// Getting a context out of what it is doing because its request's time is over: its VM is told, and a signal breaks the
// system call it may sit in. The signal is SIGURG, which everybody ignores by default; one that comes too late does no
// harm.
#pragma once

#include <sys/types.h>

#include "engine/request_watch.hpp"

namespace ftm::engine {

// Engine, before contexts start.
void install_interrupt_handler() noexcept;
// Context thread: from here on, or no more (nullptr), its waits end when `watch` says so.
void make_interruptible(const RequestWatch* watch) noexcept;
// Context thread, before each request.
void begin_interruptible() noexcept;
// Any thread; `tid` is a thread of this process, or was.
void interrupt_thread(pid_t tid) noexcept;

}  // namespace ftm::engine
