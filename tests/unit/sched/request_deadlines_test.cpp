// fpm_request_check_timed_out(), and the two steps of an end.
#include "sched/request_deadlines.hpp"

#include <gtest/gtest.h>

namespace ftm::sched {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kStart = 1000 * kSecond;

RunningRequest request(std::uint64_t sequence = 1, RunStage stage = RunStage::executing, std::int64_t since = kStart)
{
    return {sequence, since, stage};
}

TEST(RequestDeadlines, heartbeat_is_a_third_of_the_least_limit_and_not_below_php_fpm_s_least)
{
    EXPECT_EQ(RequestDeadlines::heartbeat_us({.terminate_us = 30 * kSecond}), 10 * kSecond);
    EXPECT_EQ(RequestDeadlines::heartbeat_us({.terminate_us = 30 * kSecond, .slow_us = 3 * kSecond}), kSecond);
    EXPECT_EQ(RequestDeadlines::heartbeat_us({.slow_us = 1}), 130'000);
}

TEST(RequestDeadlines, an_idle_context_is_looked_at_with_the_heartbeat)
{
    RequestDeadlines deadlines;
    const auto step = deadlines.look({.terminate_us = 3 * kSecond}, {}, kStart);
    EXPECT_FALSE(step.trace || step.terminate || step.interrupt || step.cut);
    EXPECT_EQ(step.next_us, kStart + kSecond);
}

TEST(RequestDeadlines, a_request_is_terminated_when_its_time_is_over_and_not_before)
{
    const RequestLimits limits{.terminate_us = 3 * kSecond};
    RequestDeadlines deadlines;
    auto step = deadlines.look(limits, request(), kStart + 3 * kSecond - 1);
    EXPECT_FALSE(step.terminate);
    EXPECT_EQ(step.next_us, kStart + 3 * kSecond);
    step = deadlines.look(limits, request(), step.next_us);
    EXPECT_TRUE(step.terminate && step.interrupt);
    EXPECT_FALSE(step.cut);
    EXPECT_EQ(step.next_us, kStart + 3 * kSecond + RequestDeadlines::kInsistUs);
}

TEST(RequestDeadlines, it_is_interrupted_again_and_again_and_cut_off_once)
{
    const RequestLimits limits{.terminate_us = kSecond};
    RequestDeadlines deadlines;
    std::int64_t now = kStart + kSecond;
    unsigned interrupts = 0;
    unsigned logged = 0;
    unsigned cuts = 0;
    while (now < kStart + 3 * kSecond) {
        const auto step = deadlines.look(limits, request(), now);
        interrupts += step.interrupt ? 1 : 0;
        logged += step.terminate ? 1 : 0;
        if (step.cut) {
            ++cuts;
            EXPECT_EQ(now, kStart + kSecond + RequestDeadlines::kGraceUs);
        }
        EXPECT_EQ(deadlines.stuck(request()), cuts != 0);
        now = step.next_us;
    }
    EXPECT_EQ(logged, 1u);
    EXPECT_EQ(cuts, 1u);
    EXPECT_GT(interrupts, 30u);
    EXPECT_FALSE(deadlines.stuck(request(2)));
    EXPECT_FALSE(deadlines.stuck({}));
}

TEST(RequestDeadlines, the_next_request_begins_anew)
{
    const RequestLimits limits{.terminate_us = kSecond};
    RequestDeadlines deadlines;
    EXPECT_TRUE(deadlines.look(limits, request(), kStart + kSecond).terminate);
    const auto later = kStart + kSecond + 1;
    const auto step = deadlines.look(limits, request(2, RunStage::executing, later), later);
    EXPECT_FALSE(step.interrupt);
    EXPECT_TRUE(deadlines.look(limits, request(2, RunStage::executing, later), later + kSecond).terminate);
}

TEST(RequestDeadlines, a_finished_request_is_exempt_unless_it_is_tracked)
{
    RequestLimits limits{.terminate_us = kSecond};
    RequestDeadlines deadlines;
    EXPECT_FALSE(deadlines.look(limits, request(1, RunStage::finished), kStart + 9 * kSecond).terminate);
    limits.track_finished = true;
    EXPECT_TRUE(deadlines.look(limits, request(1, RunStage::finished), kStart + 9 * kSecond).terminate);
}

TEST(RequestDeadlines, what_has_been_told_to_end_is_not_forgiven_for_having_finished)
{
    const RequestLimits limits{.terminate_us = kSecond};
    RequestDeadlines deadlines;
    EXPECT_TRUE(deadlines.look(limits, request(), kStart + kSecond).terminate);
    EXPECT_TRUE(deadlines.look(limits, request(1, RunStage::finished), kStart + 2 * kSecond).cut);
}

TEST(RequestDeadlines, a_slow_request_is_traced_once_and_only_while_it_executes)
{
    const RequestLimits limits{.slow_us = kSecond};
    RequestDeadlines deadlines;
    EXPECT_FALSE(deadlines.look(limits, request(1, RunStage::preparing), kStart + kSecond).trace);
    EXPECT_FALSE(deadlines.look(limits, request(), kStart + kSecond - 1).trace);
    EXPECT_TRUE(deadlines.look(limits, request(), kStart + kSecond).trace);
    EXPECT_FALSE(deadlines.look(limits, request(), kStart + 5 * kSecond).trace);
    EXPECT_FALSE(deadlines.look({.slow_us = kSecond, .track_finished = true}, request(2, RunStage::finished), kStart + kSecond).trace);
}

TEST(RequestDeadlines, a_slow_request_is_looked_at_when_it_becomes_slow)
{
    const RequestLimits limits{.slow_us = kSecond};
    RequestDeadlines deadlines;
    EXPECT_EQ(deadlines.look(limits, request(), kStart + kSecond - 1000).next_us, kStart + kSecond);
    EXPECT_EQ(deadlines.look(limits, request(1, RunStage::preparing), kStart + kSecond).next_us,
              kStart + kSecond + RequestDeadlines::kInsistUs);
}

TEST(RequestDeadlines, the_look_that_traces_does_not_terminate)
{
    const RequestLimits limits{.terminate_us = kSecond, .slow_us = kSecond};
    RequestDeadlines deadlines;
    const auto step = deadlines.look(limits, request(), kStart + kSecond);
    EXPECT_TRUE(step.trace);
    EXPECT_FALSE(step.terminate);
    EXPECT_TRUE(deadlines.look(limits, request(), step.next_us).terminate);
}

}  // namespace
}  // namespace ftm::sched
