#include "net/output.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace ftm::net {
namespace {

constexpr std::uint32_t kContext = 1;

class OutputTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        int fds[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        ours_.reset(fds[0]);
        theirs_.reset(fds[1]);
        const int smallest = 1; // the kernel raises it to a few KiB
        ASSERT_EQ(::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest), 0);
        output_.open();
    }

    SendResult send(const std::string& text, std::uint32_t holder = kContext, Output::Lane lane = 0)
    {
        const iovec part{const_cast<char*>(text.data()), text.size()};
        return output_.send(ours_.get(), {&part, 1}, holder, lane);
    }

    // What the peer can read now.
    std::string receive()
    {
        std::string got;
        char buffer[65536];
        for (ssize_t n; (n = ::recv(theirs_.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;) {
            got.append(buffer, static_cast<std::size_t>(n));
        }
        return got;
    }

    // As the standby thread: sends whatever is left while the peer reads.
    std::string drain_all(SendResult* last = nullptr)
    {
        std::string got;
        SendResult result;
        do {
            got += receive();
            result = output_.drain(ours_.get());
        } while (result == SendResult::queued);
        if (last != nullptr) {
            *last = result;
        }
        return got + receive();
    }

    UniqueFd ours_;
    UniqueFd theirs_;
    Output output_;
};

std::string pattern(std::size_t size, unsigned seed = 0)
{
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>('a' + (i + i / 251 + seed) % 26);
    }
    return text;
}

TEST_F(OutputTest, sends_at_once_what_the_socket_takes)
{
    EXPECT_EQ(send("hello"), SendResult::sent);
    EXPECT_FALSE(output_.pending());
    EXPECT_EQ(output_.holder(), Output::kNobody);
    EXPECT_EQ(receive(), "hello");
}

TEST_F(OutputTest, sends_many_parts_in_order)
{
    std::string pieces[16];
    iovec parts[16];
    std::string all;
    for (unsigned i = 0; i < 16; ++i) {
        pieces[i] = pattern(i * 37, i);
        parts[i] = {pieces[i].data(), pieces[i].size()};
        all += pieces[i];
    }
    SendResult result = output_.send(ours_.get(), parts, kContext);
    EXPECT_TRUE(result == SendResult::sent || result == SendResult::passed);
    EXPECT_EQ(drain_all(), all);
}

