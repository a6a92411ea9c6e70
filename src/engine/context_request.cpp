// A context as what runs requests: one job from its beginning to its end, and what others may do to it meanwhile.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "engine/clock.hpp"
#include "engine/context.hpp"
#include "engine/request_slot.hpp"
#include "engine/thread_interrupt.hpp"
#include "ftm_engine.h"
#include "observe/log.hpp"
#include "observe/pool_status.hpp"
#include "php/context_environment.hpp"

namespace ftm::engine {
namespace {

constexpr std::int64_t kYieldAfterUs = 1000;

}  // namespace

void Context::describe(const Job& job, const php::ResolvedScript& script)
{
    if (slot_ == nullptr) {
        return;
    }
    show_request(*slot_, job, script, observe::SlotState::info);
    const unsigned all = core_.live_contexts.load(std::memory_order_relaxed);
    const unsigned idle = core_.idle.idle_contexts() + core_.classic.idle_contexts();
    observe::raise_to(core_.board.counters().max_active, std::min(all > idle ? all - idle : 0, core_.settings.contexts));
}

// "last request cpu". php-fpm calls times() twice per request. Here the clock is read once, at the end of each, for a
// thread that waits uses no CPU: what was used since the last reading is this request's, with its reading and its
// shutdown. The clock is a system call of its own, so pools that cannot show the value do not read it: there it begins
// with the first fpm_get_status().
void Context::measure_cpu()
{
    const std::int64_t before = std::exchange(cpu_us_, thread_cpu_us());
    const bool known = before != kCpuUnknown;
    slot_->cpu_us.store(known ? cpu_us_ - before : 0, std::memory_order_relaxed);
    slot_->cpu_duration_us.store(known ? now_us() - slot_->accepted_us.load(std::memory_order_relaxed) : 0,
                                 std::memory_order_relaxed);
}

void Context::interrupt(bool system_calls) noexcept
{
    const std::lock_guard lock(handle_mutex_);
    if (tid_ != 0) {
        ftm_thread_interrupt(&handle_);
        if (system_calls) {
            interrupt_thread(tid_);
        }
    }
}

// Seen twice alike, it stands still: in a system call, or in C code. If it runs PHP code, the VM's interrupt tells more.
std::string Context::trace_from_outside(const int pipe[2], int depth)
{
    const std::lock_guard lock(handle_mutex_);
    if (tid_ == 0) {
        return {};
    }
    std::string first(FTM_TRACE_BYTES, '\0');
    std::string second(FTM_TRACE_BYTES, '\0');
    first.resize(ftm_thread_trace(&handle_, pipe, depth, first.data(), first.size()));
    second.resize(ftm_thread_trace(&handle_, pipe, depth, second.data(), second.size()));
    return first == second ? first : std::string();
}

// Threads that never sleep use up their time slice in the middle of a request (DESIGN 3).
void Context::yield_if_due()
{
    const std::int64_t now = now_us();
    if (now - awake_since_us_ > kYieldAfterUs) {
        ::sched_yield();
        awake_since_us_ = now;
    }
}

void Context::choose_responder(const Job& job) noexcept
{
    const bool http = job.open->http_asked.load(std::memory_order_relaxed) != 0;
    responder_.store(http ? static_cast<RequestResponder*>(http_.get()) : &fcgi_, std::memory_order_relaxed);
}

bool Context::is_pointless(const Job& job)
{
    return job.open->aborted.load() || job.session->output.gone(); // the client did not wait for it (RULES 11)
}

Job* Context::drop(Job* job)
{
    choose_responder(*job);
    responder().begin(*job, nullptr, nullptr);
    responder().finish(false);
    reader_.recycle(job);
    return responder().release_session();
}

const php::ResolvedScript& Context::begin(Job& job)
{
    const std::int64_t began_us = now_us();
    since_us_.store(began_us, std::memory_order_relaxed);
    watch_.begin(began_us);
    begin_interruptible();
    running_.store((std::uint64_t{job.session->read_right.generation()} << 32) | (job.session->index + 1));
    script_ = php::resolve_on_context(job.request);
    describe(job, script_);
    choose_responder(job);
    responder().begin(job, slot_, &script_);
    return script_;
}

Job* Context::end(Job* job)
{
    responder().finish(false);
    if (core_.settings.pool->catch_workers_output) { // ends what the script has left of a line (fpm_stdio_flush_child)
        [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, observe::kEndOfRequest.data(), observe::kEndOfRequest.size());
    }
    running_.store(0);
    last_active_us_.store(now_us(), std::memory_order_relaxed);
    ++served_;
    has_run_ = true;
    if (slot_ != nullptr) {
        if (core_.settings.shows_cpu || core_.cpu_asked.load(std::memory_order_relaxed)) {
            measure_cpu();
        }
        slot_->state.store(static_cast<std::uint32_t>(observe::SlotState::idle), std::memory_order_relaxed);
    }
    reader_.recycle(job);
    Job* next = responder().release_session();
    watch_.end();
    yield_if_due();
    // Others have waited longer, or it is another kind of context's.
    if (next != nullptr && (core_.idle_of(is_worker_).queued() != 0 || !is_for_me(*next))) {
        reader_.queue(next);
        return nullptr;
    }
    return next;
}

// Runs it to its end; returns the connection's next job if that has already arrived.
Job* Context::execute(Job* job)
{
    if (is_pointless(*job)) {
        return drop(job);
    }
    const php::ResolvedScript& script = begin(*job);
    const php::RunResult result = php::run_classic(job->request, script, core_.settings.scripts, responder());
    responder().finish(false);
    php::reset_context_environment();
    php::reset_context_locale();
    renew_ = result != php::RunResult::ok;
    if (result == php::RunResult::poisoned) {
        observe::log(observe::Level::warning,
                     "[pool %s] child %d, script '%s' left PHP in a state that cannot be used again: context %u starts anew",
                     core_.settings.pool->name.c_str(), ::getpid(),
                     script.path_translated != nullptr ? script.path_translated : "", number_);
    }
    return end(job);
}

}  // namespace ftm::engine
