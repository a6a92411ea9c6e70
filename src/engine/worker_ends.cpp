// What the end of a worker's script means, and what the log says of it.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/context.hpp"
#include "engine/worker.hpp"
#include "observe/log.hpp"
#include "observe/pool_status.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;
using observe::Level;
using observe::RestartReason;

constexpr auto kBackOffStep = 100ms;
constexpr auto kMaxBackOff = 1000ms;
constexpr auto kLook = 20ms;
constexpr int kFatal = 255;  // EG(exit_status) of a fatal error

}  // namespace

RestartReason Worker::reason_of(const php::WorkerEnd& end) const
{
    if (end.result == php::RunResult::terminated) {
        return RestartReason::timeout;
    }
    if (!end.booted) {
        return RestartReason::boot_failure;
    }
    if (end.result == php::RunResult::poisoned || end.exit_status == kFatal) {
        return RestartReason::fatal;
    }
    if (told_ != RestartReason::none) {
        return told_;
    }
    return end.in_request || end.exit_status != 0 ? RestartReason::exit : RestartReason::script_end;
}

void Worker::judge(const php::WorkerEnd& end)
{
    if (stopping()) {
        return;
    }
    const RestartReason reason = reason_of(end);
    context_.history().next = debug_ && reason == told_ ? RestartReason::none : reason;
    if (!end.booted) {
        did_not_boot(end);
        return;
    }
    const char* pool = core_.settings.pool->name.c_str();
    const char* script = core_.settings.worker_script.c_str();
    const auto served = static_cast<unsigned long long>(served_);
    if (end.exit_status != 0) {
        observe::log(Level::warning, "[pool %s] worker %u, script '%s' ended with status %d after %llu requests (%s)", pool,
                     context_.number(), script, end.exit_status, served, observe::reason_name(reason));
    } else {
        observe::log(debug_ ? Level::debug : Level::notice, "[pool %s] worker %u, script '%s' ended after %llu requests (%s)",
                     pool, context_.number(), script, served, observe::reason_name(reason));
    }
    show(debug_ ? observe::WorkerState::ready : observe::WorkerState::booting);
}

void Worker::did_not_boot(const php::WorkerEnd& end)
{
    ++failures_;
    // n² · 100 ms, at most a second, as FrankenPHP's
    const auto pause = std::min<std::chrono::milliseconds>(kMaxBackOff, kBackOffStep * (failures_ * failures_));
    const char* pool = core_.settings.pool->name.c_str();
    const char* script = core_.settings.worker_script.c_str();
    if (debug_) { // with the next request it is tried again
        observe::log(Level::warning, "[pool %s] worker %u, script '%s' ended with status %d before it asked for a request",
                     pool, context_.number(), script, end.exit_status);
        show(observe::WorkerState::failed);
        context_.refuse(std::exchange(next_, nullptr), 500, "Internal Server Error");
        return;
    }
    observe::log(Level::warning,
                 "[pool %s] worker %u, script '%s' ended with status %d before it asked for a request (%u in a row), next "
                 "try in %d ms",
                 pool, context_.number(), script, end.exit_status, failures_, static_cast<int>(pause.count()));
    show(observe::WorkerState::failed);
    core_.workers_do_not_boot.store(true);
    if (core_.booted_workers.load() == 0) {
        core_.refuse_worker_jobs.store(true);
        core_.call_standby();
    }
    if (next_ != nullptr) { // another worker may be up; if none is, it is refused
        context_.queue(std::exchange(next_, nullptr));
    }
    back_off(pause);
}

void Worker::back_off(std::chrono::milliseconds pause)
{
    const auto until = Clock::now() + pause;
    while (!stopping() && Clock::now() < until) {
        ::usleep(std::chrono::microseconds(kLook).count());
    }
}

}  // namespace ftm::engine
