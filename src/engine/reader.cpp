// Reading: bytes become requests.
#include "engine/reader.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fcgi/writer.hpp"

namespace ftm::engine {
namespace {

constexpr unsigned kStandbyTurn = 16;  // buffers

}  // namespace

bool Reader::ensure_registered(Session& session)
{
    for (;;) {
        Registration seen = Registration::none;
        if (session.registration.compare_exchange_strong(seen, Registration::registering)) {
            break;
        }
        if (seen != Registration::registering) {
            return true;
        }
        // The standby thread's sweep is looking at it, a few instructions, and may have meant the connection before.
    }
    const bool added = core_.ready.add_session(session.fd.get(), session.index, session.read_right.generation());
    session.registration.store(added ? Registration::registered : Registration::none);
    return added;
}

// RULES 2: true when the right is given back; false: there is news, read again.
bool Reader::give_back(Session& session, std::uint32_t flags, bool drained)
{
    if (!ensure_registered(session)) { // no memory, or max_user_watches
        if (session.in_flight.load() != 0) {
            return true; // as without KEEP_CONN: whoever ends its request has both rights, and closes
        }
        session.close_wanted.store(true);
        return false;
    }
    const int fd = session.fd.get();
    const std::uint32_t index = session.index;
    const std::uint32_t generation = session.read_right.generation();
    // Bytes or an end of file may be left that no further edge would announce.
    const bool rearms = !drained || (flags & (EPOLLRDHUP | EPOLLHUP)) != 0;
    if (rearms) {
        session.rearming.fetch_add(1); // whoever closes waits for it, or the number might be another connection's
    }
    const bool given = session.read_right.give_back();
    if (rearms) {
        if (given) {
            core_.ready.rearm_session(fd, index, generation);
        }
        session.rearming.fetch_sub(1);
    }
    return given;
}

// Requests that have been answered: their places in the machine are free again.
bool Reader::let_machine_go_on(Session& session)
{
    bool any = false;
    session.requests.for_each([&](OpenRequest& request) {
        if (request.ended.load()) {
            let_next_begin(session, request.id);
            session.requests.remove(request);
            any = true;
        }
    });
    return any;
}

bool Reader::any_has_ended(Session& session) const
{
    bool any = false;
    session.requests.for_each([&](const OpenRequest& request) { any = any || request.ended.load(); });
    return any;
}

// The standby thread does not run what it reads: while that waits in the queue, the set shows a client that leaves.
bool Reader::stays_unregistered(const Session& session) const
{
    return holder_ != net::Output::kStandby && session.registration.load() == Registration::none;
}

Job* Reader::closed(Session& session, Job* whole)
{
    if (session.in_flight.load() != 0) {
        session.output.set_gone(); // its scripts are not to write on: as an abort
    }
    close(session);
    return whole;
}

Job* Reader::read(Session& session, std::uint32_t flags)
{
    Job* whole = nullptr;
    unsigned full_buffers = 0;
    for (bool first = true;; first = false) {
        if (session.close_wanted.load() && session.in_flight.load() == 0) {
            return closed(session, whole);
        }
        if (!first) {
            announce_work(); // more than one turn may take a while: somebody else must watch the ready set
        }
        if (let_machine_go_on(session) || !session.pending.empty()) {
            if (consume_pending(session, whole) == After::close) {
                return closed(session, whole);
            }
        }
        if (session.pending.size() >= kMaxPending) {
            // Back-pressure: the rest stays in the socket until an open request has ended.
            session.has_pending.store(true);
            if (!any_has_ended(session) && give_back(session, 0, true)) {
                return whole;
            }
            continue;
        }
        const ssize_t n = ::recv(session.fd.get(), buffer_->data(), buffer_->size(), MSG_DONTWAIT);
        if (n > 0) {
            session.asked = true;
            const After after = consume(session, {buffer_->data(), static_cast<std::size_t>(n)}, whole);
            if (after == After::close) {
                return closed(session, whole);
            }
            const bool drained = static_cast<std::size_t>(n) < buffer_->size();
            if (whole != nullptr && !whole->request.keep_conn && stays_unregistered(session)) {
                return whole; // the context owns it to the end (RULES 3)
            }
            if (drained && (flags & (EPOLLRDHUP | EPOLLHUP)) == 0 && give_back(session, flags, true)) {
                return whole;
            }
            // What is left is other requests': this one is not to wait for them.
            if (whole != nullptr && !drained && give_back(session, flags, false)) {
                return whole;
            }
            // A client that sends faster than it is read must not hold the standby thread: its turn comes again.
            if (holder_ == net::Output::kStandby && ++full_buffers >= kStandbyTurn && give_back(session, flags, false)) {
                return whole;
            }
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            if (give_back(session, 0, true)) {
                return whole;
            }
            continue;
        }
        note_end_of_file(session);
        if (session.in_flight.load() == 0) {
            if (let_machine_go_on(session)) {
                continue;
            }
            if (waits_to_ask_on(session)) {
                if (session.output.pending_bytes() > kMaxPending && give_back(session, 0, true)) {
                    return whole;
                }
                continue;
            }
            close(session);
            return nullptr;
        }
        if (whole != nullptr && stays_unregistered(session)) {
            return whole;
        }
        if (give_back(session, 0, true)) {
            return whole;
        }
    }
}

// A peer may shut down its sending side and still wait for the answer. That it is really gone is told by a Unix
// socket's POLLHUP, by an RST, or by a failing write.
void Reader::note_end_of_file(Session& session)
{
    session.eof.store(true);
    pollfd state{session.fd.get(), 0, 0};
    if (::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0) {
        session.output.set_gone();
    }
}

Reader::After Reader::consume_pending(Session& session, Job*& whole)
{
    std::string bytes;
    bytes.swap(session.pending);
    session.has_pending.store(false);
    return consume(session, bytes, whole);
}

Reader::After Reader::consume(Session& session, std::string_view input, Job*& whole)
{
    if (!session.pending.empty()) {
        session.pending.append(input);
        return After::go_on;
    }
    if (session.is_http) {
        return consume_http(session, input, whole);
    }
    fcgi::ConnectionMachine& machine = session.machine;
    machine.hold_new(core_.draining.load(std::memory_order_relaxed));
    for (;;) {
        const fcgi::Step step = machine.step(input);
        input.remove_prefix(step.consumed);
        OpenRequest* const request = session.requests.find(step.request_id);
        switch (step.kind) {
            case fcgi::StepKind::need_more:
                return After::go_on;
            case fcgi::StepKind::request_begin:
                begin_request(session, step);
                break;
            case fcgi::StepKind::params_end:
                if (!params_are_whole(session, *request)) {
                    return After::close;
                }
                break;
            case fcgi::StepKind::stdin_data:
                request->building->request.body.append(step.data);
                break;
            case fcgi::StepKind::stdin_end:
                if (whole_request(session, *request, whole) == After::close) {
                    return After::close;
                }
                break;
            case fcgi::StepKind::abort:
                aborted(session, *request);
                break;
            case fcgi::StepKind::reply:
                send(session, step.request_id, step.data);
                if (step.close_after || session.output.queued_replies() > kMaxPending) {
                    return After::close;
                }
                break;
            case fcgi::StepKind::blocked:
                session.pending.assign(input);
                session.has_pending.store(true);
                if (!any_has_ended(session)) { // else its context has looked too early: go on here
                    return After::go_on;
                }
                let_machine_go_on(session);
                session.has_pending.store(false);
                session.pending.clear();
                break;
            case fcgi::StepKind::error:
                return After::close;
        }
    }
}

void Reader::let_next_begin(Session& session, std::uint16_t id)
{
    if (session.is_http) {
        session.http->machine.request_ended();
    } else {
        session.machine.request_ended(id);
    }
}

void Reader::send_end(Session& session, const OpenRequest& request)
{
    if (request.http_asked.load(std::memory_order_relaxed) != 0) {
        return;
    }
    const auto end = fcgi::end_request_record(request.id, 0, fcgi::ProtocolStatus::request_complete);
    send(session, request.id, {end.data(), end.size()});
}

void Reader::send(Session& session, std::uint16_t id, std::string_view bytes)
{
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    if (session.output.reply(session.fd.get(), {&part, 1}, holder_, id) == net::SendResult::passed) {
        core_.watch_writes(session);
    }
}

}  // namespace ftm::engine
