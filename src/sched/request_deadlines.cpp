#include "sched/request_deadlines.hpp"

#include <algorithm>

namespace ftm::sched {

std::int64_t RequestDeadlines::heartbeat_us(const RequestLimits& limits)
{
    std::int64_t least = 0;
    for (const std::int64_t limit : {limits.terminate_us, limits.slow_us}) {
        if (limit != 0) {
            least = least == 0 ? limit / 3 : std::min(least, limit / 3);
        }
    }
    return std::max(least, kMinHeartbeatUs);
}

RequestDeadlines::Step RequestDeadlines::look(const RequestLimits& limits, const RunningRequest& request,
                                              std::int64_t now_us)
{
    Step step;
    step.next_us = now_us + heartbeat_us(limits);
    if (request.sequence == 0) {
        return step;
    }
    const auto look_at = [&step](std::int64_t when_us) { step.next_us = std::min(step.next_us, when_us); };
    const std::int64_t age = now_us - request.since_us;
    if (terminated_ == request.sequence) {
        step.interrupt = true;
        look_at(now_us + kInsistUs);
        const std::int64_t end = request.since_us + limits.terminate_us + kGraceUs;
        if (now_us < end) {
            look_at(end);
        } else if (cut_ != request.sequence) {
            cut_ = request.sequence;
            step.cut = true;
        }
        return step;
    }
    if (request.stage == RunStage::finished && !limits.track_finished) {
        return step;
    }
    if (limits.slow_us != 0 && request.stage != RunStage::finished && traced_ != request.sequence) {
        if (age >= limits.slow_us && request.stage == RunStage::executing) {
            traced_ = request.sequence;
            step.trace = true;
            step.next_us = now_us + kMinHeartbeatUs; // php-fpm ends no request in the look that traces it
            return step;
        }
        // Not executing although it is time: soon, perhaps.
        look_at(age < limits.slow_us ? request.since_us + limits.slow_us : now_us + kInsistUs);
    }
    if (limits.terminate_us != 0) {
        if (age >= limits.terminate_us) {
            terminated_ = request.sequence;
            step.terminate = step.interrupt = true;
            look_at(now_us + kInsistUs);
        } else {
            look_at(request.since_us + limits.terminate_us);
        }
    }
    return step;
}

}  // namespace ftm::sched
