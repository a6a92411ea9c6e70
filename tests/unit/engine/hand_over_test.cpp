#include "engine/hand_over.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "engine/session_table.hpp"
#include "fcgi/params.hpp"

namespace ftm::engine {
namespace {

std::string record(int type, const std::string& content, unsigned id = 1)
{
    std::string out{'\1', static_cast<char>(type), static_cast<char>(id >> 8), static_cast<char>(id),
                    static_cast<char>(content.size() >> 8), static_cast<char>(content.size()), '\0', '\0'};
    return out + content;
}

std::string begin(bool keep = true) { return record(1, std::string{'\0', '\1', keep ? '\1' : '\0', '\0', '\0', '\0', '\0', '\0'}); }

std::string pattern(std::size_t size)
{
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(i * 7 + i / 253);
    }
    return text;
}

// Two engines' tables and the channel between them.
class HandOver : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::tie(channel_, received_) = Channel::make();
        from_ = old_table_.acquire();
        to_ = new_table_.acquire();
        int pair[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        from_->fd.reset(pair[0]);
        client_.reset(pair[1]);
        from_->listener = 3;
    }

    // As the reader does: bytes into the machine, events into places.
    void feed(Session& session, std::string_view input)
    {
        for (;;) {
            const fcgi::Step step = session.machine.step(input);
            input.remove_prefix(step.consumed);
            OpenRequest* const open = session.requests.find(step.request_id);
            switch (step.kind) {
                case fcgi::StepKind::request_begin: {
                    OpenRequest& place = session.requests.add(step.request_id);
                    place.building = std::make_unique<Job>();
                    place.building->request.id = step.request_id;
                    place.building->request.keep_conn = step.keep_conn;
                    place.building->request.accepted = accepted_;
                    break;
                }
                case fcgi::StepKind::params_end:
                    EXPECT_TRUE(fcgi::decode_params(session.machine.params(step.request_id), [&](auto name, auto value) {
                        open->building->request.params.set(name, value);
                    }));
                    break;
                case fcgi::StepKind::stdin_data:
                    open->building->request.body.append(step.data);
                    break;
                case fcgi::StepKind::stdin_end:
                    whole_.push_back(std::move(open->building));
                    break;
                case fcgi::StepKind::need_more:
                    return;
                default:
                    FAIL() << "step " << static_cast<int>(step.kind);
            }
        }
    }

    [[nodiscard]] std::vector<Job*> whole() const
    {
        std::vector<Job*> jobs;
        for (const auto& job : whole_) {
            jobs.push_back(job.get());
        }
        return jobs;
    }
    static Job* building(Session& session, std::uint16_t id = 1)
    {
        OpenRequest* const open = session.requests.find(id);
        return open != nullptr ? open->building.get() : nullptr;
    }

    bool transfer()
    {
        EXPECT_TRUE(send_session(channel_, *from_, whole()));
        return receive();
    }
    bool receive()
    {
        Message message;
        if (received_.receive(message) != Channel::Receive::message) {
            return false;
        }
        EXPECT_EQ(message.kind, Message::Kind::connection);
        last_ = std::move(message);
        return receive_session(last_, *to_, got_);
    }

    // The descriptor is the client's connection.
    void expect_connected()
    {
        ASSERT_TRUE(to_->fd.valid());
        ASSERT_EQ(::send(to_->fd.get(), "hello", 5, 0), 5);
        char text[8] = "";
        EXPECT_EQ(::recv(client_.get(), text, sizeof text, MSG_DONTWAIT), 5);
        EXPECT_STREQ(text, "hello");
        EXPECT_EQ(to_->listener, 3U);
    }

    static std::string body_of(Job& job)
    {
        std::string text(job.request.body.stored(), '\0');
        std::size_t at = 0;
        while (const std::size_t n = job.request.body.read(text.data() + at, text.size() - at)) {
            at += n;
        }
        text.resize(at);
        return text;
    }

