#include "observe/log_stream.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ftm::observe {
namespace {

// 20 bytes of prefix and quotes, so that lines can be counted by hand.
class LogStreamTest : public ::testing::Test {
protected:
    LogStream stream(LogStream::Settings settings)
    {
        LogStream made(settings, [] { return std::string("[time] "); }, [this](std::string_view bytes) {
            writes_.emplace_back(bytes);
            written_ += bytes;
        });
        made.set_message_prefix("pool said: ");
        return made;
    }
    std::vector<std::string> writes_;
    std::string written_;
};

TEST_F(LogStreamTest, joins_pieces_into_one_line)
{
    for (const bool buffered : {true, false}) {
        written_.clear();
        writes_.clear();
        LogStream s = stream({.buffered = buffered});
        s.append("one ");
        s.append("");
        s.append("two");
        if (buffered) {
            EXPECT_EQ(writes_.size(), 0U) << "one write per line";
        }
        s.finish();
        s.finish();
        s.append("three");
        s.finish();
        EXPECT_EQ(written_, "[time] pool said: \"one two\"\n[time] pool said: \"three\"\n") << buffered;
        if (buffered) {
            EXPECT_EQ(writes_.size(), 2U);
        }
    }
}

TEST_F(LogStreamTest, nothing_is_no_line)
{
    LogStream s = stream({});
    s.finish();
    s.append("");
    s.finish();
    EXPECT_EQ(written_, "");
}

// zlog.c: a physical line, with prefix, quotes and line feed, has at most log_limit bytes.
TEST_F(LogStreamTest, wraps_with_the_prefix_again)
{
    for (const bool buffered : {true, false}) {
        written_.clear();
        LogStream s = stream({.limit = 31, .buffered = buffered});  // 31 - 21: ten letters a line
        s.append("0123456789abcdefghijXYZ");
        s.finish();
        EXPECT_EQ(written_, "[time] pool said: \"0123456789\"\n[time] pool said: \"abcdefghij\"\n"
                            "[time] pool said: \"XYZ\"\n")
            << buffered;
    }
}

TEST_F(LogStreamTest, undecorated_lines_are_bare)
{
    for (const bool buffered : {true, false}) {
        written_.clear();
        LogStream s = stream({.limit = 6, .buffered = buffered, .decorated = false});
        s.append("abc");
        s.append("defghijk");
        s.finish();
        // What fits to the byte php-fpm ends at once when it does not buffer.
        EXPECT_EQ(written_, buffered ? "abcde\nfghij\nk\n" : "abcde\nfghijk\n");
    }
}

TEST_F(LogStreamTest, the_last_line_gets_the_suffix)
{
    LogStream s = stream({});
    s.set_final_suffix(", pipe is closed");
    s.append("end");
    s.finish();
    EXPECT_EQ(written_, "[time] pool said: \"end\", pipe is closed\n");
    written_.clear();
    LogStream bare = stream({.decorated = false});
    bare.set_final_suffix(", pipe is closed");
    bare.append("end");
    bare.finish();
    EXPECT_EQ(written_, "end\n");
}

TEST_F(LogStreamTest, a_prefix_beyond_the_limit_leaves_room_for_something)
{
    LogStream s = stream({.limit = 10});
    s.append("ab");
    s.finish();
    EXPECT_EQ(written_, "[time] pool said: \"a\"\n[time] pool said: \"b\"\n");
}

}  // namespace
}  // namespace ftm::observe
