#include "master/child_exit.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

using namespace std::chrono_literals;

// Wait statuses as the kernel makes them.
constexpr int exited(int code) { return code << 8; }
constexpr int killed(int signal, bool core = false) { return signal | (core ? 0x80 : 0); }

TEST(ChildExit, describes_exits)
{
    EXPECT_EQ(describe_exit(exited(0)), "exited with code 0");
    EXPECT_EQ(describe_exit(exited(255)), "exited with code 255");
    EXPECT_EQ(describe_exit(killed(SIGKILL)), "exited on signal 9 (SIGKILL)");
    EXPECT_EQ(describe_exit(killed(SIGSEGV, true)), "exited on signal 11 (SIGSEGV - core dumped)");
    EXPECT_EQ(describe_exit(killed(SIGIO)), "exited on signal 29 (SIGIO)");
    EXPECT_EQ(describe_exit(killed(SIGRTMIN)), "exited on signal 34 ()");
}

class ChildExitLog : public ::testing::Test {
protected:
    void SetUp() override
    {
        file_.reset(::memfd_create("log", MFD_CLOEXEC));
        observe::Log::instance().set_file(file_.get());
        observe::Log::instance().set_launched();
    }
    void TearDown() override { observe::Log::instance().set_file(2); }
    // Behind the time.
    std::string logged() const
    {
        std::string text(4096, '\0');
        text.resize(static_cast<std::size_t>(::pread(file_.get(), text.data(), text.size(), 0)));
        return text.empty() ? text : text.substr(23);
    }
    UniqueFd file_;
};

TEST_F(ChildExitLog, a_crash_is_a_warning)
{
    log_child_exit("www", 12, killed(SIGSEGV), 3'000'045us, false);
    EXPECT_EQ(logged(), "WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.000045 seconds from start\n");
}

TEST_F(ChildExitLog, an_orderly_end_is_a_notice)
{
    log_child_exit("www", 12, exited(0), 1us, false);
    EXPECT_EQ(logged(), "NOTICE: [pool www] child 12 exited with code 0 after 0.000001 seconds from start\n");
}

TEST_F(ChildExitLog, so_is_sigquit)
{
    log_child_exit("www", 12, killed(SIGQUIT), 1us, false);
    EXPECT_EQ(logged().find("NOTICE: "), 0U);
}

TEST_F(ChildExitLog, an_expected_end_is_quiet)
{
    log_child_exit("www", 12, exited(3), 1us, true);
    EXPECT_EQ(logged(), "");
}

TEST_F(ChildExitLog, a_host_and_a_stranger)
{
    log_host_exit("www", 13, exited(70), 61'500'000us);
    EXPECT_EQ(logged(), "WARNING: [pool www] host 13 exited with code 70 after 61.500000 seconds from start\n");
    log_unknown_exit(14, exited(1), false);
    EXPECT_NE(logged().find("unknown child (14) exited with code 1"), std::string::npos);
}

TEST_F(ChildExitLog, an_adopted_process_is_quiet)
{
    log_unknown_exit(15, exited(1), true);
    EXPECT_EQ(logged(), "");
}

}  // namespace
}  // namespace ftm::master
