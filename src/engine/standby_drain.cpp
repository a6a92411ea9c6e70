// Connections that come from a predecessor, and drain: connections that leave for the successor.
#include "engine/standby.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "engine/hand_over.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

using Wait = asio::posix::stream_descriptor;

}  // namespace

void Standby::add_predecessor(UniqueFd channel)
{
    predecessors_.emplace_back(io_, std::move(channel));
    wait_for(predecessors_.back());
}

void Standby::wait_for(Predecessor& predecessor)
{
    predecessor.descriptor.async_wait(Wait::wait_read, [this, &predecessor](const ErrorCode& error) {
        if (error) {
            return;
        }
        for (;;) {
            Message message;
            const Channel::Receive got = predecessor.channel.receive(message);
            if (got == Channel::Receive::nothing) {
                wait_for(predecessor);
                return;
            }
            if (got == Channel::Receive::closed) {
                predecessor.descriptor.release();
                predecessors_.remove_if([&](const Predecessor& p) { return &p == &predecessor; });
                return;
            }
            if (message.kind == Message::Kind::connection) {
                on_connection(message);
            }
        }
    });
}

void Standby::on_connection(Message& message)
{
    Session* session = core_.sessions.acquire();
    if (session == nullptr) {
        return;
    }
    std::vector<std::unique_ptr<Job>> whole;
    const bool received = receive_session(message, *session, whole);
    if (received && session->is_http && core_.settings.http == nullptr) { // the new configuration has no http.listen
        ::shutdown(session->fd.get(), SHUT_RDWR);
        session->registration.store(Registration::closed);
        session->in_flight.store(0);
        session->fd.reset();
        core_.sessions.release(*session);
        return;
    }
    if (!received) {
        observe::log(observe::Level::warning, "[pool %s] a connection could not be taken over",
                     core_.settings.pool->name.c_str());
        session->registration.store(Registration::closed);
        session->fd.reset();
        core_.sessions.release(*session);
        return;
    }
    if (session->is_http) {
        session->http->machine.set_limits(core_.settings.http->limits);
        for (std::uint32_t i = 0; i < core_.listeners.size(); ++i) {
            session->listener = core_.listeners[i].http ? i : session->listener;
        }
    }
    reader_.adopted(*session, std::move(whole));
    start_on_demand();
}

void Standby::begin_drain(std::chrono::milliseconds deadline, bool php_fpm_follows)
{
    if (core_.draining.exchange(true)) {
        return;
    }
    leave_listeners(php_fpm_follows);
    core_.idle.forget_leaving();
    drain_timer_.expires_after(deadline);
    drain_timer_.async_wait([this](const ErrorCode& error) {
        if (!error) {
            observe::log(observe::Level::warning, "[pool %s] child %d still serves %u connections at the end of its time",
                         core_.settings.pool->name.c_str(), ::getpid(), core_.sessions.open());
            release_parked();
            if (!wounded_) {
                if (stuck_contexts() != 0) {
                    die_stuck();
                }
                ::_exit(0);
            }
        }
    });
    continue_drain();
    core_.host.send(Message::Kind::left_listeners, {});
}

void Standby::stop_accepting()
{
    if (core_.accepting.exchange(false)) {
        for (const Listener& listener : core_.listeners) {
            core_.ready.remove(listener.fd.get());
        }
    }
}

// RULES 6. What the set had already been told of is not lost: each engine's set is told of each connection.
// A child of php-fpm ends when accept() finds nothing; its sockets must block. That flag is shared with everybody who has
// the socket, so it goes when nobody here can be about to accept.
void Standby::leave_listeners(bool php_fpm_follows)
{
    stop_accepting();
    // The descriptor becomes another socket's in one step, for a context may be in accept(): a listener that the new
    // configuration has no more must not live on here, taking connections that nobody accepts.
    const UniqueFd nothing(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    for (const Listener& listener : core_.listeners) {
        const UniqueFd shared(php_fpm_follows ? ::fcntl(listener.fd.get(), F_DUPFD_CLOEXEC, 3) : -1);
        if (nothing.valid()) {
            ::dup3(nothing.get(), listener.fd.get(), O_CLOEXEC);
        }
        if (shared.valid()) {
            ::fcntl(shared.get(), F_SETFL, ::fcntl(shared.get(), F_GETFL) & ~O_NONBLOCK);
        }
    }
}

// Everything that is not being answered leaves; what is, follows after its END_REQUEST.
void Standby::continue_drain()
{
    const bool to_successor = [this] {
        const std::lock_guard lock(core_.hand_over_mutex);
        return core_.successor.valid();
    }();
    move_queue(to_successor);
    for (std::uint32_t i = 0; i < core_.sessions.created(); ++i) {
        Session& session = core_.sessions.at(i);
        if (session.registration.load() != Registration::registered ||
            session.in_flight.load() != 0) {
            continue;
        }
        const std::uint32_t generation = session.read_right.generation();
        if (session.read_right.take(generation) != net::ReadRight::Take::taken) {
            continue;
        }
        reader_.queue(reader_.leave(session, to_successor));
    }
    start_on_demand();
    if (core_.live_contexts.load() == 0 && !watching_ && !core_.idle.stopping()) {
        core_.standby_called.store(true);
        watch_ready_set(); // an ondemand pool's last context has left: nobody else would
    }
    maybe_finish();
}

// What waits need not wait for this engine's contexts, of which those that are stuck, and all of a wounded engine, would
// never run it.
void Standby::move_queue(bool to_successor)
{
    if (!to_successor && !wounded_ && stuck_contexts() == 0) {
        return;
    }
    std::vector<Job*> queued;
    for (Job* job = nullptr; core_.pop_any(job);) {
        queued.push_back(job);
    }
    std::vector<std::pair<Session*, Job*>> waiting;
    std::map<Session*, std::vector<Job*>> together; // those of a connection leave with it
    for (Job* job : queued) {
        if (Context::is_pointless(*job)) {
            reader_.drop(job);
        } else if (!to_successor && nobody_runs(*job)) { // the pool is being stopped
            reader_.refuse(job, 503, "Service Unavailable");
        } else {
            waiting.emplace_back(job->session, job);
            together[job->session].push_back(job);
        }
    }
    std::set<Session*> left;
    for (const auto& [session, jobs] : together) {
        if (to_successor && reader_.hand_over_queued(jobs)) {
            left.insert(session);
        }
    }
    for (const auto& [session, job] : waiting) {
        if (!left.contains(session)) {
            reader_.queue(job); // the next sweep tries again
        }
    }
}

bool Standby::nobody_runs(const Job& job) const
{
    return wounded_ || std::all_of(contexts_.begin(), contexts_.end(), [&](const auto& context) {
        return context->is_worker() != job.for_worker || !context->alive() || is_stuck(*context);
    });
}

void Standby::maybe_finish()
{
    bool busy = core_.queued() != 0;
    for (const auto& context : contexts_) {
        busy = busy || (context->running() != 0 && context->crash_report().signal.load() == 0 && !is_stuck(*context));
    }
    if (busy || core_.sessions.open() > stuck_sessions() || !predecessors_.empty()) {
        return;
    }
    if (wounded_) {
        release_parked(); // every neighbour has finished: now the fault may end the process
        return;
    }
    core_.stop_idle();
    core_.ready.notify();
    const unsigned stuck = stuck_contexts();
    if (core_.live_contexts.load() > stuck) {
        return;
    }
    if (stuck != 0) {
        die_stuck();
    }
    stopping_ = true;
    io_.stop();
}

}  // namespace ftm::engine
