#include "master/worker_output.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "base/unique_fd.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

using Lines = std::vector<std::string>;

class WorkerOutputTest : public ::testing::Test {
protected:
    void feed(std::string_view bytes)
    {
        output_.feed(bytes, [this](std::string_view line, bool closed) {
            EXPECT_FALSE(closed);
            lines_.emplace_back(line);
        });
    }
    void close()
    {
        output_.flush([this](std::string_view line, bool closed) {
            EXPECT_TRUE(closed);
            lines_.push_back("closed: " + std::string(line));
        }, true);
    }

    WorkerOutput output_;
    Lines lines_;
};

TEST_F(WorkerOutputTest, gives_whole_lines)
{
    feed("one\ntwo\n\nthree");
    EXPECT_EQ(lines_, (Lines{"one", "two", ""}));
    feed(" goes on\n");
    EXPECT_EQ(lines_.back(), "three goes on");
    close();
    EXPECT_EQ(lines_.size(), 4U);
}

TEST_F(WorkerOutputTest, the_rest_comes_when_the_pipe_closes)
{
    feed("half");
    EXPECT_TRUE(lines_.empty());
    close();
    EXPECT_EQ(lines_, (Lines{"closed: half"}));
    close();
    EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(WorkerOutputTest, php_fpms_end_of_request_mark_ends_a_line)
{
    const std::string mark("\0fscf\0", 6);
    feed("unfinished" + mark);
    EXPECT_EQ(lines_, (Lines{"unfinished"}));
    feed("line\n" + mark + "next\n");
    EXPECT_EQ(lines_, (Lines{"unfinished", "line", "next"})) << "no empty line for the mark";
}

TEST_F(WorkerOutputTest, bytes_may_come_one_by_one)
{
    const std::string text = std::string("a\nbc\0fscf\0d\n", 12);
    for (const char c : text) {
        feed({&c, 1});
    }
    EXPECT_EQ(lines_, (Lines{"a", "bc", "d"}));
}

TEST_F(WorkerOutputTest, keeps_other_zeros)
{
    feed(std::string_view("a\0b\0fsc\n", 8));
    EXPECT_EQ(lines_, (Lines{std::string("a\0b\0fsc", 7)}));
}

TEST_F(WorkerOutputTest, a_line_without_end_is_cut)
{
    for (int i = 0; i < 70; ++i) {
        feed(std::string(1024, 'x'));
    }
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_GT(lines_[0].size(), std::size_t{64} << 10);
}

// ------------------------------------------------------------------------------------------------- log_worker_line()

class WorkerLine : public ::testing::Test {
protected:
    void SetUp() override
    {
        file_.reset(::memfd_create("log", MFD_CLOEXEC));
        observe::Log::instance().set_file(file_.get());
        observe::Log::instance().set_launched();
    }
    void TearDown() override { observe::Log::instance().set_file(2); }
    Lines logged(std::string_view line, bool decorate, std::size_t limit)
    {
        EXPECT_EQ(::ftruncate(file_.get(), 0), 0);
        EXPECT_EQ(::lseek(file_.get(), 0, SEEK_SET), 0);
        log_worker_line("www", 12, "stderr", line, decorate, limit);
        std::string text(65536, '\0');
        text.resize(static_cast<std::size_t>(::pread(file_.get(), text.data(), text.size(), 0)));
        Lines lines;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            lines.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        return lines;
    }
    UniqueFd file_;
};

TEST_F(WorkerLine, says_who_said_it)
{
    const Lines lines = logged("hello", true, 1024);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].substr(23), "WARNING: [pool www] child 12 said into stderr: \"hello\"");
}

TEST_F(WorkerLine, or_not)
{
    EXPECT_EQ(logged("hello", false, 1024), (Lines{"hello"}));
    EXPECT_EQ(logged("", false, 1024), (Lines{""}));
}

TEST_F(WorkerLine, wraps_at_the_limit)
{
    for (const std::size_t limit : {512U, 1024U, 2048U}) {
        for (const bool decorate : {true, false}) {
            const std::string text(5000, 'x');
            std::string joined;
            for (const std::string& line : logged(text, decorate, limit)) {
                EXPECT_LE(line.size() + 1, limit);
                const std::size_t begin = decorate ? line.find('"') + 1 : 0;
                joined += line.substr(begin, line.size() - begin - (decorate ? 1 : 0));
            }
            EXPECT_EQ(joined, text);
        }
    }
}

}  // namespace
}  // namespace ftm::master
