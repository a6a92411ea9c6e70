#include "observe/log.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>

namespace ftm::observe {
namespace {

const std::string kStamp = R"(\[\d\d-[A-Z][a-z][a-z]-\d{4} \d\d:\d\d:\d\d\])";

// A log of its own that writes to a file in memory.
class LogTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        file_.reset(::memfd_create("log", MFD_CLOEXEC));
        log_.set_file(file_.get());
        log_.set_launched();
    }
    std::string written()
    {
        std::string text(8192, '\0');
        const ssize_t n = ::pread(file_.get(), text.data(), text.size(), 0);
        text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
        return text;
    }

    Log log_;
    UniqueFd file_;
};

TEST_F(LogTest, writes_lines_as_php_fpm_does)
{
    log_.line(Level::notice, "fpm is running, pid 1");
    log_.line(Level::warning, "careful");
    log_.line(Level::error, "");
    log_.line(Level::alert, "help");
    EXPECT_TRUE(std::regex_match(written(), std::regex(kStamp + " NOTICE: fpm is running, pid 1\n" + kStamp +
                                                       " WARNING: careful\n" + kStamp + " ERROR: \n" + kStamp +
                                                       " ALERT: help\n")))
        << written();
}

TEST_F(LogTest, keeps_below_its_threshold)
{
    log_.line(Level::debug, "no");
    log_.set_threshold(Level::error);
    log_.line(Level::warning, "no");
    log_.line(Level::error, "yes");
    EXPECT_TRUE(std::regex_match(written(), std::regex(kStamp + " ERROR: yes\n"))) << written();
}

TEST_F(LogTest, says_more_at_debug_level)
{
    log_.set_threshold(Level::debug);
    log_.line(Level::debug, "details");
    EXPECT_TRUE(std::regex_match(
        written(), std::regex(R"(\[\d\d-\w+-\d{4} \d\d:\d\d:\d\d\.\d{6}\] DEBUG: pid \d+, ftm\(\), line 0: details\n)")))
        << written();
}

TEST_F(LogTest, cuts_a_line_at_the_limit_only_when_it_exceeds_2048_bytes_or_ends_in_an_errno)
{
    const std::size_t stamp = std::string("[20-Nov-2026 04:38:47] NOTICE: ").size();
    log_.line(Level::notice, std::string(1500, 'x'));
    EXPECT_EQ(written().size(), stamp + 1500 + 1) << "longer than log_limit, and whole";
    for (const bool syserror : {false, true}) {
        for (const std::size_t limit : {std::size_t{600}, std::size_t{4096}}) {
            ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
            ASSERT_EQ(::lseek(file_.get(), 0, SEEK_SET), 0);
            log_.set_limit(limit);
            log_.line(Level::notice, std::string(syserror && limit == 600 ? 600 : 2048, 'x'), syserror);
            const std::string line = written();
            EXPECT_EQ(line.size(), std::min<std::size_t>(limit, 2048)) << limit;
            EXPECT_TRUE(line.ends_with("x...\n"));
        }
    }
}

TEST_F(LogTest, gives_streams_its_limit_and_level)
{
    log_.set_limit(600);
    LogStream plain = log_.stream(Level::warning, false);
    plain.append(std::string(700, 'x'));
    plain.finish();
    EXPECT_EQ(written(), std::string(599, 'x') + "\n" + std::string(101, 'x') + "\n");
    ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
    ASSERT_EQ(::lseek(file_.get(), 0, SEEK_SET), 0);
    log_.set_threshold(Level::error);
    LogStream decorated = log_.stream(Level::warning, true);
    decorated.append("text");
    decorated.finish();
    EXPECT_EQ(written(), "text\"\n") << "php-fpm's: no prefix, no quote, but a closing one";
}

