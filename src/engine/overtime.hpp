// The line that php-fpm's master logs about a request that takes too long.
#pragma once

#include <cstdint>
#include <string>

#include "observe/scoreboard.hpp"

namespace ftm::engine {

// fpm_request_check_timed_out(). `slot` may be nullptr; `age_us` in microseconds. Any thread.
void log_overtime(const std::string& pool, const observe::Slot* slot, std::int64_t age_us, const char* what,
                  const char* then);

}  // namespace ftm::engine
