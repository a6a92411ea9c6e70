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

TEST(ProcessLimit, pools_that_grow_are_only_short_if_they_cannot_start)
{
    config::Config config = pools(3, {10});
    config.pools[0].pm = config::ProcessManager::dynamic;
    config.pools[0].pm_start_servers = 3;
    config.pools[0].pm_max_spare_servers = 5;
    EXPECT_FALSE(share_out(config));
    EXPECT_EQ(config.pools[0].pm_max_children, 3);
    EXPECT_EQ(config.pools[0].pm_max_spare_servers, 3);
    config = pools(2, {10});
    config.pools[0].pm = config::ProcessManager::dynamic;
    config.pools[0].pm_start_servers = 3;
    EXPECT_TRUE(share_out(config));
}

}  // namespace
}  // namespace ftm::master
