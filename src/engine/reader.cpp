// Reading: bytes become requests.
#include "engine/reader.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "engine/body_storage.hpp"
#include "fcgi/params.hpp"
#include "fcgi/writer.hpp"

namespace ftm::engine {
namespace {

constexpr unsigned kStandbyTurn = 16;  // buffers

const char* role_name(fcgi::Role role) noexcept
{
    switch (role) {
        case fcgi::Role::authorizer:
            return "AUTHORIZER";
        case fcgi::Role::filter:
            return "FILTER";
        case fcgi::Role::responder:
            break;
    }
    return "RESPONDER";
}

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
        if (session.busy.load() && !session.ended.load()) {
            return true; // as without KEEP_CONN: whoever ends its request has both rights, and closes
        }
        session.close_wanted.store(true);
        return false;
    }
    const int fd = session.fd.get();
    const std::uint32_t index = session.index;
    const std::uint32_t generation = session.read_right.generation();
    if (!session.read_right.give_back()) {
        return false;
    }
    if (!drained || (flags & (EPOLLRDHUP | EPOLLHUP)) != 0) {
        // Bytes or an end of file may be left that no further edge would announce.
        core_.ready.rearm_session(fd, index, generation);
    }
    return true;
}

// The open request has been answered: its slot in the machine is free again.
bool Reader::let_machine_go_on(Session& session)
{
    if (!session.ended.exchange(false)) {
        return false;
    }
    session.machine.request_ended(session.open_id.load());
    session.busy.store(false);
    return true;
}

// The standby thread does not run what it reads: while that waits in the queue, the set shows a client that leaves.
bool Reader::stays_unregistered(const Session& session) const
{
    return holder_ != net::Output::kStandby && session.registration.load() == Registration::none;
}

Job* Reader::closed(Session& session, Job* whole)
{
    if (session.busy.load() && !session.ended.load()) {
        session.output.set_gone(); // its script is not to write on: as an abort
    }
    close(session);
    return whole;
}

Job* Reader::read(Session& session, std::uint32_t flags)
{
    Job* whole = nullptr;
    unsigned full_buffers = 0;
    for (bool first = true;; first = false) {
        if (session.close_wanted.load() && !(session.busy.load() && !session.ended.load())) {
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
            // Back-pressure: the rest stays in the socket until the open request has ended.
            session.has_pending.store(true);
            if (!session.ended.load() && give_back(session, 0, true)) {
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
        if ((!session.busy.load() || session.ended.load()) && whole == nullptr) {
            if (let_machine_go_on(session)) {
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
    fcgi::ConnectionMachine& machine = session.machine;
    for (;;) {
        const fcgi::Step step = machine.step(input);
        input.remove_prefix(step.consumed);
        switch (step.kind) {
            case fcgi::StepKind::need_more:
                return After::go_on;
            case fcgi::StepKind::request_begin:
                session.building.reset(new_job());
                session.building->request.id = step.request_id;
                session.building->request.role = static_cast<std::uint8_t>(step.role);
                session.building->request.keep_conn = step.keep_conn;
                session.building->request.accepted = std::chrono::steady_clock::now();
                session.building->request.params.set("FCGI_ROLE", role_name(step.role));
                session.aborted.store(false);
                break;
            case fcgi::StepKind::params_end: {
                request::ParamTable& params = session.building->request.params;
                const std::string_view block = machine.params(step.request_id);
                params.reserve(block.size());
                if (!fcgi::decode_params(block, [&](auto name, auto value) { params.set(name, value); })) {
                    return After::close;
                }
                session.building->request.body.set_limits(body_limits(core_.body_policy, params));
                break;
            }
            case fcgi::StepKind::stdin_data:
                session.building->request.body.append(step.data);
                break;
            case fcgi::StepKind::stdin_end:
                if (whole_request(session, whole) == After::close) {
                    return After::close;
                }
                break;
            case fcgi::StepKind::abort:
                if (session.building != nullptr) {
                    session.building.reset();
                    end_without_running(session, step.request_id);
                } else {
                    session.aborted.store(true);
                }
                break;
            case fcgi::StepKind::reply:
                send(session, step.data);
                if (step.close_after || session.output.pending_bytes() > kMaxPending) {
                    return After::close;
                }
                break;
            case fcgi::StepKind::blocked:
                session.pending.assign(input);
                session.has_pending.store(true);
                if (!session.ended.load()) { // else its context has looked too early: go on here
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

void Reader::send(Session& session, std::string_view bytes)
{
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    if (session.output.send(session.fd.get(), {&part, 1}, holder_) == net::SendResult::passed) {
        core_.watch_writes(session);
    }
}

void Reader::end_without_running(Session& session, std::uint16_t id)
{
    session.machine.request_ended(id);
    const auto end = fcgi::end_request_record(id, 0, fcgi::ProtocolStatus::request_complete);
    send(session, {end.data(), end.size()});
}

}  // namespace ftm::engine
