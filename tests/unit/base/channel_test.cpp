#include "base/channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

namespace ftm {
namespace {

using Kind = Message::Kind;
using Receive = Channel::Receive;

UniqueFd file_with(const char* text)
{
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), text, std::strlen(text)), static_cast<ssize_t>(std::strlen(text)));
    return fd;
}

std::string content(const UniqueFd& fd)
{
    char buffer[64];
    const ssize_t n = ::pread(fd.get(), buffer, sizeof buffer, 0);
    return n < 0 ? "" : std::string(buffer, static_cast<std::size_t>(n));
}

TEST(Channel, carries_kind_arguments_and_text)
{
    auto [a, b] = Channel::make();
    const std::string text("with\0zero", 9);
    ASSERT_TRUE(a.send(Kind::engine_exited, {1, -2, INT64_MIN, INT64_MAX}, text));
    Message got;
    ASSERT_EQ(b.receive(got), Receive::message);
    EXPECT_EQ(got.kind, Kind::engine_exited);
    EXPECT_EQ(got.args, (std::array<std::int64_t, 4>{1, -2, INT64_MIN, INT64_MAX}));
    EXPECT_EQ(got.text, text);
    EXPECT_TRUE(got.fds.empty());
    EXPECT_EQ(b.receive(got), Receive::nothing);
}

TEST(Channel, keeps_messages_apart_and_in_order_in_both_directions)
{
    auto [a, b] = Channel::make();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(a.send(Kind::drain, {i}, std::string(static_cast<std::size_t>(i), 'x')));
        ASSERT_TRUE(b.send(Kind::stop, {-i}));
    }
    for (int i = 0; i < 20; ++i) {
        Message got;
        ASSERT_EQ(b.receive(got), Receive::message);
        EXPECT_EQ(got.args[0], i);
        EXPECT_EQ(got.text.size(), static_cast<std::size_t>(i));
        ASSERT_EQ(a.receive(got), Receive::message);
        EXPECT_EQ(got.args[0], -i);
    }
}

TEST(Channel, carries_the_largest_text)
{
    auto [a, b] = Channel::make();
    ASSERT_TRUE(a.send(Kind::connection, {}, std::string(64 << 10, 'x')));
    Message got;
    ASSERT_EQ(b.receive(got), Receive::message);
    EXPECT_EQ(got.kind, Kind::connection);
    EXPECT_EQ(got.text.size(), std::size_t{64} << 10);
}

TEST(Channel, carries_descriptors_in_order_and_close_on_exec)
{
    auto [a, b] = Channel::make();
    const UniqueFd files[] = {file_with("0"), file_with("1"), file_with("2"), file_with("3"),
                              file_with("4"), file_with("5"), file_with("6"), file_with("7")};
    std::vector<int> fds;
    for (const UniqueFd& file : files) {
        fds.push_back(file.get());
    }
    ASSERT_TRUE(a.send(Kind::take_over, {}, "eight", fds));
    Message got;
    ASSERT_EQ(b.receive(got), Receive::message);
    ASSERT_EQ(got.fds.size(), 8U);
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(content(got.fds[i]), std::to_string(i));
        EXPECT_NE(::fcntl(got.fds[i].get(), F_GETFD) & FD_CLOEXEC, 0);
    }
}

TEST(Channel, its_ends_are_close_on_exec)
{
    auto [a, b] = Channel::make();
    EXPECT_NE(::fcntl(a.fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(b.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Channel, a_closed_peer_is_told_after_its_last_message)
{
    auto [a, b] = Channel::make();
    ASSERT_TRUE(a.send(Kind::engine_ready));
    a.close();
    Message got;
    EXPECT_EQ(b.receive(got), Receive::message);
    EXPECT_EQ(b.receive(got), Receive::closed);
    EXPECT_FALSE(b.send(Kind::stop));
}

TEST(Channel, an_unusable_descriptor_is_a_closed_peer)
{
    const Channel none;
    Message got;
    EXPECT_FALSE(none.valid());
    EXPECT_EQ(none.receive(got), Receive::closed);
    EXPECT_FALSE(none.send(Kind::stop));
}

TEST(Channel, another_version_is_unknown_and_its_descriptors_are_closed)
{
    auto [a, b] = Channel::make();
    ASSERT_TRUE(a.send(Kind::drain, {1}, "text"));
    char raw[256];
    const ssize_t size = ::recv(b.fd(), raw, sizeof raw, 0);
    ASSERT_GT(size, 0);
    raw[0] = 2; // the version is first
    ASSERT_EQ(::send(a.fd(), raw, static_cast<std::size_t>(size), 0), size);
    Message got;
    got.kind = Kind::stop;
    got.text = "old";
    EXPECT_EQ(b.receive(got), Receive::message);
    EXPECT_EQ(got.kind, Kind::unknown);
    EXPECT_EQ(got.text, "");
}

TEST(Channel, damaged_messages_are_unknown)
{
    auto [a, b] = Channel::make();
    ASSERT_TRUE(a.send(Kind::drain, {1}, "text"));
    char raw[256];
    const ssize_t size = ::recv(b.fd(), raw, sizeof raw, 0);
    ASSERT_GT(size, 0);
    for (ssize_t cut = 1; cut < size; ++cut) {
        ASSERT_EQ(::send(a.fd(), raw, static_cast<std::size_t>(cut), 0), cut);
        Message got;
        ASSERT_EQ(b.receive(got), Receive::message) << cut;
        EXPECT_EQ(got.kind, Kind::unknown) << cut;
    }
}

TEST(Channel, blocks_until_a_slow_peer_reads)
{
    auto [a, b] = Channel::make();
    constexpr int kMessages = 2000;
    std::thread sender([&a = a] {
        for (int i = 0; i < kMessages; ++i) {
            ASSERT_TRUE(a.send(Kind::connection, {i}, std::string(4096, 'x')));
        }
    });
    for (int i = 0; i < kMessages;) {
        Message got;
        if (b.receive(got) == Receive::message) {
            ASSERT_EQ(got.args[0], i++);
        } else {
            std::this_thread::yield();
        }
    }
    sender.join();
}

TEST(Channel, takes_messages_of_several_writers)
{
    auto [a, b] = Channel::make();
    std::vector<std::thread> writers;
    for (int w = 0; w < 3; ++w) {
        writers.emplace_back([&a = a, w] {
            for (int i = 0; i < 200; ++i) {
                ASSERT_TRUE(a.send(Kind::connection, {w, i}, std::string(static_cast<std::size_t>(w), 'x')));
            }
        });
    }
    std::int64_t next[3] = {};
    for (int received = 0; received < 600;) {
        Message got;
        if (b.receive(got) == Receive::message) {
            ++received;
            const auto writer = static_cast<std::size_t>(got.args[0]);
            ASSERT_LT(writer, 3U);
            EXPECT_EQ(got.args[1], next[writer]++);
            EXPECT_EQ(got.text.size(), writer);
        }
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
}

}  // namespace
}  // namespace ftm
