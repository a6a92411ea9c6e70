#include "master/worker_output.hpp"

#include <gtest/gtest.h>

#include "observe/log.hpp"

namespace ftm::master {
namespace {

using From = WorkerOutput::From;

class WorkerOutputTest : public ::testing::Test {
protected:
    WorkerOutput make(bool decorated = false, std::size_t limit = 1024)
    {
        return {"www", 12,
                observe::LogStream({.limit = limit, .decorated = decorated}, [] { return std::string("WARNING: "); },
                                   [this](std::string_view line) { log_ += line; })};
    }
    std::string take() { return std::exchange(log_, {}); }

    std::string log_;
    const std::string mark_{observe::kEndOfRequest};
};

TEST_F(WorkerOutputTest, gives_whole_lines_and_no_empty_ones)
{
    WorkerOutput output = make();
    output.feed(From::err, "one\ntwo\n\nthree");
    EXPECT_EQ(take(), "one\ntwo\n");
    output.feed(From::err, " goes on\n");
    EXPECT_EQ(take(), "three goes on\n");
}

TEST_F(WorkerOutputTest, says_who_said_it)
{
    WorkerOutput output = make(true);
    output.feed(From::out, "hello\n");
    output.feed(From::err, "world\n");
    EXPECT_EQ(take(), "WARNING: [pool www] child 12 said into stdout: \"hello\"\n"
                      "WARNING: [pool www] child 12 said into stderr: \"world\"\n");
}

TEST_F(WorkerOutputTest, changing_the_stream_ends_a_line)
{
    WorkerOutput output = make(true);
    output.feed(From::err, "half");
    output.feed(From::out, "other\n");
    EXPECT_EQ(take(), "WARNING: [pool www] child 12 said into stderr: \"half\"\n"
                      "WARNING: [pool www] child 12 said into stdout: \"other\"\n");
}

TEST_F(WorkerOutputTest, the_end_of_a_request_ends_a_line)
{
    WorkerOutput output = make();
    output.feed(From::err, "unfinished" + mark_);
    EXPECT_EQ(take(), "unfinished\n");
    output.feed(From::err, "line\n" + mark_ + "next\n" + mark_ + mark_);
    EXPECT_EQ(take(), "line\nnext\n") << "no line for the mark alone";
}

TEST_F(WorkerOutputTest, the_mark_may_come_in_pieces)
{
    for (std::size_t cut = 1; cut < mark_.size(); ++cut) {
        WorkerOutput output = make();
        output.feed(From::err, "abc" + mark_.substr(0, cut));
        EXPECT_EQ(take(), "");
        output.feed(From::err, mark_.substr(cut) + "d\n");
        EXPECT_EQ(take(), "abc\nd\n") << cut;
    }
}

TEST_F(WorkerOutputTest, what_only_begins_like_the_mark_is_text)
{
    WorkerOutput output = make();
    output.feed(From::err, std::string_view("a\0fsc", 5));
    output.feed(From::err, std::string_view("X\0b\n", 4));
    EXPECT_EQ(take(), std::string("a\0fscX\0b\n", 9));
}

TEST_F(WorkerOutputTest, a_message_is_a_line_of_its_own)
{
    WorkerOutput output = make();
    output.feed(From::err, "half");
    output.message("NOTICE: PHP message: x\ny");
    output.feed(From::err, "rest\n");
    EXPECT_EQ(take(), "half\nNOTICE: PHP message: x\ny\nrest\n");
}

TEST_F(WorkerOutputTest, a_closed_pipe_ends_a_line)
{
    WorkerOutput output = make(true);
    output.feed(From::err, "last");
    output.close(false);
    output.close(false);
    EXPECT_EQ(take(), "WARNING: [pool www] child 12 said into stderr: \"last\"\n");
    WorkerOutput sudden = make(true);
    sudden.feed(From::err, "last");
    sudden.close(true);
    EXPECT_EQ(take(), "WARNING: [pool www] child 12 said into stderr: \"last\", pipe is closed\n");
}

TEST_F(WorkerOutputTest, keeps_no_more_than_the_limit)
{
    WorkerOutput output = make(false, 512);
    for (int i = 0; i < 700; ++i) {
        output.feed(From::err, "x");
    }
    EXPECT_EQ(take(), std::string(511, 'x') + "\n");
}

}  // namespace
}  // namespace ftm::master
