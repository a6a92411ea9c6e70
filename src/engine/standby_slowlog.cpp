// request_slowlog_timeout: the backtrace of a request that takes long, without ptrace and without disturbing the script.
// If its context runs PHP code, its VM comes to sapi/ftm_interrupt.c at once, and it traces itself. If it sits in a
// system call or in C code, it stands still, and this thread reads its frames: a signal would cut its sleep short.
#include "engine/standby.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.hpp"
#include "engine/clock.hpp"
#include "engine/overtime.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;

// A context that runs has traced itself by then.
constexpr auto kStandsStill = 10ms;

}  // namespace

void Standby::trace_slow(Context& context, const sched::RunningRequest& request)
{
    log_overtime(core_.settings.pool->name, context.slot(), now_us() - request.since_us, "executing too slow", "logging");
    context.watch().want_trace(request.sequence);
    context.interrupt(false);
    trace_timer_.expires_after(kStandsStill);
    trace_timer_.async_wait([this](const ErrorCode& error) {
        if (!error) {
            trace_from_outside();
        }
    });
}

void Standby::trace_from_outside()
{
    if (!trace_pipe_[0].valid()) {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
            return;
        }
        trace_pipe_[0].reset(fds[0]);
        trace_pipe_[1].reset(fds[1]);
    }
    const int pipe[2] = {trace_pipe_[0].get(), trace_pipe_[1].get()};
    bool again = false;
    for (const auto& context : contexts_) {
        const std::uint64_t sequence = context->watch().running().sequence;
        if (sequence == 0 || !context->watch().is_trace_wanted(sequence) ||
            context->crash_report().signal.load() != 0) {
            continue;
        }
        const std::string trace = context->trace_from_outside(pipe, core_.settings.pool->request_slowlog_trace_depth);
        if (trace.empty()) {
            again = true;
        } else if (context->watch().take_trace(sequence)) {
            core_.report_slow(trace);
        }
    }
    if (again) {
        trace_timer_.expires_after(kStandsStill);
        trace_timer_.async_wait([this](const ErrorCode& error) {
            if (!error) {
                trace_from_outside();
            }
        });
    }
}

}  // namespace ftm::engine
