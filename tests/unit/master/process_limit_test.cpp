#include "master/process_limit.hpp"

#include <gtest/gtest.h>

namespace ftm::master {
namespace {

config::Config pools(int limit, std::initializer_list<int> children)
{
    config::Config config;
    config.global.process_max = limit;
    for (const int n : children) {
        config::Pool pool;
        pool.pm = config::ProcessManager::static_;
        pool.pm_max_children = n;
        config.pools.push_back(pool);
    }
    return config;
}

std::vector<int> children(const config::Config& config)
{
    std::vector<int> out;
    for (const config::Pool& pool : config.pools) {
        out.push_back(pool.pm_max_children);
    }
    return out;
}

TEST(ProcessLimit, first_pools_first)
{
    config::Config config = pools(7, {4, 2, 5});
    EXPECT_TRUE(share_out(config));
    EXPECT_EQ(children(config), (std::vector{4, 2, 1}));
}

TEST(ProcessLimit, every_pool_keeps_one)
{
    config::Config config = pools(3, {5, 5, 5});
    EXPECT_TRUE(share_out(config));
    EXPECT_EQ(children(config), (std::vector{3, 1, 1}));
}

TEST(ProcessLimit, enough_changes_nothing)
{
    for (const int limit : {0, 11, 100}) {
        config::Config config = pools(limit, {4, 2, 5});
        EXPECT_FALSE(share_out(config));
        EXPECT_EQ(children(config), (std::vector{4, 2, 5}));
    }
}

TEST(ProcessLimit, pools_that_grow_take_what_they_start_with)
{
    config::Config config = pools(5, {10, 10, 10});
    config.pools[0].pm = config::ProcessManager::dynamic;
    config.pools[0].pm_start_servers = 3;
    config.pools[1].pm = config::ProcessManager::ondemand;
    EXPECT_TRUE(share_out(config));
    EXPECT_EQ(children(config), (std::vector{10, 10, 2}));
    EXPECT_EQ(config.pools[0].pm_start_servers, 3);
    EXPECT_TRUE(config.pools[0].asks_for_contexts);
    EXPECT_TRUE(config.pools[1].asks_for_contexts);
    EXPECT_FALSE(config.pools[2].asks_for_contexts);
    config = pools(2, {10});
    config.pools[0].pm = config::ProcessManager::dynamic;
    config.pools[0].pm_start_servers = 3;
    EXPECT_TRUE(share_out(config));
    EXPECT_EQ(config.pools[0].pm_start_servers, 2);
}

TEST(ProcessLimit, grants_what_is_left)
{
    ProcessLimit limit(5, false);
    EXPECT_EQ(limit.ask(2, 2).granted, 2);
    const ProcessLimit::Answer some = limit.ask(4, 3);
    EXPECT_EQ(some.granted, 1);
    EXPECT_TRUE(some.warn);
    EXPECT_EQ(limit.ask(5, 1).granted, 0);
    EXPECT_EQ(limit.ask(7, 1).granted, 0);
    EXPECT_EQ(ProcessLimit(0, false).ask(1000, 8).granted, 8);
}

TEST(ProcessLimit, warns_once_until_it_can_grant_again)
{
    ProcessLimit limit(3, false);
    EXPECT_TRUE(limit.ask(3, 1).warn);
    EXPECT_FALSE(limit.ask(3, 1).warn);
    EXPECT_FALSE(limit.ask(2, 1).warn);
    EXPECT_TRUE(limit.ask(3, 1).warn);
    EXPECT_FALSE(ProcessLimit(3, true).ask(3, 1).warn) << "said at the start";
}

}  // namespace
}  // namespace ftm::master
