#include "engine/context.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <utility>

#include "base/check.hpp"
#include "engine/clock.hpp"
#include "engine/thread_interrupt.hpp"
#include "engine/worker.hpp"
#include "ftm_engine.h"
#include "observe/log.hpp"
#include "observe/pool_status.hpp"
#include "php/basic_auth.hpp"
#include "php/body_policy.hpp"
#include "php/context_environment.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kStack = std::size_t{8} << 20;
constexpr std::int64_t kYieldAfterUs = 1000;
constexpr std::int64_t kSleptUs = 50;
constexpr auto kTrimAfter = std::chrono::seconds(1);

// Working directory, umask and root of the thread's own. Container seccomp profiles may deny it: said once.
void own_file_system_attributes()
{
    static std::once_flag once;
    if (::unshare(CLONE_FS) != 0) {
        std::call_once(once, [] {
            observe::log(observe::Level::notice,
                         "contexts share one umask and working directory: unshare(CLONE_FS) is not permitted");
        });
    }
}

std::mutex attach_mutex;  // thread start-up of libphp's modules, one at a time

}  // namespace

Context::Context(Core& core, unsigned number)
    : core_(core),
      number_(number),
      is_worker_(number < core.settings.workers),
      reader_(core, number + 1),
      responder_(core, reader_, watch_, number + 1)
{
}

bool Context::start()
{
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, kStack);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    core_.live_contexts.fetch_add(1);
    alive_.store(true);
    settled_.store(false);
    attached_.store(false);
    pthread_t thread;
    const int error = ::pthread_create(&thread, &attributes, entry, this);
    ::pthread_attr_destroy(&attributes);
    if (error != 0) {
        alive_.store(false);
        core_.live_contexts.fetch_sub(1);
    }
    return error == 0;
}

void* Context::entry(void* self)
{
    static_cast<Context*>(self)->run();
    return nullptr;
}

void Context::run()
{
    char name[16];
    std::snprintf(name, sizeof name, "ftm-php-%u", number_);
    ::prctl(PR_SET_NAME, name);
    own_file_system_attributes();
    contain_crashes(static_cast<int>(number_), crash_);
    php::enter_context(static_cast<int>(number_));
    {
        const std::lock_guard lock(attach_mutex);
        const std::lock_guard handle_lock(handle_mutex_);
        FTM_CHECK(ftm_thread_attach(&handle_) == 0);
        tid_ = ::gettid();
        if (!core_.body_policy_known) { // before any context accepts, and for all of them
            core_.body_policy = php::body_policy_of_context();
            core_.body_policy_known = true;
        }
    }
    make_interruptible(&watch_);
    served_ = 0;
    renew_ = false;
    has_run_ = false;
    slot_ = core_.board.acquire();
    reader_.set_slot(slot_);
    cpu_us_ = core_.settings.shows_cpu ? thread_cpu_us() : kCpuUnknown;
    awake_since_us_ = now_us();
    last_active_us_.store(awake_since_us_);
    attached_.store(true);

    Job* const job = is_worker_ ? Worker(core_, *this).run(renew_) : serve_classic();
    if (core_.wounded.load()) { // a lock the dead thread holds might be needed to leave: wait for the end here
        reader_.queue(job);
        if (slot_ != nullptr) {
            observe::Scoreboard::release(*slot_);
        }
        core_.thread_ended();
        for (;;) {
            ::pause();
        }
    }
    {
        const std::lock_guard lock(attach_mutex);
        {
            const std::lock_guard handle_lock(handle_mutex_);
            tid_ = 0;
        }
        make_interruptible(nullptr);
        ftm_thread_detach();
    }
    if (slot_ != nullptr) {
        reader_.set_slot(nullptr);
        observe::Scoreboard::release(*std::exchange(slot_, nullptr));
    }
    stop_containing();
    Core& core = core_;
    if (!renew_ || core.idle.stopping()) {
        alive_.store(false); // from here on another thread may be started for this context
    } else if (!start()) {
        observe::log(observe::Level::error, "[pool %s] context %u cannot be started again: no thread",
                     core.settings.pool->name.c_str(), number_);
        alive_.store(false);
    }
    core.thread_ended();
}

