#include "master/reload_state.hpp"

#include <gtest/gtest.h>

namespace ftm::master {
namespace {

ReloadState two_hosts()
{
    ReloadState state;
    state.daemonized = true;
    state.hosts.push_back({"www", 123, 7, 8});
    state.hosts.push_back({"a b\nc=\"d\" \xff", 456789, 1023, -1});
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

TEST(ReloadState, gives_nothing_for_another_version_or_damage)
{
    for (const char* text : {"", "v2 1 x77 1 2 3", "v1", "1 2 3", "v1 yes x77 1 2 3", "x"}) {
        EXPECT_TRUE(decode(text).hosts.empty()) << text;
        EXPECT_FALSE(decode(text).daemonized) << text;
    }
    for (const char* text : {"v1 1 x77", "v1 1 x77 1 2", "v1 1 x77 one 2 3", "v1 1 77 1 2 3", "v1 1 xzz 1 2 3",
                             "v1 1 x7 1 2 3", "v1 1 x77 99999999999999999999 2 3"}) {
        EXPECT_TRUE(decode(text).hosts.empty()) << text;
    }
}

}  // namespace
}  // namespace ftm::master