TEST_F(LogTest, sends_to_its_channel_instead_of_the_file)
{
    auto [master, pool] = make_log_channel();
    log_.set_channel(pool.get());
    log_.line(Level::warning, "from the pool");
    log_.worker_output(Level::error, 7, "PHP message: x\ny");
    EXPECT_EQ(written(), "");

    char buffer[4096];
    LogDatagram got;
    ssize_t n = ::recv(master.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0);
    ASSERT_TRUE(LogDatagram::decode({buffer, static_cast<std::size_t>(n)}, got));
    EXPECT_EQ(got.kind, LogDatagram::Kind::line);
    EXPECT_EQ(got.level, Level::warning);
    EXPECT_EQ(got.pid, ::getpid());
    EXPECT_EQ(got.text, "from the pool");
    n = ::recv(master.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0);
    ASSERT_TRUE(LogDatagram::decode({buffer, static_cast<std::size_t>(n)}, got));
    EXPECT_EQ(got.kind, LogDatagram::Kind::worker_output);
    EXPECT_EQ(got.level, Level::error);
    EXPECT_EQ(got.context, 7);
    EXPECT_EQ(got.text, "PHP message: x\ny");
}

TEST_F(LogTest, a_full_channel_drops_and_counts)
{
    auto [master, pool] = make_log_channel();
    log_.set_channel(pool.get());
    const unsigned long before = log_.dropped();
    for (int i = 0; i < 20'000 && log_.dropped() == before; ++i) {
        log_.line(Level::notice, "nobody reads this");
    }
    EXPECT_GT(log_.dropped(), before);
    const unsigned long full = log_.dropped();
    log_.worker_output(Level::notice, 0, "nor this");
    EXPECT_EQ(log_.dropped(), full + 1);
}

TEST(LogDatagram, survives_the_round_trip)
{
    for (const Level level : {Level::debug, Level::notice, Level::warning, Level::error, Level::alert}) {
        LogDatagram datagram;
        datagram.kind = LogDatagram::Kind::worker_output;
        datagram.level = level;
        datagram.pid = 123456;
        datagram.context = -1;
        datagram.text = std::string("zero\0newline\n", 13);
        LogDatagram got;
        ASSERT_TRUE(LogDatagram::decode(datagram.encode(), got));
        EXPECT_EQ(got.kind, datagram.kind);
        EXPECT_EQ(got.level, level);
        EXPECT_EQ(got.pid, 123456);
        EXPECT_EQ(got.context, -1);
        EXPECT_EQ(got.text, datagram.text);
    }
}

TEST(LogDatagram, refuses_what_is_damaged_or_of_another_version)
{
    LogDatagram datagram;
    datagram.text = "text";
    const std::string good = datagram.encode();
    const std::size_t header = good.size() - datagram.text.size();
    LogDatagram got;
    for (std::size_t size = 0; size < header; ++size) {
        EXPECT_FALSE(LogDatagram::decode(std::string_view(good).substr(0, size), got)) << size;
    }
    EXPECT_TRUE(LogDatagram::decode(std::string_view(good).substr(0, header), got));
    EXPECT_EQ(got.text, "");
    std::string other = good;
    other[0] = 2; // version
    EXPECT_FALSE(LogDatagram::decode(other, got));
    other = good;
    other[1] = 3; // kind
    EXPECT_FALSE(LogDatagram::decode(other, got));
    for (const char level : {'\0', '\6', '\x7f', '\xff'}) {
        other = good;
        other[2] = level;
        EXPECT_FALSE(LogDatagram::decode(other, got)) << static_cast<int>(level);
    }
}

TEST(Log, cuts_what_exceeds_a_line)
{
    auto [master, pool] = make_log_channel();
    Log::instance().set_channel(pool.get());
    log(Level::notice, "%s", std::string(5000, 'x').c_str());
    errno = ENOENT;
    log_syserror("failed to open %s", "this");
    Log::instance().set_channel(-1);
    char buffer[8192];
    LogDatagram got;
    ssize_t n = ::recv(master.get(), buffer, sizeof buffer, 0);
    ASSERT_TRUE(LogDatagram::decode({buffer, static_cast<std::size_t>(n)}, got));
    EXPECT_EQ(got.text, std::string(2044, 'x') + "...");
    n = ::recv(master.get(), buffer, sizeof buffer, 0);
    ASSERT_TRUE(LogDatagram::decode({buffer, static_cast<std::size_t>(n)}, got));
    EXPECT_EQ(got.level, Level::error);
    EXPECT_EQ(got.text, "failed to open this: No such file or directory (2)");
}

}  // namespace
}  // namespace ftm::observe