// Until the context is to leave, or to be renewed; returns a job that it must not run any more.
Job* Context::serve_classic()
{
    const auto max_requests = static_cast<std::uint64_t>(std::max(core_.settings.pool->pm_max_requests, 0));
    Job* job = next_job();
    while (job != nullptr) {
        job = execute(job);
        if (core_.wounded.load(std::memory_order_relaxed)) {
            return job;
        }
        renew_ = renew_ || (max_requests != 0 && served_ >= max_requests);
        if (renew_) {
            reader_.queue(job);
            return nullptr;
        }
        if (job == nullptr) {
            job = next_job();
        }
    }
    return nullptr;
}

Job* Context::next_job()
{
    Idle& idle = core_.idle_of(is_worker_);
    for (;;) {
        Job* job = nullptr;
        const bool wounded = core_.wounded.load(std::memory_order_relaxed);
        if (!wounded && idle.pop(job)) {
            settled_.store(true, std::memory_order_relaxed);
            reader_.announce_work();
            if (core_.accept_paused.load()) {
                core_.call_standby();
            }
            return job;
        }
        if (wounded || idle.stopping()) {
            core_.ready.notify(); // the next waiter is to see it too
            return nullptr;
        }
        reader_.idle_again();
        settled_.store(true, std::memory_order_relaxed);
        switch (idle.go_idle(number_)) {
            case Idle::Idle::leave:
                reader_.announce_work();
                return nullptr;
            case Idle::Idle::again:
                continue;
            case Idle::Idle::sleep:
                sleep_cold();
                idle.woken();
                awake_since_us_ = now_us();
                continue;
            case Idle::Idle::wait:
                break;
        }
        const std::int64_t before = now_us();
        const Event event = core_.ready.wait(-1);
        idle.stop_waiting();
        const std::int64_t after = now_us();
        if (after - before > kSleptUs) {
            awake_since_us_ = after;
        }
        job = reader_.on_event(event);
        if (job != nullptr && (core_.wounded.load(std::memory_order_relaxed) || !is_for_me(*job))) {
            reader_.queue(job); // RULES 16: it goes to the successor; or a classic script in a pool with workers
            continue;
        }
        if (job != nullptr) {
            reader_.announce_work();
            return job;
        }
    }
}

// Who has not been needed for a while gives memory back; the hot ones keep theirs.
void Context::sleep_cold()
{
    if (has_run_ && !core_.platform.sleep_for(number_, kTrimAfter)) {
        ftm_thread_trim();
        has_run_ = false;
    } else if (has_run_) {
        return;
    }
    core_.platform.sleep(number_);
}

void Context::describe(const Job& job, const php::ResolvedScript& script)
{
    if (slot_ == nullptr) {
        return;
    }
    const auto text = [](const char* s) { return s != nullptr ? std::string_view(s) : std::string_view(); };
    slot_->accepted_us.store(microseconds_of(job.request.accepted), std::memory_order_relaxed);
    slot_->requests.store(slot_->requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    slot_->content_length.store(script.content_length, std::memory_order_relaxed);
    observe::set_text(*slot_, text(script.request_uri), text(script.query_string), text(script.request_method),
                      text(script.path_translated), php::basic_auth_user(script.authorization));
    slot_->state.store(static_cast<std::uint32_t>(observe::SlotState::info), std::memory_order_relaxed);
    const unsigned all = core_.live_contexts.load(std::memory_order_relaxed);
    const unsigned idle = core_.idle.idle_contexts() + core_.classic.idle_contexts();
    observe::raise_to(core_.board.counters().max_active, all > idle ? all - idle : 0);
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

bool Context::is_pointless(const Job& job) const
{
    return job.session->aborted.load() || job.session->output.gone(); // the client did not wait for it (RULES 11)
}

Job* Context::drop(Job* job)
{
    responder_.begin(*job, nullptr, nullptr);
    responder_.finish(false);
    reader_.recycle(job);
    return responder_.release_session();
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
    responder_.begin(job, slot_, &script_);
    return script_;
}

Job* Context::end(Job* job)
{
    responder_.finish(false);
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
    Job* next = responder_.release_session();
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
    const php::RunResult result = php::run_classic(job->request, script, core_.settings.scripts, responder_);
    responder_.finish(false);
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
