// The engine's clock: microseconds of CLOCK_MONOTONIC, as stored in the scoreboard, without a system call; and the CPU
// time of the calling thread, which is one. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace ftm::engine {

[[nodiscard]] inline std::int64_t microseconds_of(std::chrono::steady_clock::time_point time) noexcept
{
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

[[nodiscard]] inline std::int64_t now_us() noexcept { return microseconds_of(std::chrono::steady_clock::now()); }

[[nodiscard]] inline std::int64_t thread_cpu_us() noexcept
{
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

}  // namespace ftm::engine
