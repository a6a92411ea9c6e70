// Ends: of a request, of a connection, and the way to a successor.
#include "engine/reader.hpp"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <thread>

#include "engine/body_storage.hpp"
#include "engine/hand_over.hpp"
#include "engine/request_log.hpp"
#include "fcgi/writer.hpp"

namespace ftm::engine {
Job* Reader::request_ended(Session& session, OpenRequest& request, bool keep)
{
    const std::uint32_t generation = session.read_right.generation();
    for (;;) {
        Registration seen = Registration::none;
        if (session.registration.compare_exchange_strong(seen, Registration::closed)) {
            session.in_flight.store(0);
            close(session); // never was in the ready set: both rights are ours
            return nullptr;
        }
        if (seen != Registration::registering) {
            break;
        }
        // the standby thread's sweep is adding it, or finds that it meant another: a few instructions
    }
    // From here on a reader may close the session, and its place may be another connection's: what is to be said is
    // said before, and later only the generation tells.
    if (!keep) {
        session.close_wanted.store(true);
    }
    request.ended.store(true);
    const bool last = session.in_flight.fetch_sub(1) == 1;
    if (last && (session.close_wanted.load() || session.output.gone() || (session.eof.load() && !session.has_pending.load()))) {
        close_if_idle(session, generation);
        return nullptr;
    }
    const bool leaving = core_.draining.load();
    if (!leaving && !session.has_pending.load()) {
        return nullptr;
    }
    if (session.read_right.take(generation) != net::ReadRight::Take::taken) {
        return nullptr; // its reader looks again
    }
    if (leaving && hand_over(session)) {
        return nullptr;
    }
    return read(session, 0);
}

void Reader::send_error(Session& session, const OpenRequest& request, int status, std::string_view reason)
{
    if (const http::Asked asked = request.http_asked.load(std::memory_order_relaxed); asked != 0) {
        send(session, request.id, http::error_answer(asked, status, date_.at(std::time(nullptr))));
        return;
    }
    const std::uint16_t id = request.id;
    const std::string text = "Status: " + std::to_string(status) + " " + std::string(reason) +
                             "\r\nContent-Type: text/plain\r\n" + (status == 503 ? "Retry-After: 1\r\n" : "") + "\r\n" +
                             std::string(reason) + "\n";
    std::string bytes;
    fcgi::append_stream(bytes, fcgi::RecordType::std_out, id, text);
    const auto end = fcgi::end_request_record(id, 0, fcgi::ProtocolStatus::request_complete);
    bytes.append(end.data(), end.size());
    send(session, id, bytes);
}

void Reader::refuse(Job* job, int status, std::string_view reason)
{
    while (job != nullptr) { // what a client has sent behind it is refused too
        Session& session = *job->session;
        OpenRequest& request = *job->open;
        const bool keep = job->request.keep_conn && !session.is_http;
        log_refused(core_, session, *job, status);
        send_error(session, request, status, reason);
        recycle(job);
        job = request_ended(session, request, keep);
    }
}

void Reader::drop(Job* job)
{
    Session& session = *job->session;
    OpenRequest& request = *job->open;
    const bool keep = job->request.keep_conn && !session.is_http;
    if (!session.output.gone()) {
        send_end(session, request);
    }
    recycle(job);
    queue(request_ended(session, request, keep));
}

void Reader::adopted(Session& session, std::vector<std::unique_ptr<Job>> whole)
{
    session.asked = true;
    if (session.is_http) {
        wait_for_http_client(session);
    }
    session.requests.for_each([&](OpenRequest& request) {
        if (request.building != nullptr) { // its process' limits did not come along
            request::Request& r = request.building->request;
            r.body.set_limits(body_limits(core_.body_policy, r.params));
        }
    });
    ensure_registered(session);
    // The jobs only after the right is given back: from then on their contexts may end the connection at any time.
    Job* more = read(session, 0);
    for (std::unique_ptr<Job>& job : whole) {
        route(*job);
        queue(job.release());
    }
    queue(more);
}

Job* Reader::leave(Session& session, bool to_successor)
{
    let_machine_go_on(session);
    if (to_successor && hand_over(session)) {
        return nullptr;
    }
    int unread = 0;
    ::ioctl(session.fd.get(), FIONREAD, &unread);
    // A connection that was opened a moment ago is here because its request is on the way (php-fpm's child reads it).
    const bool between = session.is_http ? session.http->machine.idle() : session.machine.idle();
    const bool receiving = !session.asked || !between || session.requests.any_building() || !session.pending.empty() || unread > 0;
    if (!to_successor && !receiving && !session.output.pending()) {
        close(session);
        return nullptr;
    }
    return read(session, 0);
}

void Reader::close_if_idle(Session& session, std::uint32_t generation)
{
    if (session.read_right.take(generation) == net::ReadRight::Take::taken) {
        close(session);
    }
}

// The standby thread has the write right (RULES 1), perhaps in this moment the descriptor in its hand.
bool Reader::being_sent_elsewhere(const Session& session) const
{
    return holder_ != net::Output::kStandby && session.output.holder() == net::Output::kStandby;
}

// A running request keeps its connection open, and so does output that the standby thread is still sending: then the
// right is given back, and whoever ends that closes.
bool Reader::must_stay_open(Session& session) const
{
    return session.in_flight.load() != 0 || (session.output.pending() && !session.output.gone()) || being_sent_elsewhere(session);
}

void Reader::close(Session& session)
{
    const std::uint32_t generation = session.read_right.generation();
    while (must_stay_open(session)) {
        session.close_wanted.store(true);
        if (session.output.gone() && being_sent_elsewhere(session)) {
            ::shutdown(session.fd.get(), SHUT_RDWR); // wakes the standby thread, which waits for EPOLLOUT
        }
        if (session.read_right.give_back() &&
            (must_stay_open(session) || session.read_right.take(generation) != net::ReadRight::Take::taken)) {
            return;
        }
    }
    if (lingers(session)) {
        return;
    }
    leave_sets(session);
    ::shutdown(session.fd.get(), SHUT_RDWR); // another process may hold a copy
    session.fd.reset();
    core_.sessions.release(session);
}

void Reader::leave_sets(Session& session)
{
    while (session.rearming.load() != 0) {
        std::this_thread::yield(); // one system call of somebody else
    }
    if (session.registration.exchange(Registration::closed) == Registration::registered) {
        core_.ready.remove(session.fd.get());
    }
    if (session.watched.load()) {
        ::epoll_ctl(core_.writers.get(), EPOLL_CTL_DEL, session.fd.get(), nullptr);
    }
}

bool Reader::hand_over(Session& session, std::span<Job* const> whole)
{
    const bool ends = session.eof.load() && whole.empty(); // with a request it may still wait for the answer
    if (session.output.pending() || session.output.gone() || ends || being_sent_elsewhere(session)) {
        return false;
    }
    // Whoever comes here has looked before it took the right: meanwhile a reader may have given out the next request.
    if (session.in_flight.load() != whole.size()) {
        return false;
    }
    let_machine_go_on(session);
    const std::lock_guard lock(core_.hand_over_mutex);
    if (!core_.successor.valid() || !send_session(core_.successor, session, whole)) {
        return false;
    }
    leave_sets(session);
    session.fd.reset();
    core_.sessions.release(session);
    return true;
}

bool Reader::hand_over_queued(std::span<Job* const> jobs)
{
    Session& session = *jobs.front()->session;
    Registration expected = Registration::none;
    const bool owned = session.registration.compare_exchange_strong(expected, Registration::closed) ||
                       session.read_right.take(jobs.front()->generation) == net::ReadRight::Take::taken;
    if (!owned) {
        return false;
    }
    if (hand_over(session, jobs)) {
        for (Job* job : jobs) {
            recycle(job);
        }
        return true;
    }
    if (session.registration.load() != Registration::closed) {
        queue(read(session, 0));
    } else {
        session.registration.store(Registration::none);
    }
    return false;
}

void Reader::queue(Job* job)
{
    if (job != nullptr && !core_.queue(job)) {
        refuse(job, 503, "Service Unavailable");
    }
}

}  // namespace ftm::engine