    void whole_request_with_body(std::size_t size)
    {
        const std::string params = [] {
            std::string block;
            fcgi::append_pair(block, "SCRIPT_FILENAME", "/srv/index.php");
            fcgi::append_pair(block, "REQUEST_URI", "/a?b");
            fcgi::append_pair(block, "EMPTY", "");
            return block;
        }();
        const std::string body = pattern(size);
        feed(*from_, begin() + record(4, params) + record(4, ""));
        for (std::size_t at = 0; at < size; at += 65535) {
            feed(*from_, record(5, body.substr(at, 65535)));
        }
        feed(*from_, record(5, ""));
        ASSERT_EQ(whole_.size(), 1U);
        ASSERT_TRUE(transfer());
        expect_connected();
        ASSERT_EQ(got_.size(), 1U);
        const request::Request& r = got_[0]->request;
        EXPECT_EQ(r.id, 1);
        EXPECT_EQ(r.role, 1);
        EXPECT_TRUE(r.keep_conn);
        EXPECT_EQ(r.accepted, accepted_);
        EXPECT_STREQ(r.params.value_z("SCRIPT_FILENAME"), "/srv/index.php");
        EXPECT_STREQ(r.params.value_z("REQUEST_URI"), "/a?b");
        EXPECT_STREQ(r.params.value_z("EMPTY"), "");
        std::string order;
        std::string old_order;
        r.params.for_each([&](auto name, auto) { order += name; });
        whole_[0]->request.params.for_each([&](auto name, auto) { old_order += name; });
        EXPECT_EQ(order, old_order);
        EXPECT_EQ(r.body.size(), size);
        EXPECT_TRUE(body_of(*got_[0]) == body);
        EXPECT_EQ(got_[0]->session, to_);
        EXPECT_EQ(got_[0]->generation, to_->read_right.generation());
        EXPECT_EQ(to_->in_flight.load(), 1U);
        ASSERT_NE(got_[0]->open, nullptr);
        EXPECT_EQ(got_[0]->open, to_->requests.find(1));
        EXPECT_FALSE(to_->requests.any_building());
        // The connection goes on behind the answer.
        to_->machine.request_ended(1);
        to_->requests.remove(*got_[0]->open);
        whole_.clear();
        feed(*to_, begin(false) + record(4, ""));
        ASSERT_NE(building(*to_), nullptr);
        EXPECT_FALSE(building(*to_)->request.keep_conn);
    }

    SessionTable old_table_{fcgi::Limits{.max_requests = 8}, fcgi::ValuesReply{}};
    SessionTable new_table_{fcgi::Limits{.max_requests = 8}, fcgi::ValuesReply{}};
    Channel channel_;
    Channel received_;
    UniqueFd client_;
    Session* from_ = nullptr;
    Session* to_ = nullptr;
    std::vector<std::unique_ptr<Job>> whole_;
    std::vector<std::unique_ptr<Job>> got_;
    Message last_;
    const std::chrono::steady_clock::time_point accepted_{std::chrono::nanoseconds(123456789)};
};

TEST_F(HandOver, an_idle_connection)
{
    ASSERT_TRUE(transfer());
    expect_connected();
    EXPECT_TRUE(got_.empty());
    EXPECT_FALSE(to_->requests.any());
    EXPECT_EQ(to_->pending, "");
    EXPECT_EQ(to_->in_flight.load(), 0U);
    EXPECT_TRUE(to_->machine.idle());
}

TEST_F(HandOver, a_connection_after_every_byte_of_a_request)
{
    std::string params;
    fcgi::append_pair(params, "SCRIPT_FILENAME", "/srv/index.php");
    fcgi::append_pair(params, "CONTENT_LENGTH", "5");
    const std::string request =
        begin() + record(4, params) + record(4, "") + record(5, "he") + record(5, "llo") + record(5, "");
    for (std::size_t cut = 0; cut < request.size(); ++cut) {
        TearDown();
        old_table_.release(*from_);
        new_table_.release(*to_);
        got_.clear();
        whole_.clear();
        SetUp();
        feed(*from_, std::string_view(request).substr(0, cut));
        ASSERT_TRUE(transfer()) << cut;
        ASSERT_TRUE(got_.empty());
        feed(*to_, std::string_view(request).substr(cut));
        ASSERT_EQ(whole_.size(), 1U) << cut;
        EXPECT_STREQ(whole_[0]->request.params.value_z("SCRIPT_FILENAME"), "/srv/index.php") << cut;
        EXPECT_EQ(body_of(*whole_[0]), "hello") << cut;
        EXPECT_EQ(whole_[0]->request.body.size(), 5U);
        EXPECT_TRUE(whole_[0]->request.keep_conn);
    }
}

