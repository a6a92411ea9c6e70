#include "fcgi/writer.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace ftm::fcgi {
namespace {

using namespace std::string_literals;

std::string text(const auto& bytes)
{
    return std::string(bytes.data(), bytes.size());
}

TEST(Writer, writes_a_header)
{
    std::string out(10, 'x');
    write_header(out.data() + 1, RecordType::std_out, 0x1234, 0xfff8, 7);
    EXPECT_EQ(out, "x\1\6\x12\x34\xff\xf8\7\0x"s);
}

TEST(Writer, writes_fixed_records)
{
    EXPECT_EQ(text(end_request_record(0x0102, 0x03040506, ProtocolStatus::request_complete)),
              "\1\3\1\2\0\10\0\0\3\4\5\6\0\0\0\0"s);
    EXPECT_EQ(text(end_request_record(1, 0, ProtocolStatus::overloaded)), "\1\3\0\1\0\10\0\0\0\0\0\0\2\0\0\0"s);
    EXPECT_EQ(text(unknown_type_record(0xfe)), "\1\13\0\0\0\10\0\0\xfe\0\0\0\0\0\0\0"s);
}

TEST(Writer, pads_to_eight)
{
    const std::vector<int> expected = {0, 7, 6, 5, 4, 3, 2, 1, 0, 7};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(padding_for(i), expected[i]);
        EXPECT_EQ(framed_capacity(i) % 8, 0U);
    }
}

TEST(Writer, splits_streams)
{
    for (const std::size_t size : {0U, 1U, 8U, 65527U, 65528U, 65529U, 65536U, 131056U, 131057U, 300000U}) {
        std::string data(size, '\0');
        std::iota(data.begin(), data.end(), '\1');
        std::string out = "before";
        append_stream(out, RecordType::std_err, 7, data);

        std::string content;
        std::size_t at = 6;
        while (at < out.size()) {
            FCGI_Header header;
            std::memcpy(&header, out.data() + at, sizeof header);
            const std::size_t length = header.contentLengthB1 * 256U + header.contentLengthB0;
            EXPECT_EQ(header.type, FCGI_STDERR);
            EXPECT_EQ(header.requestIdB0, 7);
            EXPECT_EQ(header.paddingLength, padding_for(length));
            EXPECT_GT(length, 0U);
            EXPECT_TRUE(length == kMaxSentContentBytes || content.size() + length == size);
            content.append(out, at + 8, length);
            EXPECT_EQ(out.substr(at + 8 + length, header.paddingLength), std::string(header.paddingLength, '\0'));
            at += 8 + length + header.paddingLength;
        }
        EXPECT_TRUE(content == data);
    }
}

TEST(Writer, frames_in_place_what_it_would_append)
{
    for (const std::size_t size : {1U, 7U, 8U, 9U, 8184U, 65527U, 65528U}) {
        std::string appended;
        append_stream(appended, RecordType::std_out, 3, std::string(size, 'c'));
        std::string buffer(framed_capacity(size), '?');
        buffer.replace(kHeaderBytes, size, size, 'c');
        EXPECT_EQ(frame_in_place(buffer.data(), RecordType::std_out, 3, size), buffer.size());
        EXPECT_TRUE(buffer == appended);
    }
}

TEST(WriterDeathTest, checks_the_framed_length)
{
    std::string buffer(70000, '?');
    EXPECT_DEATH(static_cast<void>(frame_in_place(buffer.data(), RecordType::std_out, 1, 0)), "check failed");
    EXPECT_DEATH(static_cast<void>(frame_in_place(buffer.data(), RecordType::std_out, 1, 65529)), "check failed");
}

}  // namespace
}  // namespace ftm::fcgi
