#include "net/output.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

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

    SendResult send(const std::string& text, std::uint32_t holder = kContext)
    {
        const iovec part{const_cast<char*>(text.data()), text.size()};
        return output_.send(ours_.get(), {&part, 1}, holder);
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

TEST_F(OutputTest, what_the_spool_refuses_stays_in_memory_and_the_writer_is_to_wait)
{
    const std::string text = pattern(3 * Output::kMemory);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{100'000, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
    EXPECT_FALSE(output_.full());
    EXPECT_EQ(send(text), SendResult::passed);
    EXPECT_TRUE(output_.full());
    EXPECT_EQ(send("behind it"), SendResult::queued);
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, old_handler);
    EXPECT_FALSE(output_.gone());
    EXPECT_FALSE(output_.wait_below(Output::kMemory, 0));
    EXPECT_EQ(send(" and this"), SendResult::queued);
    SendResult last{};
    EXPECT_EQ(drain_all(&last), text + "behind it and this") << "in order, also what came when there was room again";
    EXPECT_EQ(last, SendResult::sent);
    EXPECT_FALSE(output_.full());
    EXPECT_TRUE(output_.wait_below(Output::kMemory, 0));
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
