#include "observe/status_page.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <regex>

namespace ftm::observe {
namespace {

std::string value_of(const std::string& page, const std::string& name)
{
    const std::size_t at = page.find(name + ":");
    if (at == std::string::npos || (at != 0 && page[at - 1] != '\n')) {
        return "missing";
    }
    const std::size_t begin = page.find_first_not_of(' ', at + name.size() + 1);
    return page.substr(begin, page.find('\n', begin) - begin);
}

TEST(StatusPage, is_php_fpms_short_text)
{
    Scoreboard board = Scoreboard::create("www", 4);
    board.acquire();
    board.acquire()->state.store(static_cast<std::uint32_t>(SlotState::running));
    PoolCounters& counters = board.counters();
    counters.accepted.store(12);
    counters.max_queue_length.store(5);
    counters.max_active.store(3);
    counters.max_children_reached.store(2);
    counters.slow_requests.store(1);
    counters.memory_peak.store(2097152);
    const std::string page = status_text(board, "static", 4);

    const std::string expected = "pool:                 www\n"
                                 "process manager:      static\n"
                                 "start time:           \\d\\d/[A-Z][a-z][a-z]/\\d{4}:\\d\\d:\\d\\d:\\d\\d [+-]\\d{4}\n"
                                 "start since:          \\d+\n"
                                 "accepted conn:        12\n"
                                 "listen queue:         4\n"
                                 "max listen queue:     5\n"
                                 "listen queue len:     0\n"
                                 "idle processes:       1\n"
                                 "active processes:     1\n"
                                 "total processes:      2\n"
                                 "max active processes: 3\n"
                                 "max children reached: 2\n"
                                 "slow requests:        1\n"
                                 "memory peak:          2097152\n";
    EXPECT_TRUE(std::regex_match(page, std::regex(expected))) << page;
}

TEST(StatusPage, maxima_are_never_below_what_is_now)
{
    Scoreboard board = Scoreboard::create("www", 4);
    for (int i = 0; i < 3; ++i) {
        board.acquire()->state.store(static_cast<std::uint32_t>(SlotState::running));
    }
    const std::string page = status_text(board, "static", 7);
    EXPECT_EQ(value_of(page, "max listen queue"), "7");
    EXPECT_EQ(value_of(page, "max active processes"), "3");
}

}  // namespace
}  // namespace ftm::observe
