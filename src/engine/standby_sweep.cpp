// Unsent output, and what the standby thread looks at from time to time.
#include "engine/standby.hpp"

#include <sys/epoll.h>

#include "engine/clock.hpp"
#include "engine/status_export.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;
using Wait = asio::posix::stream_descriptor;

constexpr auto kSweep = 50ms;
constexpr auto kIdleSweep = 500ms;
constexpr std::int64_t kLongRunnerUs = 50'000;

}  // namespace

void Standby::wait_for_writers()
{
    writers_.async_wait(Wait::wait_read, [this](const ErrorCode& error) {
        if (error) {
            return;
        }
        on_writers();
        if (!stopping_) {
            wait_for_writers();
        }
    });
}

void Standby::on_writers()
{
    epoll_event events[64];
    const int n = ::epoll_wait(core_.writers.get(), events, 64, 0);
    for (int i = 0; i < n; ++i) {
        const auto index = static_cast<std::uint32_t>(events[i].data.u64);
        const auto generation = static_cast<std::uint32_t>(events[i].data.u64 >> 32);
        Session& session = core_.sessions.at(index);
        if (session.read_right.generation() != generation) {
            continue;
        }
        if (session.output.drain(session.fd.get()) == net::SendResult::queued) {
            core_.watch_writes(session);
        } else if (session.close_wanted.load() &&
                   session.read_right.take(generation) == net::ReadRight::Take::taken) {
            reader_.close(session);
        } else if (session.has_pending.load() && !session.output.pending() &&
                   session.read_right.take(generation) == net::ReadRight::Take::taken) {
            reader_.queue(reader_.read(session, 0)); // an HTTP client has asked on before it had read the answers
        } else if (session.http_deadline_us.load(std::memory_order_relaxed) != 0 && !session.output.pending() &&
                   session.read_right.take(generation) == net::ReadRight::Take::taken) {
            reader_.queue(reader_.http_answers_have_left(session));
        }
    }
}

void Standby::schedule_sweep()
{
    bool busy = core_.draining.load() || wounded_;
    for (const auto& context : contexts_) {
        busy = busy || context->running() != 0;
    }
    sweep_timer_.expires_after(busy ? std::chrono::milliseconds(kSweep) : std::chrono::milliseconds(kIdleSweep));
    sweep_timer_.async_wait([this](const ErrorCode& error) {
        if (error) {
            return;
        }
        sweep();
        if (!stopping_) {
            schedule_sweep();
        }
    });
}

void Standby::sweep()
{
    for (const auto& context : contexts_) {
        if (context->crash_report().signal.load() == 0) {
            register_long_runner(*context);
        }
    }
    if (core_.accept_failed.exchange(false)) {
        resume_accepting();
    }
    if (core_.accept_paused.load()) { // only then does anything wait in the kernel for longer
        observe::raise_to(core_.board.counters().max_queue_length, queue_status(core_).waiting);
    }
    if (core_.accept_paused.load() && !core_.queues_are_full()) {
        resume_accepting();
    }
    refuse_overdue();
    close_slow_http_clients();
    start_on_demand();
    if (core_.draining.load()) {
        continue_drain();
    }
}

// request_queue_timeout: who has waited so long gets 503 instead of an answer nobody waits for any more.
void Standby::refuse_overdue()
{
    const std::chrono::seconds limit = core_.settings.pool->request_queue_timeout;
    if (limit == 0s || core_.queued() == 0) {
        return;
    }
    const auto oldest = std::chrono::steady_clock::now() - limit;
    std::vector<Job*> overdue;
    for (Idle* idle : {&core_.idle, &core_.classic}) {
        idle->remove_if([&](const Job* job) { return job->request.accepted < oldest; },
                        [&](Job* job) { overdue.push_back(job); });
    }
    for (Job* job : overdue) {
        core_.board.counters().rejected.fetch_add(1);
        reader_.refuse(job, 503, "Service Unavailable");
    }
}

// No worker boots: 503 at once rather than when one does.
void Standby::refuse_worker_jobs()
{
    std::vector<Job*> waiting;
    for (Job* job = nullptr; core_.booted_workers.load() == 0 && core_.idle.pop(job);) {
        waiting.push_back(job);
    }
    for (Job* job : waiting) {
        core_.board.counters().rejected.fetch_add(1);
        reader_.refuse(job, 503, "Service Unavailable");
    }
}

// RULES 3: its connection is not in the ready set, so nobody would see the client go.
void Standby::register_long_runner(Context& context)
{
    const std::uint64_t running = context.running();
    if (running == 0 || now_us() - context.running_since_us() < kLongRunnerUs) {
        return;
    }
    Session& session = core_.sessions.at(static_cast<std::uint32_t>(running) - 1);
    Registration expected = Registration::none;
    if (!session.registration.compare_exchange_strong(expected, Registration::registering)) {
        return;
    }
    const std::uint32_t generation = session.read_right.generation();
    const bool ours = generation == static_cast<std::uint32_t>(running >> 32);
    if (!ours || !core_.ready.add_session(session.fd.get(), session.index, generation)) {
        session.registration.store(Registration::none);
        return;
    }
    session.registration.store(Registration::registered);
    reader_.queue(reader_.read(session, 0));
}

}  // namespace ftm::engine
