// A context as a thread: its start and end, and how it waits for work.
#include "engine/context.hpp"

#include <sched.h>
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
#include "php/body_policy.hpp"
#include "php/context_environment.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kStack = std::size_t{8} << 20;
constexpr std::int64_t kSleptUs = 50;
constexpr auto kTrimAfter = std::chrono::seconds(1);
constexpr auto kBriefly = std::chrono::milliseconds(20);

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
      is_worker_(number < core.settings.workers || number >= core.settings.contexts),
      reader_(core, number + 1),
      fcgi_(core, reader_, watch_, number + 1),
      http_(core.settings.http != nullptr ? std::make_unique<HttpResponder>(core, reader_, watch_, number + 1) : nullptr),
      responder_(&fcgi_),
      history_{.next = core.settings.start_reason}
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
            core_.sessions.set_spool_directory(core_.body_policy.spool_directory.c_str());
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

Job* Context::next_job(bool briefly)
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
                if (briefly) {
                    if (!sleep_briefly()) {
                        return nullptr;
                    }
                } else {
                    sleep_cold();
                }
                idle.woken();
                awake_since_us_ = now_us();
                continue;
            case Idle::Idle::wait:
                break;
        }
        const std::int64_t before = now_us();
        const Event event = core_.ready.wait(briefly ? static_cast<int>(kBriefly.count()) : -1);
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
        if (briefly && event.kind == Event::Kind::none) {
            return nullptr;
        }
    }
}

// False: nobody has woken it.
bool Context::sleep_briefly()
{
    if (core_.platform.sleep_for(number_, kBriefly)) {
        return true;
    }
    if (core_.idle_of(is_worker_).withdraw(number_)) {
        return false;
    }
    core_.platform.sleep(number_); // somebody is about to
    return true;
}

// Who has not been needed for a while gives memory back; the hot ones keep theirs. A worker sleeps inside its script,
// to which its heap belongs.
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

}  // namespace ftm::engine
