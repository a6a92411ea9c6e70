#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <span>
#include <string>
#include <tuple>
#include <vector>

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
    Core core_{[this] { Settings s; s.pool = &pool_; return s; }(), std::vector<Listener>(1), Channel(), board_, -1};
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

// Drain looks at `in_flight` before it owns the right; a reader may have given out a request in between.
TEST_F(ReaderEnds, a_connection_whose_request_runs_is_not_handed_over)
{
    session_->in_flight.store(1);
    EXPECT_FALSE(reader_.hand_over(*session_));
    EXPECT_FALSE(released());
}

// A front that multiplexes.
class SeveralRequests : public ReaderEnds {
protected:
    static std::string record(int type, unsigned id, const std::string& content = "")
    {
        return std::string{'\1', static_cast<char>(type), static_cast<char>(id >> 8), static_cast<char>(id),
                           static_cast<char>(content.size() >> 8), static_cast<char>(content.size()), '\0', '\0'} + content;
    }
    static std::string begin(unsigned id, bool keep = true)
    {
        return record(1, id, std::string{'\0', '\1', keep ? '\1' : '\0', '\0', '\0', '\0', '\0', '\0'});
    }
    static std::string whole(unsigned id, bool keep = true) { return begin(id, keep) + record(4, id) + record(5, id); }

    void send(const std::string& bytes)
    {
        ASSERT_EQ(::send(client_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }
    std::string received()
    {
        char buffer[4096];
        const ssize_t n = ::recv(client_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
    }
    // What a thread does that is woken for the connection.
    Job* read()
    {
        EXPECT_EQ(session_->read_right.take(generation_), net::ReadRight::Take::taken);
        return reader_.read(*session_, 0);
    }
    Job* queued()
    {
        Job* job = nullptr;
        core_.pop_any(job);
        return job;
    }
    Job* end(Job* job, bool keep = true)
    {
        OpenRequest& open = *job->open;
        reader_.recycle(job);
        return reader_.request_ended(*session_, open, keep);
    }
};

TEST_F(SeveralRequests, of_one_read_are_run_here_and_queued)
{
    send(whole(1) + whole(3) + begin(5) + whole(7));
    Job* first = reader_.read(*session_, 0);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->request.id, 1);
    Job* second = queued();
    Job* third = queued();
    ASSERT_TRUE(second != nullptr && third != nullptr);
    EXPECT_EQ(second->request.id, 3);
    EXPECT_EQ(third->request.id, 7);
    EXPECT_EQ(session_->in_flight.load(), 3U);
    EXPECT_TRUE(session_->shared.load());
    EXPECT_EQ(session_->registration.load(), Registration::registered);
    EXPECT_EQ(end(third), nullptr);
    EXPECT_EQ(end(first), nullptr);
    send(record(4, 5) + record(5, 5) + whole(7));
    Job* fifth = read();
    ASSERT_NE(fifth, nullptr);
    EXPECT_EQ(fifth->request.id, 5);
    Job* again = queued();
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(again->request.id, 7);
    EXPECT_EQ(session_->in_flight.load(), 3U);
    for (Job* job : {second, fifth, again}) {
        EXPECT_EQ(end(job), nullptr);
    }
    EXPECT_EQ(session_->in_flight.load(), 0U);
    EXPECT_FALSE(released());
}

TEST_F(SeveralRequests, the_last_one_closes_what_one_has_asked_to_close)
{
    send(whole(1) + whole(2, false) + whole(3));
    Job* first = reader_.read(*session_, 0);
    Job* second = queued();
    Job* third = queued();
    ASSERT_TRUE(first != nullptr && second != nullptr && third != nullptr);
    end(second, false);
    EXPECT_FALSE(released());
    end(first);
    EXPECT_FALSE(released());
    end(third);
    EXPECT_TRUE(released());
}

TEST_F(SeveralRequests, an_id_in_use_waits_for_its_end)
{
    send(whole(1) + whole(2) + whole(1));
    Job* first = reader_.read(*session_, 0);
    Job* second = queued();
    ASSERT_TRUE(first != nullptr && second != nullptr);
    EXPECT_EQ(queued(), nullptr);
    EXPECT_TRUE(session_->has_pending.load());
    EXPECT_EQ(end(second), nullptr) << "another one's end changes nothing";
    Job* again = end(first);
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(again->request.id, 1);
    EXPECT_FALSE(session_->has_pending.load());
    EXPECT_EQ(end(again), nullptr);
}

TEST_F(SeveralRequests, an_abort_meets_its_own)
{
    send(whole(1) + whole(2) + begin(3));
    Job* first = reader_.read(*session_, 0);
    Job* second = queued();
    ASSERT_TRUE(first != nullptr && second != nullptr);
    send(record(2, 2) + record(2, 3) + record(2, 9));
    EXPECT_EQ(read(), nullptr);
    EXPECT_FALSE(first->open->aborted.load());
    EXPECT_TRUE(second->open->aborted.load());
    EXPECT_EQ(received(), record(3, 3, std::string(8, '\0')));
    end(first);
    end(second);
}

TEST_F(SeveralRequests, a_draining_connection_takes_no_more_and_leaves_behind_the_last)
{
    send(whole(1) + whole(2) + begin(3));
    Job* first = reader_.read(*session_, 0);
    Job* second = queued();
    ASSERT_TRUE(first != nullptr && second != nullptr);
    core_.draining.store(true);
    send(record(4, 3) + record(5, 3) + whole(4));
    Job* third = read();
    ASSERT_NE(third, nullptr);
    EXPECT_EQ(third->request.id, 3) << "its records were on the way";
    EXPECT_EQ(queued(), nullptr);
    EXPECT_EQ(end(first), nullptr);
    EXPECT_EQ(end(third), nullptr);
    EXPECT_FALSE(released());
    EXPECT_EQ(end(second), nullptr);
    EXPECT_TRUE(released());
    Message message;
    ASSERT_EQ(received_.receive(message), Channel::Receive::message);
    EXPECT_EQ(message.kind, Message::Kind::connection);
    EXPECT_NE(message.text.find(whole(4).substr(8)), std::string::npos) << "the held one goes along, unparsed";
}

TEST_F(SeveralRequests, those_that_wait_leave_together)
{
    send(whole(1) + whole(2) + begin(3));
    std::vector<Job*> jobs{reader_.read(*session_, 0), queued()};
    ASSERT_TRUE(jobs[0] != nullptr && jobs[1] != nullptr);
    EXPECT_FALSE(reader_.hand_over_queued(std::span(jobs).first(1))) << "the other one is not with it";
    EXPECT_FALSE(released());
    EXPECT_TRUE(reader_.hand_over_queued(jobs));
    EXPECT_TRUE(released());
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
