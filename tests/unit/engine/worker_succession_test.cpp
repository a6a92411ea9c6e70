#include "engine/worker_succession.hpp"

#include <gtest/gtest.h>

namespace ftm::engine {
namespace {

using observe::RestartReason;

constexpr WorkerHistory kWorn{RestartReason::max_requests, 4};

TEST(WorkerSuccession, worn_worker_leaves_when_its_successor_has_booted)
{
    WorkerSuccession succession;
    EXPECT_TRUE(succession.ask(0, kWorn));
    EXPECT_TRUE(succession.wanted());
    const auto history = succession.begin(3);
    ASSERT_TRUE(history);
    EXPECT_EQ(history->restarts, 4u);
    EXPECT_EQ(history->next, RestartReason::max_requests);
    EXPECT_FALSE(succession.wanted());
    succession.booted(1); // another one
    EXPECT_FALSE(succession.may_leave(0));
    succession.booted(3);
    EXPECT_TRUE(succession.may_leave(0));
    EXPECT_FALSE(succession.may_leave(1));
    EXPECT_FALSE(succession.leave(1));
    EXPECT_TRUE(succession.leave(0));
    EXPECT_FALSE(succession.leave(0));
}

TEST(WorkerSuccession, one_at_a_time)
{
    WorkerSuccession succession;
    EXPECT_TRUE(succession.ask(0, kWorn));
    EXPECT_FALSE(succession.ask(1, kWorn));
    EXPECT_TRUE(succession.begin(3));
    EXPECT_FALSE(succession.ask(1, kWorn));
    EXPECT_TRUE(succession.leave(0)); // its script has ended meanwhile: the successor takes its place all the same
    EXPECT_TRUE(succession.ask(1, kWorn));
}

TEST(WorkerSuccession, worker_that_ends_before_anybody_was_started_boots_again_itself)
{
    WorkerSuccession succession;
    EXPECT_TRUE(succession.ask(0, kWorn));
    EXPECT_FALSE(succession.leave(0));
    EXPECT_FALSE(succession.begin(3));
}

TEST(WorkerSuccession, nobody_can_be_started)
{
    WorkerSuccession succession;
    EXPECT_TRUE(succession.ask(0, kWorn));
    EXPECT_TRUE(succession.begin(3));
    succession.refuse();
    EXPECT_TRUE(succession.may_leave(0));
    EXPECT_FALSE(succession.leave(0));
    EXPECT_TRUE(succession.ask(0, kWorn));
}

}  // namespace
}  // namespace ftm::engine
