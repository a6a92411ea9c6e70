// The engine's clock: microseconds of CLOCK_MONOTONIC, as stored in the scoreboard. Any thread; no system call.
#pragma once

#include <chrono>
#include <cstdint>

namespace ftm::engine {

[[nodiscard]] inline std::int64_t now_us() noexcept
{
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace ftm::engine
