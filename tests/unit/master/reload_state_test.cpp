#include "master/reload_state.hpp"

#include <gtest/gtest.h>

namespace ftm::master {
namespace {

ReloadState two_hosts()
{
    ReloadState state;
    state.daemonized = true;
    state.hosts.push_back({"www", 123, 7, 8});
    state.hosts.push_back({"a b\nc=\"d\" \xff", 456789, 1023, -1, true});
    return state;
}

TEST(ReloadState, survives_the_round_trip)
{
    const ReloadState got = decode(encode(two_hosts()));
    EXPECT_TRUE(got.daemonized);
    ASSERT_EQ(got.hosts.size(), 2U);
    EXPECT_EQ(got.hosts[0].pool, "www");
    EXPECT_EQ(got.hosts[0].pid, 123);
    EXPECT_EQ(got.hosts[0].channel, 7);
    EXPECT_EQ(got.hosts[0].log_read, 8);
    EXPECT_EQ(got.hosts[1].pool, "a b\nc=\"d\" \xff");
    EXPECT_EQ(got.hosts[1].log_read, -1);
    EXPECT_FALSE(got.hosts[0].draining);
    EXPECT_TRUE(got.hosts[1].draining);
    EXPECT_TRUE(got.hands_over);

    ReloadState none;
    EXPECT_FALSE(decode(encode(none)).daemonized);
    EXPECT_TRUE(decode(encode(none)).hosts.empty());
}

TEST(ReloadState, is_one_word_list_fit_for_an_environment_variable)
{
    for (const char c : encode(two_hosts())) {
        EXPECT_TRUE(c == ' ' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')) << c;
    }
}

TEST(ReloadState, an_unnamed_pool)
{
    ReloadState state;
    state.hosts.push_back({"", 1, 2, 3});
    ASSERT_EQ(decode(encode(state)).hosts.size(), 1U);
    EXPECT_EQ(decode(encode(state)).hosts[0].pool, "");
}

TEST(ReloadState, gives_no_hosts_for_another_version_or_damage)
{
    for (const char* text : {"", "v9 1 connection9 x77 1 2 3 0", "v1", "1 2 3", "v2 yes connection2 x77 1 2 3 0", "x"}) {
        EXPECT_TRUE(decode(text).hosts.empty()) << text;
    }
    const std::string good = encode(ReloadState{true, true, {{"w", 1, 2, 3}}});
    ASSERT_EQ(decode(good).hosts.size(), 1U);
    const std::string head = good.substr(0, good.find(" x77"));
    for (const char* host : {" x77", " x77 1 2", " x77 1 2 3", " x77 one 2 3 0", " 77 1 2 3 0", " xzz 1 2 3 0", " x7 1 2 3 0",
                             " x77 99999999999999999999 2 3 0"}) {
        EXPECT_TRUE(decode(head + host).hosts.empty()) << host;
    }
}

// Whatever else an image of another version cannot tell: it must not become a daemon a second time.
TEST(ReloadState, knows_a_daemon_in_every_version)
{
    EXPECT_TRUE(decode("v1 1 x77 1 2 3").daemonized);
    EXPECT_FALSE(decode("v9 0 something else").daemonized);
    EXPECT_FALSE(decode("w1 1").daemonized);
}

TEST(ReloadState, tells_when_connections_cannot_be_handed_over)
{
    std::string text = encode(two_hosts());
    text[text.find("connection") + 10] = '9';
    EXPECT_FALSE(decode(text).hands_over);
    EXPECT_EQ(decode(text).hosts.size(), 2U);
}

}  // namespace
}  // namespace ftm::master
