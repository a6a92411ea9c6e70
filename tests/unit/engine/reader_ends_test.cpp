#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <tuple>

#include "engine/reader.hpp"

namespace ftm::engine {
namespace {

// A connection of an engine, as the owner of its read right meets it, and the channel to a successor.
class ReaderEnds : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::tie(core_.successor, received_) = Channel::make();
        session_ = core_.sessions.acquire();
        generation_ = session_->read_right.generation();
        int pair[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        session_->fd.reset(pair[0]);
        client_.reset(pair[1]);
    }

    [[nodiscard]] bool released() const { return session_->read_right.generation() != generation_; }

    observe::Scoreboard board_ = observe::Scoreboard::create("www", 2);
    config::Pool pool_;
    Core core_{[this] { Settings s; s.pool = &pool_; return s; }(), {}, Channel(), board_, -1};
    Reader reader_{core_, 1};
    Reader standby_{core_, net::Output::kStandby};
    Channel received_;
    UniqueFd client_;
    Session* session_ = nullptr;
    std::uint32_t generation_ = 0;
};

TEST_F(ReaderEnds, a_connection_that_is_idle_is_handed_over)
{
    EXPECT_TRUE(reader_.hand_over(*session_));
    EXPECT_TRUE(released());
}

// Drain looks at `busy` before it owns the right; a reader may have given out a request in between.
TEST_F(ReaderEnds, a_connection_whose_request_runs_is_not_handed_over)
{
    session_->busy.store(true);
    EXPECT_FALSE(reader_.hand_over(*session_));
    EXPECT_FALSE(released());
}

class StandbySends : public ReaderEnds {
protected:
    void SetUp() override
    {
        ReaderEnds::SetUp();
        const std::string much(4 << 20, 'x');
        const iovec part{const_cast<char*>(much.data()), much.size()};
        ASSERT_EQ(session_->output.send(session_->fd.get(), {&part, 1}, 1), net::SendResult::passed);
        session_->output.set_gone(); // as when a reader has seen the client hang up
    }
};

// The standby thread may be between its look at the connection and its sendmsg().
TEST_F(StandbySends, another_thread_does_not_close)
{
    reader_.close(*session_);
    EXPECT_FALSE(released());
    EXPECT_TRUE(session_->close_wanted.load());
    EXPECT_EQ(session_->output.drain(session_->fd.get()), net::SendResult::gone);
    ASSERT_EQ(session_->read_right.take(generation_), net::ReadRight::Take::taken);
    standby_.close(*session_);
    EXPECT_TRUE(released());
}

TEST_F(StandbySends, the_standby_thread_closes)
{
    standby_.close(*session_);
    EXPECT_TRUE(released());
}

}  // namespace
}  // namespace ftm::engine
