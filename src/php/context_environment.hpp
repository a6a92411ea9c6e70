// What a php-fpm child had to itself and a thread has not: environment and locale. The executable exports getenv(),
// putenv(), setenv(), unsetenv(), secure_getenv(), setlocale() and gettext's functions, so libphp, loadable modules and
// libraries such as libcurl all see the calling context's own (context_environment.cpp, context_locale.cpp,
// context_gettext.cpp). Threads that are no contexts see the process's.
#pragma once

namespace ftm::php {

// Context thread: from here on this thread has an environment and a locale of its own. Numbers start at 0.
void enter_context(int number) noexcept;
// Between requests: back to the pool's environment and the C locale.
void reset_context_environment() noexcept;
void reset_context_locale() noexcept;    // and what follows
void reset_context_messages() noexcept;  // text domain and its directories

// The calling thread's context, -1 if it is none.
[[nodiscard]] int current_context() noexcept;
// The calling thread's environment, NULL-terminated.
[[nodiscard]] char** context_environ() noexcept;

}  // namespace ftm::php
