// When a running request is slow, when its time is over, and what happens then: fpm_request_check_timed_out() as a value
// type, one per context. It differs from php-fpm in two ways: it says when to look next, so a limit acts when it is
// reached and not up to a third of it later; and the end comes in two steps, because a thread cannot be killed: the
// context is interrupted again and again, and kGraceUs later its client's connection is cut (RULES 17).
// All times are microseconds of one clock. No I/O; one thread.
#pragma once

#include <cstdint>

namespace ftm::sched {

// FPM's stages, as far as they count here: info and before, Running, and what comes after the script's end or
// fastcgi_finish_request().
enum class RunStage : std::uint32_t { preparing, executing, finished };

struct RequestLimits {
    std::int64_t terminate_us = 0;  // request_terminate_timeout; 0 is off
    std::int64_t slow_us = 0;       // request_slowlog_timeout; 0 is off
    bool track_finished = false;    // request_terminate_timeout_track_finished

    [[nodiscard]] bool any() const { return terminate_us != 0 || slow_us != 0; }
};

struct RunningRequest {
    std::uint64_t sequence = 0;  // different for each request of a context; 0: none is running
    std::int64_t since_us = 0;   // when the context took it
    RunStage stage = RunStage::preparing;
};

class RequestDeadlines {
public:
    static constexpr std::int64_t kGraceUs = 1'000'000;
    static constexpr std::int64_t kInsistUs = 50'000;         // an interrupt may come just before a system call
    static constexpr std::int64_t kMinHeartbeatUs = 130'000;  // FPM_PCTL_MIN_HEARTBEAT

    struct Step {
        bool trace = false;      // it is slow: once per request
        bool terminate = false;  // its time is over: once per request, to be logged
        bool interrupt = false;  // ask the context to end it
        bool cut = false;        // it did not: end it for the client, once per request
        std::int64_t next_us = 0;  // when to look again
    };

    // How often to look when nothing is near: php-fpm's heartbeat.
    [[nodiscard]] static std::int64_t heartbeat_us(const RequestLimits& limits);
    [[nodiscard]] Step look(const RequestLimits& limits, const RunningRequest& request, std::int64_t now_us);
    // The request whose client was cut off and which has not ended since.
    [[nodiscard]] bool stuck(const RunningRequest& request) const
    {
        return request.sequence != 0 && cut_ == request.sequence;
    }

private:
    std::uint64_t traced_ = 0;      // sequences
    std::uint64_t terminated_ = 0;
    std::uint64_t cut_ = 0;
};

}  // namespace ftm::sched
