// request_terminate_timeout: ends requests whose time is over. First the context is asked to, again and again; it closes
// its connection and starts anew, and the engine goes on. If a second later it has not, because its thread is in C code
// that does not return, the client's connection is cut and the engine replaced (RULES 17): a thread cannot be killed, so
// it goes down with the process.
#include "engine/standby.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "engine/clock.hpp"
#include "engine/overtime.hpp"

namespace ftm::engine {
namespace {

}  // namespace

void Standby::schedule_deadlines(std::int64_t at_us)
{
    deadline_timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(at_us)));
    deadline_timer_.async_wait([this](const ErrorCode& error) {
        if (!error && !stopping_) {
            look_at_deadlines();
        }
    });
}

void Standby::look_at_deadlines()
{
    const sched::RequestLimits& limits = core_.settings.limits;
    const std::int64_t now = now_us();
    std::int64_t next = now + sched::RequestDeadlines::heartbeat_us(limits);
    for (const auto& context : contexts_) {
        if (context->crash_report().signal.load() != 0) {
            continue;
        }
        const sched::RunningRequest request = context->watch().running();
        const auto step = deadlines_[context->number()].look(limits, request, now);
        next = std::min(next, step.next_us);
        if (step.trace) {
            trace_slow(*context, request);
        }
        if (step.interrupt) {
            end_overdue(*context, request, step);
        }
    }
    schedule_deadlines(next);
}

void Standby::end_overdue(Context& context, const sched::RunningRequest& request,
                          const sched::RequestDeadlines::Step& step)
{
    if (step.terminate) {
        context.watch().want_end(request.sequence);
        log_overtime(core_.settings.pool->name, context.slot(), now_us() - request.since_us, "execution timed out",
                     "terminating");
    }
    context.interrupt(true);
    if (!step.cut) {
        return;
    }
    context.watch().cut(request.sequence, [&] {
        if (const std::uint64_t running = context.running(); running != 0) {
            Session& session = core_.sessions.at(static_cast<std::uint32_t>(running) - 1);
            OpenRequest* const open = context.responder().abandoned_request();
            if (open != nullptr && session.in_flight.load() > 1) { // RULES 17: its neighbours go on, then it ends
                open->cut.store(true);
                session.close_wanted.store(true);
                session.output.discard(open->id);
                reader_.send_end(session, *open);
            } else {
                session.output.set_gone();
                ::shutdown(session.fd.get(), SHUT_RDWR);
            }
        }
    });
    core_.host.send(Message::Kind::want_successor, {kIsStuck});
}

bool Standby::is_stuck(Context& context) const
{
    return deadlines_[context.number()].stuck(context.watch().running());
}

unsigned Standby::stuck_contexts() const
{
    return static_cast<unsigned>(
        std::count_if(contexts_.begin(), contexts_.end(), [this](const auto& context) { return is_stuck(*context); }));
}

// Their connections are cut off but still held.
unsigned Standby::stuck_sessions() const
{
    return static_cast<unsigned>(std::count_if(contexts_.begin(), contexts_.end(), [this](const auto& context) {
        return is_stuck(*context) && context->watch().holds(context->watch().running().sequence);
    }));
}

// The engine's end when only stuck contexts are left: php-fpm's line about the child it has killed follows.
void Standby::die_stuck()
{
    ::signal(SIGTERM, SIG_DFL);
    for (;;) {
        ::kill(::getpid(), SIGTERM);
        ::pause();
    }
}

}  // namespace ftm::engine
