// Against fpm_pctl_perform_idle_server_maintenance() and fpm_pctl_on_socket_accept().
#include "sched/process_manager.hpp"

#include <gtest/gtest.h>

namespace ftm::sched {
namespace {

std::vector<std::string> warnings(const ProcessManager::Step& step)
{
    std::vector<std::string> texts;
    for (const auto& note : step.notes) {
        if (note.warning) {
            texts.push_back(note.text);
        }
    }
    return texts;
}

using Texts = std::vector<std::string>;

ManagerSettings dynamic(int max, int start, int least, int most, int rate = 32)
{
    return {.manager = Manager::dynamic, .max_children = max, .start_servers = start, .min_spare_servers = least,
            .max_spare_servers = most, .max_spawn_rate = rate};
}

TEST(ProcessManager, starts_with_what_each_kind_starts_with)
{
    EXPECT_EQ(ProcessManager({.max_children = 7}).at_start(), 7);
    EXPECT_EQ(ProcessManager(dynamic(9, 4, 2, 5)).at_start(), 4);
    EXPECT_EQ(ProcessManager({.manager = Manager::ondemand, .max_children = 7}).at_start(), 1);
}

TEST(ProcessManager, a_static_pool_never_changes)
{
    ProcessManager manager({.max_children = 2});
    EXPECT_FALSE(manager.grows_and_shrinks());
    for (const int idle : {0, 2}) {
        const auto step = manager.every_second({.running = 2, .idle = idle, .idle_for_s = 99});
        EXPECT_EQ(step.start, 0);
        EXPECT_FALSE(step.retire);
        EXPECT_TRUE(step.notes.empty());
    }
    EXPECT_EQ(manager.on_demand({.running = 2}, 5, 0).start, 0);
}

TEST(ProcessManager, a_dynamic_pool_keeps_between_min_and_max_spare)
{
    ProcessManager manager(dynamic(10, 3, 2, 4));
    EXPECT_EQ(manager.every_second({.running = 3, .idle = 2}).start, 0);
    EXPECT_FALSE(manager.every_second({.running = 4, .idle = 4}).retire);
    EXPECT_TRUE(manager.every_second({.running = 5, .idle = 5}).retire);
    EXPECT_EQ(manager.every_second({.running = 3, .idle = 1}).start, 1);
}

TEST(ProcessManager, the_spawn_rate_doubles_while_it_is_not_enough)
{
    ProcessManager manager(dynamic(100, 20, 20, 30));
    std::vector<int> started;
    int running = 20;
    for (int i = 0; i < 6; ++i) {
        const auto step = manager.every_second({.running = running, .idle = 0});
        started.push_back(step.start);
        running += step.start;
        if (i == 3) {
            EXPECT_EQ(warnings(step), Texts{"seems busy (you may need to increase pm.start_servers, or pm.min/max_spare_servers), "
                                            "spawning 8 children, there are 0 idle, and 27 total children"});
        } else if (i < 3) {
            EXPECT_TRUE(warnings(step).empty());
        }
    }
    EXPECT_EQ(started, (std::vector{1, 2, 4, 8, 16, 20}));  // never more than min_spare lacks
    EXPECT_EQ(manager.every_second({.running = 60, .idle = 25}).start, 0);
    EXPECT_EQ(manager.every_second({.running = 60, .idle = 0}).start, 1);  // it was enough once: from the beginning
}

TEST(ProcessManager, max_spawn_rate_ends_the_doubling)
{
    ProcessManager manager(dynamic(100, 20, 20, 30, 3));
    std::vector<int> started;
    for (int i = 0; i < 4; ++i) {
        started.push_back(manager.every_second({.running = 20, .idle = 0}).start);
    }
    EXPECT_EQ(started, (std::vector{1, 2, 4, 4}));  // 4, not 3: php-fpm doubles while below
}

TEST(ProcessManager, max_children_is_reached_once_per_occurrence)
{
    ProcessManager manager(dynamic(5, 2, 2, 3));
    const Texts text{"server reached pm.max_children setting (5), consider raising it"};
    auto step = manager.every_second({.running = 5, .idle = 0});
    EXPECT_TRUE(step.max_reached);
    EXPECT_EQ(warnings(step), text);
    step = manager.every_second({.running = 5, .idle = 1});
    EXPECT_FALSE(step.max_reached);
    EXPECT_TRUE(warnings(step).empty());
    EXPECT_EQ(manager.every_second({.running = 4, .idle = 0}).start, 1);
    EXPECT_EQ(warnings(manager.every_second({.running = 5, .idle = 0})), text);
}

TEST(ProcessManager, only_as_many_are_started_as_max_children_allows)
{
    ProcessManager manager(dynamic(5, 5, 5, 5));
    EXPECT_EQ(manager.every_second({.running = 3, .idle = 0}).start, 1);
    EXPECT_EQ(manager.every_second({.running = 4, .idle = 0}).start, 1);
}

TEST(ProcessManager, a_dynamic_pool_does_not_let_requests_wait_while_it_may_grow)
{
    ProcessManager manager(dynamic(5, 1, 1, 2));
    EXPECT_EQ(manager.on_demand({.running = 1}, 1, 0).start, 1);
    EXPECT_EQ(manager.on_demand({.running = 2}, 1, 1).start, 0);
    EXPECT_EQ(manager.on_demand({.running = 2}, 9, 1).start, 3);
    const auto step = manager.on_demand({.running = 5}, 9, 0);
    EXPECT_EQ(step.start, 0);
    EXPECT_FALSE(step.max_reached);  // php-fpm says so in its maintenance
}

TEST(ProcessManager, an_ondemand_pool_starts_one_per_waiting_request)
{
    ProcessManager manager({.manager = Manager::ondemand, .max_children = 2});
    EXPECT_EQ(manager.on_demand({}, 1, 0).start, 1);
    EXPECT_EQ(manager.on_demand({.running = 1}, 1, 1).start, 0);
    EXPECT_EQ(manager.on_demand({.running = 1}, 5, 0).start, 1);
    const Texts text{"server reached max_children setting (2), consider raising it"};
    auto step = manager.on_demand({.running = 2}, 4, 0);
    EXPECT_TRUE(step.max_reached);
    EXPECT_EQ(warnings(step), text);
    EXPECT_FALSE(manager.on_demand({.running = 2}, 4, 0).max_reached);
    EXPECT_EQ(manager.on_demand({.running = 1}, 4, 0).start, 1);
    EXPECT_EQ(warnings(manager.on_demand({.running = 2}, 4, 0)), text);
}

TEST(ProcessManager, an_ondemand_pool_lets_go_of_who_has_been_idle_too_long)
{
    ProcessManager manager({.manager = Manager::ondemand, .max_children = 2, .idle_timeout_s = 3});
    EXPECT_FALSE(manager.every_second({.running = 2, .idle = 1, .idle_for_s = 3}).retire);
    EXPECT_TRUE(manager.every_second({.running = 2, .idle = 1, .idle_for_s = 4}).retire);
    EXPECT_FALSE(manager.every_second({.running = 2, .idle = 0, .idle_for_s = 4}).retire);
}

}  // namespace
}  // namespace ftm::sched