TEST_F(OutputTest, passes_to_the_standby_thread_when_the_socket_is_full)
{
    const std::string text = pattern(300'000);
    EXPECT_EQ(send(text), SendResult::passed);
    EXPECT_EQ(output_.holder(), Output::kStandby);
    EXPECT_TRUE(output_.pending());
    EXPECT_EQ(send("the end"), SendResult::queued) << "contexts only append from here on";
    SendResult last{};
    EXPECT_EQ(drain_all(&last), text + "the end");
    EXPECT_EQ(last, SendResult::sent);
    EXPECT_EQ(output_.holder(), Output::kNobody);
    EXPECT_EQ(send("again"), SendResult::sent);
    EXPECT_EQ(receive(), "again");
}

TEST_F(OutputTest, a_full_socket_in_the_middle_of_a_part_loses_and_repeats_nothing)
{
    std::string first = pattern(3'000, 1);
    std::string second = pattern(100'000, 2);
    std::string third = pattern(10, 3);
    const iovec parts[] = {{first.data(), first.size()}, {second.data(), second.size()}, {third.data(), third.size()}};
    EXPECT_EQ(output_.send(ours_.get(), parts, kContext), SendResult::passed);
    EXPECT_EQ(drain_all(), first + second + third);
}

TEST_F(OutputTest, drain_without_the_right_does_nothing)
{
    EXPECT_EQ(output_.drain(ours_.get()), SendResult::sent);
}

TEST_F(OutputTest, drain_waits_while_the_peer_does_not_read)
{
    ASSERT_EQ(send(pattern(100'000)), SendResult::passed);
    EXPECT_EQ(output_.drain(ours_.get()), SendResult::queued);
    EXPECT_EQ(output_.holder(), Output::kStandby);
}

TEST_F(OutputTest, spools_beyond_its_memory)
{
    const std::string text = pattern(3 * Output::kMemory + 12'345);
    EXPECT_EQ(send(text), SendResult::passed);
    EXPECT_EQ(send("tail"), SendResult::queued);
    EXPECT_GT(output_.pending_bytes(), 2 * Output::kMemory);
    SendResult last{};
    EXPECT_EQ(drain_all(&last), text + "tail");
    EXPECT_EQ(last, SendResult::sent);
    EXPECT_EQ(output_.pending_bytes(), 0U);
}

TEST_F(OutputTest, keeps_order_when_the_spool_fills_while_it_drains)
{
    std::string expected;
    std::string got;
    for (unsigned i = 0; i < 60; ++i) {
        const std::string text = pattern(100'000, i);
        expected += text;
        send(text);
        got += receive();
        output_.drain(ours_.get());
    }
    EXPECT_EQ(got + drain_all(), expected);
}

// A file system that is full from here on, for this process.
class SmallDisk {
public:
    explicit SmallDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN))
    {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit small{bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    ~SmallDisk()
    {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, handler_);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

private:
    rlimit old_{};
    void (*handler_)(int);
};

TEST_F(OutputTest, what_a_full_disk_refuses_stays_in_memory)
{
    std::string expected;
    {
        const SmallDisk disk(250'000);
        for (unsigned i = 0; i < 40; ++i) {
            const std::string text = pattern(60'000, i);
            expected += text;
            send(text);
        }
    }
    EXPECT_EQ(output_.disk_error(), EFBIG);
    EXPECT_FALSE(output_.gone());
    EXPECT_EQ(drain_all(), expected);
    EXPECT_EQ(output_.disk_error(), 0);
    EXPECT_EQ(send("on"), SendResult::sent);
}

TEST_F(OutputTest, a_directory_that_is_not_there_keeps_all_in_memory)
{
    output_.open("/nonexistent");
    std::string expected;
    for (unsigned i = 0; i < 40; ++i) {
        const std::string text = pattern(60'000, i);
        expected += text;
        send(text);
    }
    EXPECT_EQ(output_.disk_error(), ENOENT);
    EXPECT_EQ(drain_all(), expected);
}

// Units "<lane letter><bytes>\n"; the lanes in the order in which their units arrive.
std::string lanes_of(const std::string& got)
{
    std::string order;
    for (std::size_t at = 0; at < got.size(); at = got.find('\n', at) + 1) {
        order += got[at];
    }
    return order;
}

TEST_F(OutputTest, lanes_take_turns)
{
    const auto unit = [](char lane) { return std::string(1, lane) + std::string(60'000, '.') + "\n"; };
    ASSERT_EQ(send(pattern(300'000)), SendResult::passed);
    std::size_t unsent = output_.pending_bytes();
    for (int i = 0; i < 30; ++i) {
        send(unit('A'), kContext, 7);
    }
    send("Bsmall\n", kContext, 8);
    send("Csmall\n", kContext, 9);
    send(unit('B'), kContext, 8);
    const std::string got = drain_all().substr(300'000);
    EXPECT_GT(unsent, 0U);
    const std::string order = lanes_of(got);
    EXPECT_EQ(order.size(), 33U);
    EXPECT_LE(order.find('B'), 6U) << order;
    EXPECT_LE(order.find('C'), 6U) << order;
    EXPECT_EQ(std::count(order.begin(), order.end(), 'A'), 30);
}

TEST_F(OutputTest, a_unit_is_never_torn_by_another_lane)
{
    std::string seen[3];
    std::string expected[3];
    std::string got;
    for (unsigned i = 0; i < 600; ++i) {
        const unsigned lane = i * 7 % 3;
        const std::string text = std::string(1, static_cast<char>('A' + lane)) + std::to_string(i) + std::string(i * 977 % 70'000, '.') + "\n";
        expected[lane] += text;
        send(text, kContext, static_cast<std::uint16_t>(lane));
        if (i % 50 == 0) {
            got += receive();
            output_.drain(ours_.get());
        }
    }
    got += drain_all();
    for (std::size_t at = 0; at < got.size();) {
        const std::size_t end = got.find('\n', at) + 1;
        seen[got[at] - 'A'] += got.substr(at, end - at);
        at = end;
    }
    for (unsigned lane = 0; lane < 3; ++lane) {
        EXPECT_TRUE(seen[lane] == expected[lane]) << lane;
    }
}

TEST_F(OutputTest, a_lane_waits_for_its_own_output_only)
{
    ASSERT_EQ(send(pattern(400'000), kContext, 1), SendResult::passed);
    send(pattern(400'000), kContext, 1);
    EXPECT_GE(output_.queued_in(1), 400'000U);
    EXPECT_EQ(output_.queued_in(2), 0U);
    EXPECT_TRUE(output_.wait_below(0, 0, 2));
    EXPECT_FALSE(output_.wait_below(100'000, 1, 1));
    send("small", kContext, 2);
    EXPECT_EQ(output_.queued_in(2), 5U);
}

TEST_F(OutputTest, discards_one_lane)
{
    ASSERT_EQ(send(pattern(300'000), kContext, 1), SendResult::passed);
    const std::string rest = pattern(2 * Output::kMemory);
    send(rest, kContext, 1);
    send("other", kContext, 2);
    output_.discard(1);
    EXPECT_EQ(drain_all(), pattern(300'000) + "other");
    EXPECT_EQ(output_.pending_bytes(), 0U);
}

TEST_F(OutputTest, one_call_of_drain_sends_no_more_than_a_burst)
{
    int large = 8 << 20;
    ASSERT_EQ(::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large) == 0 ||
                  ::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large) == 0, true);
    output_.seize();
    for (int i = 0; i < 64; ++i) {
        send(pattern(64'000));
    }
    EXPECT_EQ(output_.drain(ours_.get()), SendResult::queued);
    EXPECT_GT(output_.pending_bytes(), 0U);
    EXPECT_EQ(drain_all().size(), 64U * 64'000U);
}

TEST_F(OutputTest, a_peer_that_is_gone_is_told)
{
    theirs_.reset();
    EXPECT_EQ(send("hello"), SendResult::gone);
    EXPECT_TRUE(output_.gone());
    EXPECT_EQ(send("hello"), SendResult::gone);
}

TEST_F(OutputTest, a_peer_that_goes_while_output_is_queued_ends_it)
{
    ASSERT_EQ(send(pattern(100'000)), SendResult::passed);
    theirs_.reset();
    EXPECT_EQ(output_.drain(ours_.get()), SendResult::gone);
    EXPECT_TRUE(output_.gone());
    EXPECT_EQ(output_.holder(), Output::kNobody);
    EXPECT_FALSE(output_.pending());
}

TEST_F(OutputTest, set_gone_drops_what_is_queued)
{
    ASSERT_EQ(send(pattern(2 * Output::kMemory)), SendResult::passed);
    output_.set_gone();
    EXPECT_FALSE(output_.pending());
    EXPECT_EQ(send("more"), SendResult::gone);
    EXPECT_EQ(output_.drain(ours_.get()), SendResult::gone);
}

TEST_F(OutputTest, opened_again_it_is_new)
{
    ASSERT_EQ(send(pattern(100'000)), SendResult::passed);
    output_.set_gone();
    receive();
    output_.open();
    EXPECT_FALSE(output_.gone());
    EXPECT_EQ(send("new"), SendResult::sent);
    EXPECT_EQ(receive(), "new");
}

TEST_F(OutputTest, wait_below_returns_when_enough_was_sent)
{
    EXPECT_TRUE(output_.wait_below(0, 0));
    ASSERT_EQ(send(pattern(400'000)), SendResult::passed);
    EXPECT_FALSE(output_.wait_below(200'000, 1)) << "nobody reads";
    EXPECT_TRUE(output_.wait_below(400'000, 1));
    std::thread standby([this] { drain_all(); });
    EXPECT_TRUE(output_.wait_below(0, 10'000));
    standby.join();
}

TEST_F(OutputTest, wait_below_ends_when_the_peer_goes)
{
    ASSERT_EQ(send(pattern(400'000)), SendResult::passed);
    std::thread other([this] { output_.set_gone(); });
    EXPECT_FALSE(output_.wait_below(0, 10'000));
    other.join();
}

TEST_F(OutputTest, the_standby_thread_takes_the_right_of_a_crashed_holder)
{
    output_.seize();
    EXPECT_EQ(send("queued"), SendResult::queued);
    EXPECT_EQ(drain_all(), "queued");
    EXPECT_EQ(output_.holder(), Output::kNobody);
}

// Several senders at once, a standby thread that drains, a peer that reads in fits: every message arrives whole, those
// of one sender in its order. Run it under ThreadSanitizer.
TEST_F(OutputTest, concurrent_senders_keep_their_own_order)
{
    constexpr unsigned kSenders = 3;
    constexpr unsigned kMessages = 400;
    std::atomic<unsigned> done{0};
    std::vector<std::thread> threads;
    for (unsigned s = 0; s < kSenders; ++s) {
        threads.emplace_back([this, s, &done] {
            for (unsigned i = 0; i < kMessages; ++i) {
                std::string head(1, static_cast<char>('A' + s));
                std::string body = std::to_string(i) + ":" + std::string((i * 131 + s) % 1500, '.') + "\n";
                const iovec parts[] = {{head.data(), 1}, {body.data(), body.size()}};
                EXPECT_NE(output_.send(ours_.get(), parts, s + 1), SendResult::gone);
            }
            done.fetch_add(1);
        });
    }
    std::thread standby([this, &done] {
        while (done.load() != kSenders || output_.pending()) {
            output_.drain(ours_.get());
            std::this_thread::yield();
        }
    });
    std::string got;
    std::thread peer([this, &done, &got] {
        for (;;) {
            const bool last = done.load() == kSenders && !output_.pending();
            const std::string part = receive();
            got += part;
            if (last && part.empty()) {
                return;
            }
            std::this_thread::yield();
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    standby.join();
    peer.join();

    unsigned next[kSenders] = {};
    std::size_t at = 0;
    while (at < got.size()) {
        const std::size_t end = got.find('\n', at);
        ASSERT_NE(end, std::string::npos);
        const unsigned sender = static_cast<unsigned>(got[at] - 'A');
        ASSERT_LT(sender, kSenders) << "a message was torn at byte " << at;
        const unsigned number = static_cast<unsigned>(std::stoul(got.substr(at + 1)));
        ASSERT_EQ(number, next[sender]++);
        const std::string expected = std::to_string(number) + ":" + std::string((number * 131 + sender) % 1500, '.');
        ASSERT_EQ(got.substr(at + 1, end - at - 1), expected);
        at = end + 1;
    }
    for (const unsigned count : next) {
        EXPECT_EQ(count, kMessages);
    }
    EXPECT_EQ(output_.holder(), Output::kNobody);
}

}  // namespace
}  // namespace ftm::net
