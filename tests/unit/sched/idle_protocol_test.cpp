// The model test of RULES 4: no interleaving of contexts, standby thread and clients leaves work to nobody.
#include <gtest/gtest.h>

#include "idle_world.hpp"

namespace ftm::sched {
namespace {

using model_test::Config;
using model_test::IdleWorld;

// Every schedule that makes a task wait at most `preemptions` times although it could go on (they may stop by themselves
// as often as they like); FTM_MODEL_PREEMPTIONS overrides that for a longer look.
void check(const Config& config, unsigned preemptions = 3)
{
    model::Limits limits;
    const char* wanted = std::getenv("FTM_MODEL_PREEMPTIONS");
    limits.preemptions = wanted != nullptr ? static_cast<unsigned>(std::atoi(wanted)) : preemptions;
    model::Explorer explorer;
    const model::Outcome outcome = explorer.explore([&] { return std::make_unique<IdleWorld>(config); }, limits);
    EXPECT_EQ(outcome.failure, "");
    EXPECT_TRUE(outcome.complete) << "after " << outcome.runs << " runs";
    std::printf("    %zu runs, %zu states, %zu decisions deep\n", outcome.runs, outcome.states, outcome.depth);
}

constexpr unsigned kAll = ~0u;

TEST(IdleProtocolModel, one_context_takes_what_the_standby_thread_queues)
{
    check({.contexts = 1, .wanted_waiters = 1, .pushes = 2, .stop = true}, kAll);
}

TEST(IdleProtocolModel, more_long_requests_than_contexts)
{
    check({.contexts = 1, .wanted_waiters = 1, .connections = 3, .long_jobs = true, .stop = true}, kAll);
}

TEST(IdleProtocolModel, one_waiter_and_one_cold_context_take_queued_jobs)
{
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 2, .stop = true});
}

TEST(IdleProtocolModel, two_waiters_take_queued_jobs)
{
    check({.contexts = 2, .wanted_waiters = 2, .pushes = 2, .stop = true});
}

TEST(IdleProtocolModel, a_long_job_does_not_hold_up_the_next_with_one_waiter)
{
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 2, .long_jobs = true});
}

TEST(IdleProtocolModel, a_long_job_does_not_hold_up_the_next_with_two_waiters)
{
    check({.contexts = 2, .wanted_waiters = 2, .pushes = 2, .long_jobs = true});
}

TEST(IdleProtocolModel, connections_find_a_waiter_or_the_standby_thread)
{
    check({.contexts = 2, .wanted_waiters = 1, .connections = 2, .long_jobs = true, .stop = true});
}

TEST(IdleProtocolModel, connections_find_two_waiters)
{
    check({.contexts = 2, .wanted_waiters = 2, .connections = 2, .long_jobs = true});
}

TEST(IdleProtocolModel, half_read_requests_keep_a_waiter)
{
    check({.contexts = 2, .wanted_waiters = 1, .connections = 1, .half_read = 1, .long_jobs = true});
}

TEST(IdleProtocolModel, queued_jobs_and_connections_together)
{
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 1, .connections = 1, .long_jobs = true, .stop = true}, 2);
}

TEST(IdleProtocolModel, a_pipelined_request_goes_behind_the_others)
{
    check({.contexts = 2, .wanted_waiters = 2, .connections = 3, .pipelined = 1, .long_jobs = true}, 2);
}

TEST(IdleProtocolModel, three_contexts)
{
    check({.contexts = 3, .wanted_waiters = 2, .pushes = 2, .connections = 1, .long_jobs = true}, 1);
    check({.contexts = 3, .wanted_waiters = 1, .pushes = 3, .long_jobs = true}, 1);
}

TEST(IdleProtocolModel, stop_reaches_every_context)
{
    check({.contexts = 3, .wanted_waiters = 1, .stop = true});
    check({.contexts = 3, .wanted_waiters = 3, .stop = true});
}

TEST(IdleProtocolModel, a_retired_context_leaves_no_work_behind)
{
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 1, .connections = 1, .long_jobs = true, .retirements = 1}, 2);
    check({.contexts = 2, .wanted_waiters = 2, .connections = 2, .long_jobs = true, .retirements = 1}, 2);
    check({.contexts = 3, .wanted_waiters = 1, .connections = 2, .long_jobs = true, .retirements = 1}, 1);
}

TEST(IdleProtocolModel, a_pool_without_contexts_starts_them_again)
{
    check({.contexts = 1, .wanted_waiters = 1, .pushes = 1, .connections = 1, .retirements = 1, .stop = true}, kAll);
    check({.contexts = 2, .wanted_waiters = 2, .connections = 2, .long_jobs = true, .retirements = 2}, 2);
}

TEST(IdleProtocolModel, a_context_that_waits_briefly_leaves_no_work_behind)
{
    check({.contexts = 2, .wanted_waiters = 1, .connections = 2, .brief = 2}, 2);
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 2, .brief = 1}, 2);
    check({.contexts = 2, .wanted_waiters = 2, .pushes = 1, .connections = 1, .long_jobs = true, .brief = 1}, 1);
    check({.contexts = 3, .wanted_waiters = 1, .pushes = 1, .connections = 1, .brief = 1}, 1);
}

TEST(IdleProtocolModel, every_context_leaves_a_wounded_engine)
{
    check({.contexts = 2, .wanted_waiters = 1, .pushes = 1, .crash = true});
    check({.contexts = 2, .wanted_waiters = 2, .pushes = 1, .connections = 1, .crash = true}, 2);
}

}  // namespace
}  // namespace ftm::sched
