// The model checker itself: it must find what is wrong with programs that are.
#include "model/explorer.hpp"

#include <gtest/gtest.h>

#include <mutex>

namespace ftm::model {
namespace {

class Counting final : public World {
public:
    Counting(unsigned tasks, bool locked) : tasks_(tasks), locked_(locked) {}
    std::vector<std::function<void()>> tasks() override
    {
        return std::vector<std::function<void()>>(tasks_, [this] {
            if (locked_) {
                const std::lock_guard lock(mutex_);
                count_.store(count_.load() + 1);
            } else {
                count_.store(count_.load() + 1);
            }
        });
    }
    bool at_rest() override
    {
        if (count_.load() != tasks_) {
            Explorer::current().fail("an increment is lost");
        }
        return false;
    }
    void describe(Hash&) const override {}

private:
    const unsigned tasks_;
    const bool locked_;
    Atomic<unsigned> count_{0u};
    Mutex mutex_;
};

TEST(Explorer, finds_a_lost_update)
{
    Explorer explorer;
    const Outcome outcome = explorer.explore([] { return std::make_unique<Counting>(2, false); });
    EXPECT_NE(outcome.failure.find("an increment is lost"), std::string::npos);
}

TEST(Explorer, one_preemption_is_enough_for_it)
{
    Explorer explorer;
    EXPECT_EQ(explorer.explore([] { return std::make_unique<Counting>(3, false); }, {.preemptions = 0}).failure, "");
    EXPECT_NE(explorer.explore([] { return std::make_unique<Counting>(3, false); }, {.preemptions = 1}).failure, "");
}

TEST(Explorer, finds_nothing_behind_a_mutex)
{
    Explorer explorer;
    const Outcome outcome = explorer.explore([] { return std::make_unique<Counting>(3, true); });
    EXPECT_EQ(outcome.failure, "");
    EXPECT_TRUE(outcome.complete);
    EXPECT_GE(outcome.runs, 6U); // the orders of three critical sections
}

class Philosophers final : public World {
public:
    std::vector<std::function<void()>> tasks() override
    {
        const auto eat = [this](Mutex& first, Mutex& second) {
            const std::lock_guard one(first);
            const std::lock_guard two(second);
            ++fed_;
        };
        return {[=, this] { eat(left_, right_); }, [=, this] { eat(right_, left_); }};
    }
    bool at_rest() override
    {
        if (fed_ != 2) {
            Explorer::current().fail("deadlock");
        }
        return false;
    }
    void describe(Hash& hash) const override { hash.add(fed_); }

private:
    Mutex left_;
    Mutex right_;
    unsigned fed_ = 0;
};

TEST(Explorer, finds_a_deadlock)
{
    Explorer explorer;
    const Outcome outcome = explorer.explore([] { return std::make_unique<Philosophers>(); });
    EXPECT_NE(outcome.failure.find("deadlock"), std::string::npos);
}

// Every order of four independent steps in two tasks: (2+2)! / (2! 2!) = 6 paths through 9 states.
class Independent final : public World {
public:
    std::vector<std::function<void()>> tasks() override
    {
        const auto twice = [](Atomic<unsigned>& atomic) {
            atomic.store(1);
            atomic.store(2);
        };
        return {[=, this] { twice(a_); }, [=, this] { twice(b_); }};
    }
    bool at_rest() override { return false; }
    void describe(Hash&) const override {}

private:
    Atomic<unsigned> a_{0u};
    Atomic<unsigned> b_{0u};
};

TEST(Explorer, runs_no_state_twice)
{
    Explorer explorer;
    const Outcome outcome = explorer.explore([] { return std::make_unique<Independent>(); });
    EXPECT_TRUE(outcome.complete);
    EXPECT_LE(outcome.states, 16U);
}

// A task that looks at the world without being told is in another state than its history says.
TEST(Explorer, notices_what_a_task_was_not_told)
{
    class Untold final : public World {
        std::vector<std::function<void()>> tasks() override
        {
            return {[this] {
                        Explorer::current().step("look");
                        if (value_ != 0) {
                            Explorer::current().step("one");
                        } else {
                            Explorer::current().step("other");
                        }
                        Explorer::current().step("end");
                    },
                    [this] {
                        Explorer::current().step("change");
                        value_ = 1;
                        Explorer::current().step("end");
                    }};
        }
        bool at_rest() override { return false; }
        void describe(Hash& hash) const override { hash.add(value_); }
        std::uint64_t value_ = 0;
    };
    Explorer explorer;
    EXPECT_NE(explorer.explore([] { return std::make_unique<Untold>(); }).failure.find("lacks something"),
              std::string::npos);
}

TEST(Explorer, tells_of_a_task_that_spins)
{
    class Spinning final : public World {
        std::vector<std::function<void()>> tasks() override
        {
            return {[this] {
                while (flag_.load() == 0) {
                }
            }};
        }
        bool at_rest() override { return false; }
        void describe(Hash&) const override {}
        Atomic<unsigned> flag_{0u};
    };
    Explorer explorer;
    EXPECT_NE(explorer.explore([] { return std::make_unique<Spinning>(); }).failure.find("no end"), std::string::npos);
}

}  // namespace
}  // namespace ftm::model
