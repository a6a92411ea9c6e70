#include "master/emergency_restart.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace ftm::master {
namespace {

using namespace std::chrono_literals;

TEST(EmergencyRestart, comes_when_the_threshold_is_reached_in_the_interval)
{
    EmergencyRestart emergency(3, 10s);
    EXPECT_FALSE(emergency.child_ended(SIGSEGV, 1000s));
    EXPECT_FALSE(emergency.child_ended(SIGBUS, 1005s));
    EXPECT_FALSE(emergency.child_ended(SIGSEGV, 1011s)) << "the first is 11 s old";
    EXPECT_TRUE(emergency.child_ended(SIGSEGV, 1012s));
    EXPECT_TRUE(emergency.child_ended(SIGSEGV | 0x80, 1013s)) << "with a core file";
}

TEST(EmergencyRestart, counts_faults_only)
{
    EmergencyRestart emergency(1, 10s);
    for (const int status : {0, 70 << 8, int{SIGKILL}, int{SIGTERM}, int{SIGABRT}}) {
        EXPECT_FALSE(emergency.child_ended(status, 1000s)) << status;
    }
    EXPECT_TRUE(emergency.child_ended(SIGBUS, 1000s));
}

TEST(EmergencyRestart, is_off_by_default)
{
    for (const auto& [threshold, interval] : {std::pair{0, 0s}, std::pair{3, 0s}, std::pair{0, 60s}}) {
        EmergencyRestart emergency(threshold, interval);
        for (int i = 0; i < 5; ++i) {
            EXPECT_FALSE(emergency.child_ended(SIGSEGV, 1000s));
        }
    }
}

// php-fpm's slots begin at 0, which is the recent past of a machine that has just started.
TEST(EmergencyRestart, is_quick_on_a_fresh_machine)
{
    EmergencyRestart emergency(5, 60s);
    EXPECT_TRUE(emergency.child_ended(SIGSEGV, 30s));
}

}  // namespace
}  // namespace ftm::master
