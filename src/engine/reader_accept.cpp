// Events of the ready set, and accepting.
#include "engine/reader.hpp"

#include <algorithm>
#include <cerrno>

#include "net/listener.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kSpareJobs = 4;
constexpr unsigned kStandbyTurn = 64;  // connections

}  // namespace

Reader::Reader(Core& core, std::uint32_t holder)
    : core_(core),
      routes_(core.settings.worker_script, core.settings.pool->worker_match),
      holder_(holder),
      buffer_(std::make_unique_for_overwrite<std::array<char, 65536>>()) // untouched until it reads
{
}

void Reader::announce_work()
{
    if (announced_ || holder_ == net::Output::kStandby) {
        return;
    }
    announced_ = true;
    core_.wake(core_.idle.taking_work());
}

Job* Reader::new_job()
{
    if (spare_.empty()) {
        return new Job;
    }
    Job* job = spare_.back().release();
    spare_.pop_back();
    return job;
}

void Reader::recycle(Job* job)
{
    std::unique_ptr<Job> owned(job);
    if (spare_.size() < kSpareJobs) {
        owned->request.reset();
        spare_.push_back(std::move(owned));
    }
}

Job* Reader::on_event(const Event& event)
{
    switch (event.kind) {
        case Event::Kind::listener:
            return accept_all(event.index);
        case Event::Kind::session: {
            Session& session = core_.sessions.at(event.index);
            if (session.read_right.take(event.generation) != net::ReadRight::Take::taken) {
                return nullptr;
            }
            return read(session, event.flags);
        }
        case Event::Kind::work:
        case Event::Kind::none:
            break;
    }
    return nullptr;
}

bool Reader::allowed(int fd, std::uint32_t listener) const
{
    const net::AllowedClients& clients = core_.settings.allowed_clients;
    if (!core_.listeners[listener].tcp || core_.listeners[listener].http || clients.everybody() || clients.allows(fd)) {
        return true;
    }
    const std::string address = net::peer_address(fd);
    observe::Log::instance().worker_output(observe::Level::error, static_cast<int>(holder_),
                                           "Connection disallowed: IP address '" + address + "' has been dropped.");
    return false;
}

Session* Reader::open(int fd, std::uint32_t listener)
{
    Session* session = core_.sessions.acquire();
    if (session == nullptr) {
        ::close(fd);
        return nullptr;
    }
    session->fd.reset(net::move_out_of_select_range(fd));
    session->listener = listener;
    session->asked = false;
    if (core_.listeners[listener].http) {
        session->is_http = true;
        if (session->http == nullptr) {
            session->http = std::make_unique<HttpConnection>();
        }
        session->http->machine.set_limits(core_.settings.http->limits);
        wait_for_http_client(*session);
    }
    return session;
}

// A context takes one connection and reads it; arming the listener again tells the next waiter of the rest, which costs
// one system call where going through the ready set costs each of the others three. The standby thread, which runs
// nothing, goes on until there are no more, or the queue is full: it reads each before it takes the next, for only what
// has been read counts (RULES 8).
Job* Reader::accept_all(std::uint32_t listener)
{
    for (unsigned taken = 0;; ++taken) {
        if (!core_.accepting.load(std::memory_order_relaxed)) {
            break;
        }
        if (core_.queues_are_full() && !core_.listeners[listener].status_only) {
            core_.accept_paused.store(true);
            if (!core_.queues_are_full()) { // emptied before anybody saw that it is paused
                core_.call_standby();
            }
            break;
        }
        const int fd = net::accept_one(core_.listeners[listener].fd.get());
        if (fd < 0) {
            if (errno != EAGAIN) { // EMFILE and the like end without telling: the standby thread's sweep tries again
                core_.accept_failed.store(true);
            }
            break;
        }
        if (!allowed(fd, listener)) {
            ::close(fd);
            continue;
        }
        Session* session = open(fd, listener);
        if (session == nullptr) {
            continue;
        }
        if (holder_ != net::Output::kStandby) { // an edge that comes meanwhile finds nothing, or more
            core_.ready.rearm_listener(core_.listeners[listener].fd.get(), listener);
            return read(*session, 0);
        }
        queue(read(*session, 0));
        if (taken + 1 == kStandbyTurn) { // others want something too
            core_.ready.rearm_listener(core_.listeners[listener].fd.get(), listener);
            break;
        }
    }
    return nullptr;
}

}  // namespace ftm::engine
