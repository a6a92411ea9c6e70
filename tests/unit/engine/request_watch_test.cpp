// The claim on a running request's connection: never cut after it was given back, never given back during the cut.
#include "engine/request_watch.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace ftm::engine {
namespace {

TEST(RequestWatch, shows_the_running_request)
{
    RequestWatch watch;
    EXPECT_EQ(watch.running().sequence, 0u);
    watch.begin(7);
    watch.stage(sched::RunStage::executing);
    EXPECT_EQ(watch.running().sequence, 1u);
    EXPECT_EQ(watch.running().since_us, 7);
    EXPECT_EQ(watch.running().stage, sched::RunStage::executing);
    watch.release();
    EXPECT_EQ(watch.running().sequence, 1u);
    watch.end();
    EXPECT_EQ(watch.running().sequence, 0u);
    watch.begin(8);
    EXPECT_EQ(watch.running().sequence, 2u);
}

TEST(RequestWatch, an_order_is_for_one_request)
{
    RequestWatch watch;
    EXPECT_FALSE(watch.shall_end());
    watch.begin(1);
    watch.want_end(1);
    EXPECT_TRUE(watch.shall_end());
    watch.release();
    watch.end();
    watch.begin(2);
    EXPECT_FALSE(watch.shall_end());
}

TEST(RequestWatch, only_one_traces)
{
    RequestWatch watch;
    watch.begin(1);
    watch.want_trace(1);
    EXPECT_TRUE(watch.shall_trace());
    EXPECT_FALSE(watch.take_trace(2));
    EXPECT_TRUE(watch.take_trace(1));
    EXPECT_FALSE(watch.take_trace(1));
    EXPECT_FALSE(watch.shall_trace());
}

TEST(RequestWatch, cuts_only_what_is_held)
{
    RequestWatch watch;
    unsigned cuts = 0;
    const auto shut = [&cuts] { ++cuts; };
    EXPECT_FALSE(watch.cut(1, shut));
    watch.begin(1);
    EXPECT_TRUE(watch.holds(1));
    EXPECT_FALSE(watch.cut(2, shut));
    EXPECT_TRUE(watch.cut(1, shut));
    EXPECT_TRUE(watch.holds(1));
    watch.release();
    EXPECT_FALSE(watch.holds(1));
    EXPECT_FALSE(watch.cut(1, shut));
    EXPECT_EQ(cuts, 1u);
}

TEST(RequestWatch, a_cut_and_a_release_never_overlap)
{
    RequestWatch watch;
    std::atomic<std::uint64_t> connection{0}; // sequence whose connection is held
    std::atomic<bool> stop{false};
    std::atomic<unsigned> wrong{0};
    std::thread standby([&] {
        while (!stop.load()) {
            const std::uint64_t sequence = watch.running().sequence;
            if (sequence != 0) {
                watch.cut(sequence, [&] { wrong += connection.load() != sequence || (std::this_thread::yield(), connection.load()) != sequence; });
            }
        }
    });
    for (std::uint64_t sequence = 1; sequence <= 20'000; ++sequence) {
        connection.store(sequence);
        watch.begin(1);
        watch.release();
        connection.store(0);
        watch.end();
    }
    stop.store(true);
    standby.join();
    EXPECT_EQ(wrong.load(), 0u);
}

}  // namespace
}  // namespace ftm::engine
