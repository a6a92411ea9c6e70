#include "engine/ready_set.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace ftm::engine {
namespace {

using Kind = Event::Kind;

struct Pair {
    Pair()
    {
        int fds[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        ours.reset(fds[0]);
        theirs.reset(fds[1]);
    }
    void say(const char* text) const { EXPECT_GT(::send(theirs.get(), text, std::strlen(text), MSG_NOSIGNAL), 0); }
    UniqueFd ours;
    UniqueFd theirs;
};

TEST(ReadySet, is_quiet_at_first)
{
    const ReadySet set;
    EXPECT_EQ(set.wait(0).kind, Kind::none);
}

TEST(ReadySet, a_notification_is_one_event)
{
    const ReadySet set;
    set.notify();
    set.notify();
    EXPECT_EQ(set.wait(0).kind, Kind::work);
    EXPECT_EQ(set.wait(0).kind, Kind::none) << "edges that nobody took come as one: the protocol passes on the rest";
    set.notify();
    EXPECT_EQ(set.wait(0).kind, Kind::work);
}

TEST(ReadySet, tells_index_and_generation_of_a_session)
{
    const ReadySet set;
    const Pair pair;
    ASSERT_TRUE(set.add_session(pair.ours.get(), 70'000, 0xfedcba98));
    EXPECT_EQ(set.wait(0).kind, Kind::none);
    pair.say("x");
    const Event event = set.wait(0);
    EXPECT_EQ(event.kind, Kind::session);
    EXPECT_EQ(event.index, 70'000U);
    EXPECT_EQ(event.generation, 0xfedcba98U);
    EXPECT_NE(event.flags & EPOLLIN, 0U);
    EXPECT_EQ(event.flags & EPOLLRDHUP, 0U);
    EXPECT_EQ(set.wait(0).kind, Kind::none) << "edge-triggered";
}

TEST(ReadySet, arming_again_tells_what_is_there)
{
    const ReadySet set;
    const Pair pair;
    pair.say("x");
    ASSERT_TRUE(set.add_session(pair.ours.get(), 1, 1));
    EXPECT_EQ(set.wait(0).kind, Kind::session) << "adding reports what is pending";
    EXPECT_EQ(set.wait(0).kind, Kind::none);
    set.rearm_session(pair.ours.get(), 1, 2);
    EXPECT_EQ(set.wait(0).generation, 2U);
}

TEST(ReadySet, tells_of_a_peer_that_closes)
{
    const ReadySet set;
    Pair pair;
    ASSERT_TRUE(set.add_session(pair.ours.get(), 1, 1));
    pair.theirs.reset();
    EXPECT_NE(set.wait(0).flags & EPOLLRDHUP, 0U);
}

TEST(ReadySet, what_was_removed_is_silent)
{
    const ReadySet set;
    const Pair pair;
    ASSERT_TRUE(set.add_session(pair.ours.get(), 1, 1));
    set.remove(pair.ours.get());
    pair.say("x");
    EXPECT_EQ(set.wait(0).kind, Kind::none);
    EXPECT_TRUE(set.add_session(pair.ours.get(), 1, 1));
    EXPECT_FALSE(set.add_session(pair.ours.get(), 1, 1)) << "twice";
}

TEST(ReadySet, tells_listeners_from_sessions)
{
    const ReadySet set;
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    socklen_t size = sizeof name;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size);
    set.add_listener(listener.get(), 2);
    EXPECT_EQ(set.wait(0).kind, Kind::none);
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    Event event = set.wait(0);
    EXPECT_EQ(event.kind, Kind::listener);
    EXPECT_EQ(event.index, 2U);
    EXPECT_EQ(set.wait(0).kind, Kind::none);
    set.rearm_listener(listener.get(), 2);
    EXPECT_EQ(set.wait(0).kind, Kind::listener) << "somebody still waits to be accepted";
}

TEST(ReadySet, gives_one_event_at_a_time)
{
    const ReadySet set;
    const Pair pairs[3];
    for (std::uint32_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(set.add_session(pairs[i].ours.get(), i, 0));
        pairs[i].say("x");
    }
    std::uint32_t seen = 0;
    for (int i = 0; i < 3; ++i) {
        seen |= 1u << set.wait(0).index;
    }
    EXPECT_EQ(seen, 7U);
    EXPECT_EQ(set.wait(0).kind, Kind::none);
}

TEST(ReadySet, wakes_one_of_several_waiters_per_event)
{
    const ReadySet set;
    std::atomic<int> woken{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
        waiters.emplace_back([&] {
            EXPECT_EQ(set.wait(-1).kind, Kind::work);
            woken.fetch_add(1);
        });
    }
    for (int i = 1; i <= 3; ++i) {
        set.notify();
        while (woken.load() < i) {
            std::this_thread::yield();
        }
        EXPECT_EQ(woken.load(), i);
    }
    for (std::thread& waiter : waiters) {
        waiter.join();
    }
}

}  // namespace
}  // namespace ftm::engine
