// From bytes to jobs: what a thread does with an event of the ready set. Contexts and the standby thread each have one.
// "Where is a client's abort seen?" — here: consume() for ABORT_REQUEST, read() for a vanished peer.
// Threads: the owning thread only; sessions are shared by their read right.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core.hpp"
#include "engine/worker_routes.hpp"

namespace ftm::engine {

class Reader {
public:
    // holder names the thread in write rights: context number + 1, or net::Output::kStandby.
    Reader(Core& core, std::uint32_t holder);

    // The scoreboard slot of the context that reads; its ping and status requests show there.
    void set_slot(observe::Slot* slot) noexcept { slot_ = slot; }
    // A job that the caller must run or queue, or nullptr.
    Job* on_event(const Event& event);
    // The caller has sent END_REQUEST of one of the session's jobs: keeps the connection, or closes it or hands it over if
    // no other runs, and returns the next job if its bytes are already here.
    Job* request_ended(Session& session, OpenRequest& request, bool keep);
    // Ends the job without running it.
    void refuse(Job* job, int status, std::string_view reason);
    // The same where nobody waits for the answer any more.
    void drop(Job* job);
    // A short error page and the end of a request that runs elsewhere or nowhere. Over HTTP the connection is to end too.
    void send_error(Session& session, const OpenRequest& request, int status, std::string_view reason);

    // END_REQUEST for a request that will send nothing more. Nothing over HTTP, where only the connection's end says so.
    void send_end(Session& session, const OpenRequest& request);

    // By the owner of the read right, which this gives back, or keeps with a job whose connection is not in the set.
    Job* read(Session& session, std::uint32_t flags);
    // A connection from another engine (RULES 21); its read right is the caller's.
    void adopted(Session& session, std::vector<std::unique_ptr<Job>> whole);
    // Jobs from the queue, all of one connection, with it. False: they cannot leave now.
    bool hand_over_queued(std::span<Job* const> jobs);
    // While draining, by the owner of the read right of a connection nobody is answering: it goes to the successor, or
    // ends unless it has begun to send a request.
    Job* leave(Session& session, bool to_successor);

    // The calling context is no longer available: see that somebody watches the ready set. Once per work.
    void announce_work();
    void idle_again() noexcept { announced_ = false; }

    Job* new_job();
    void recycle(Job* job);

    // By the owner of the read right: gives the connection to the successor, with the requests of it that have not been
    // started yet (the caller keeps and recycles the jobs). False: it cannot leave now, nothing has changed.
    bool hand_over(Session& session, std::span<Job* const> whole = {});
    // By the owner of the read right of an HTTP connection whose client has taken too long.
    Job* http_timed_out(Session& session);
    // By the owner of the read right, when all that was unsent of an HTTP connection's answers has left.
    Job* http_answers_have_left(Session& session);
    // By the owner of the read right.
    void close(Session& session);
    // By anybody else who knows the connection's generation.
    void close_if_idle(Session& session, std::uint32_t generation);
    // Queues a job that this thread will not run; nullptr is allowed. A full queue answers 503.
    void queue(Job* job);

private:
    enum class After { go_on, whole, close };

    Job* accept_all(std::uint32_t listener);
    Session* open(int fd, std::uint32_t listener);
    After consume(Session& session, std::string_view input, Job*& whole);
    After consume_pending(Session& session, Job*& whole);
    After whole_request(Session& session, OpenRequest& request, Job*& whole);
    After consume_http(Session& session, std::string_view input, Job*& whole);
    bool take_proxy_header(Session& session, std::string_view& input, std::string& held);
    int begin_http(Session& session);
    After http_whole(Session& session, OpenRequest& request, Job*& whole);
    After answer_file(Session& session, OpenRequest& request);
    After refuse_http(Session& session, int status);
    void wait_for_http_client(Session& session);
    [[nodiscard]] bool waits_to_ask_on(const Session& session) const;
    bool lingers(Session& session);
    [[nodiscard]] bool keeps_http(bool wanted);
    void begin_request(Session& session, const fcgi::Step& step);
    bool params_are_whole(Session& session, OpenRequest& request);
    void aborted(Session& session, OpenRequest& request);
    bool forget(Session& session, OpenRequest& request);
    void send_page(Session& session, const OpenRequest& request, std::string_view out, std::string_view err);
    void let_next_begin(Session& session, std::uint16_t id);
    After replied(Session& session, bool keep);
    void route(Job& job);
    bool let_machine_go_on(Session& session);
    [[nodiscard]] bool any_has_ended(Session& session) const;
    [[nodiscard]] bool stays_unregistered(const Session& session) const;
    Job* closed(Session& session, Job* whole);
    void leave_sets(Session& session);
    void note_end_of_file(Session& session);
    [[nodiscard]] bool must_stay_open(Session& session) const;
    [[nodiscard]] bool being_sent_elsewhere(const Session& session) const;
    bool ensure_registered(Session& session);
    bool give_back(Session& session, std::uint32_t flags, bool drained);
    void send(Session& session, std::uint16_t id, std::string_view bytes);
    [[nodiscard]] bool allowed(int fd, std::uint32_t listener) const;

    static constexpr std::size_t kMaxPending = std::size_t{64} << 10;  // bytes read ahead, or unsent (RULES 9)

    Core& core_;
    WorkerRoutes routes_;
    const std::uint32_t holder_;
    observe::Slot* slot_ = nullptr;
    bool announced_ = false;
    std::unique_ptr<std::array<char, 65536>> buffer_;
    std::vector<std::unique_ptr<Job>> spare_;
    http::Date date_;
};

}  // namespace ftm::engine