TEST_F(HandOver, a_whole_request_without_body) { whole_request_with_body(0); }
TEST_F(HandOver, a_whole_request_with_a_small_body) { whole_request_with_body(100); }
TEST_F(HandOver, a_whole_request_around_the_size_of_a_message)
{
    whole_request_with_body(32'000);
}
TEST_F(HandOver, a_whole_request_that_needs_a_memfd) { whole_request_with_body(200'000); }
TEST_F(HandOver, a_whole_request_whose_body_is_spooled) { whole_request_with_body(3'000'000); }

TEST_F(HandOver, a_spooled_body_that_is_still_growing)
{
    const std::string body = pattern(2'000'000);
    feed(*from_, begin() + record(4, ""));
    for (std::size_t at = 0; at < 1'500'000; at += 50'000) {
        feed(*from_, record(5, body.substr(at, 50'000)));
    }
    ASSERT_TRUE(building(*from_)->request.body.spooled());
    ASSERT_TRUE(transfer());
    for (std::size_t at = 1'500'000; at < body.size(); at += 50'000) {
        feed(*to_, record(5, body.substr(at, 50'000)));
    }
    feed(*to_, record(5, ""));
    ASSERT_EQ(whole_.size(), 1U);
    EXPECT_EQ(whole_[0]->request.body.size(), body.size());
    EXPECT_TRUE(body_of(*whole_[0]) == body);
}

// Two that wait for a context, two that are still arriving, one of each with its body in a file.
TEST_F(HandOver, a_connection_with_several_requests)
{
    const std::string large = pattern(1'500'000);
    const auto upload = [&](unsigned id, std::string_view body) {
        std::string bytes;
        for (std::size_t at = 0; at < body.size(); at += 50'000) {
            bytes += record(5, std::string(body.substr(at, 50'000)), id);
        }
        return bytes;
    };
    const auto opened = [](unsigned id) {
        std::string params;
        fcgi::append_pair(params, "N", std::to_string(id));
        return record(1, std::string{'\0', '\1', '\1', '\0', '\0', '\0', '\0', '\0'}, id) + record(4, params, id) + record(4, "", id);
    };
    feed(*from_, opened(3) + opened(1) + opened(300) + opened(7));
    feed(*from_, upload(300, large) + upload(3, "three") + upload(1, large) + record(5, "", 1) + record(5, "", 3) + upload(7, "se"));
    ASSERT_EQ(whole_.size(), 2U);
    ASSERT_TRUE(transfer());
    ASSERT_EQ(got_.size(), 2U);
    EXPECT_EQ(to_->in_flight.load(), 2U);
    EXPECT_EQ(to_->requests.open(), 4U);
    EXPECT_EQ(got_[0]->request.id, 1);
    EXPECT_TRUE(body_of(*got_[0]) == large);
    EXPECT_EQ(got_[1]->request.id, 3);
    EXPECT_EQ(body_of(*got_[1]), "three");
    EXPECT_STREQ(got_[1]->request.params.value_z("N"), "3");
    ASSERT_NE(building(*to_, 7), nullptr);
    ASSERT_NE(building(*to_, 300), nullptr);
    whole_.clear();
    feed(*to_, upload(7, "ven") + record(5, "", 7) + upload(300, "!") + record(5, "", 300));
    ASSERT_EQ(whole_.size(), 2U);
    EXPECT_EQ(body_of(*whole_[0]), "seven");
    EXPECT_TRUE(body_of(*whole_[1]) == large + "!");
    EXPECT_STREQ(whole_[1]->request.params.value_z("N"), "300");
}

TEST_F(HandOver, bytes_behind_a_whole_request)
{
    feed(*from_, begin() + record(4, "") + record(5, ""));
    from_->pending = begin() + "next";
    ASSERT_TRUE(transfer());
    EXPECT_EQ(to_->pending, begin() + "next");
    from_->pending = pattern(64 << 10);
    to_->requests.clear();
    ASSERT_TRUE(transfer());
    EXPECT_TRUE(to_->pending == pattern(64 << 10));
}

TEST_F(HandOver, many_parameters)
{
    feed(*from_, begin() + record(4, "") + record(5, ""));
    ASSERT_EQ(whole_.size(), 1U);
    for (int i = 0; i < 5000; ++i) {
        whole_[0]->request.params.set("HTTP_X_" + std::to_string(i), std::string(static_cast<std::size_t>(i % 200), 'v'));
    }
    ASSERT_TRUE(transfer());
    ASSERT_EQ(got_[0]->request.params.size(), 5000U);
    EXPECT_STREQ(got_[0]->request.params.value_z("HTTP_X_199"), std::string(199, 'v').c_str());
}

TEST_F(HandOver, a_successor_that_is_gone_changes_nothing)
{
    received_.close();
    feed(*from_, begin());
    EXPECT_FALSE(send_session(channel_, *from_, {}));
    EXPECT_TRUE(from_->fd.valid());
    EXPECT_NE(building(*from_), nullptr);
}

// ------------------------------------------------------------------------------------------------------------- damage

class Damaged : public HandOver {
protected:
    void SetUp() override
    {
        HandOver::SetUp();
        std::string params;
        fcgi::append_pair(params, "A", "B");
        feed(*from_, begin() + record(4, params) + record(4, "") + record(5, "body") + record(5, ""));
        ASSERT_TRUE(send_session(channel_, *from_, whole()));
        ASSERT_EQ(received_.receive(good_), Channel::Receive::message);
    }
    bool accepts(const std::string& payload, std::int64_t in_memfd = 0)
    {
        Message message;
        message.kind = Message::Kind::connection;
        message.args[0] = in_memfd;
        message.text = payload;
        message.fds.emplace_back(::dup(client_.get()));
        new_table_.release(*to_);
        to_ = new_table_.acquire();
        got_.clear();
        return receive_session(message, *to_, got_);
    }
    // Where struct FixedRequest has its fields; the version of the format says when that changes.
    [[nodiscard]] std::size_t request_at() const { return 24 + from_->machine.save().size(); }
    static constexpr std::size_t kSpool = 16;

    Message good_;
};

TEST_F(Damaged, not_in_this_case) { EXPECT_TRUE(accepts(good_.text)); }

TEST_F(Damaged, payloads_that_were_cut)
{
    for (std::size_t size = 0; size < good_.text.size(); ++size) {
        EXPECT_FALSE(accepts(good_.text.substr(0, size))) << size;
    }
    EXPECT_FALSE(accepts(good_.text + "x"));
}

TEST_F(Damaged, another_version)
{
    std::string payload = good_.text;
    ++payload[0];
    EXPECT_FALSE(accepts(payload));
}

TEST_F(Damaged, an_unknown_state_of_the_request)
{
    std::string payload = good_.text;
    payload[request_at()] = 3;
    EXPECT_FALSE(accepts(payload));
}

TEST_F(Damaged, a_spooled_body_without_its_file)
{
    std::string payload = good_.text;
    payload[request_at() + kSpool] = 4;
    EXPECT_FALSE(accepts(payload));
}

TEST_F(Damaged, no_descriptor)
{
    Message message;
    message.text = good_.text;
    EXPECT_FALSE(receive_session(message, *to_, got_));
    message.args[0] = 1;
    message.fds.emplace_back(::dup(client_.get()));
    EXPECT_FALSE(receive_session(message, *to_, got_)) << "says it is in a memfd";
}

TEST_F(Damaged, a_memfd_that_is_not_one)
{
    Message message;
    message.args[0] = 1;
    message.fds.emplace_back(::dup(client_.get()));
    message.fds.emplace_back(::dup(client_.get()));
    EXPECT_FALSE(receive_session(message, *to_, got_));
}

TEST_F(Damaged, any_flipped_byte_is_survived)
{
    for (std::size_t i = 0; i < good_.text.size(); ++i) {
        for (const int flip : {1, 0x80, 0xff}) {
            std::string payload = good_.text;
            payload[i] = static_cast<char>(payload[i] ^ flip);
            accepts(payload); // either way; the sanitizers look on
        }
    }
}

}  // namespace
}  // namespace ftm::engine
