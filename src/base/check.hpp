// FTM_CHECK: an invariant whose failure means a bug or an impossible environment. Always on; prints and aborts,
// so that the supervisor starts a fresh process (docs/ARCHITECTURE.md, "errors").
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ftm {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) noexcept
{
    std::fprintf(stderr, "php-ftm: check failed: %s (%s:%d), errno %d (%s)\n", expression, file, line, errno,
                 std::strerror(errno));
    std::abort();
}

}  // namespace ftm

#define FTM_CHECK(expression) \
    ((expression) ? static_cast<void>(0) : ::ftm::check_failed(#expression, __FILE__, __LINE__))
