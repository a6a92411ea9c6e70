// A worker's life: boot, requests, and when it makes way for its successor.
#include "engine/worker.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "engine/context.hpp"
#include "observe/log.hpp"
#include "php/context_environment.hpp"

namespace ftm::engine {
namespace {

using observe::Level;
using observe::RestartReason;
using observe::WorkerState;

// What the script sees while it boots: no visitor's request, and nothing that an application would carry into one.
void fill_boot_request(request::Request& boot, const std::string& script)
{
    const std::size_t slash = script.rfind('/') == std::string::npos ? 0 : script.rfind('/');
    const std::string name = script.substr(slash);
    boot.reset();
    boot.params.set("DOCUMENT_ROOT", script.substr(0, slash)); // a .user.ini there acts on the script
    boot.params.set("FRANKENPHP_WORKER", "1");
    boot.params.set("REQUEST_URI", name);
    boot.params.set("SCRIPT_NAME", name);
    boot.params.set("SCRIPT_FILENAME", script);
    boot.params.set("REQUEST_METHOD", "GET");
}

// Workers that were booted together shall not be recycled together.
std::uint64_t with_jitter(int limit)
{
    if (limit <= 0) {
        return 0;
    }
    static thread_local std::minstd_rand random(std::random_device{}());
    const auto most = static_cast<std::uint64_t>(limit);
    return most - std::uniform_int_distribution<std::uint64_t>(0, most / 10)(random);
}

}  // namespace

Worker::Worker(Core& core, Context& context)
    : core_(core), context_(context), debug_(core.settings.pool->worker_debug), output_(core)
{
}

bool Worker::stopping() const
{
    return core_.idle.stopping() || core_.wounded.load(std::memory_order_relaxed);
}

void Worker::show(WorkerState state) noexcept
{
    if (observe::Slot* slot = context_.slot()) {
        slot->worker_state.store(static_cast<std::uint32_t>(state), std::memory_order_relaxed);
    }
}

Job* Worker::run(bool& renew)
{
    bool replaced = false;
    if (debug_) {
        core_.booted_workers.fetch_add(1);
        show(WorkerState::ready);
    }
    while (!stopping() && !renew && !replaced) {
        if (debug_ && !await_request()) {
            break;
        }
        boot();
        fill_boot_request(boot_, core_.settings.worker_script);
        const php::ResolvedScript script = php::resolve_on_context(boot_);
        const php::WorkerEnd end = php::run_worker(boot_, script, core_.settings.scripts, output_, *this);
        if (end.in_request) { // exit, a fatal error: what it has printed has been sent
            next_ = context_.end(std::exchange(job_, nullptr));
        }
        output_.flush();
        php::reset_context_environment();
        php::reset_context_locale();
        if (booted_ && !debug_) {
            core_.booted_workers.fetch_sub(1);
        }
        replaced = core_.succession.leave(context_.number());
        renew = end.result != php::RunResult::ok && !replaced;
        judge(end);
    }
    if (debug_) {
        core_.booted_workers.fetch_sub(1);
    }
    if (next_ != nullptr && !core_.wounded.load()) {
        context_.queue(std::exchange(next_, nullptr));
    }
    return std::exchange(next_, nullptr);
}

// worker.debug: the script shall be what it is when the request comes, not what it was when the last one had been answered.
bool Worker::await_request()
{
    for (;;) {
        if (next_ == nullptr) {
            next_ = context_.next_job();
        }
        if (next_ == nullptr || core_.wounded.load(std::memory_order_relaxed)) {
            return false;
        }
        if (!context_.is_pointless(*next_)) {
            return true;
        }
        next_ = context_.drop(std::exchange(next_, nullptr));
    }
}

void Worker::boot()
{
    WorkerHistory& history = context_.history();
    booted_ = false;
    served_ = 0;
    heap_ = 0;
    asked_ = false;
    told_ = RestartReason::none;
    limit_ = debug_ ? 1 : with_jitter(core_.settings.pool->worker_max_requests);
    boot_began_ = Clock::now();
    if (history.next != RestartReason::none) {
        ++history.restarts;
        core_.board.counters().worker_restarts[static_cast<std::size_t>(history.next)].fetch_add(1);
    }
    if (observe::Slot* slot = context_.slot()) {
        slot->worker_reason.store(static_cast<std::uint32_t>(history.next));
        slot->worker_restarts.store(history.restarts);
        slot->worker_requests.store(0);
        slot->worker_memory.store(0);
    }
    show(WorkerState::booting);
}

void Worker::on_booted()
{
    failures_ = 0;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - boot_began_);
    if (observe::Slot* slot = context_.slot()) {
        slot->worker_boot_us.store(took.count());
    }
    show(WorkerState::ready);
    core_.workers_do_not_boot.store(false);
    if (!debug_) {
        core_.booted_workers.fetch_add(1);
        core_.succession.booted(context_.number());
        core_.call_standby_now(); // the engine may be ready
    }
    const bool again = context_.history().next != RestartReason::none;
    observe::log(again ? Level::notice : Level::debug, "[pool %s] worker %u booted script '%s' in %.3f seconds",
                 core_.settings.pool->name.c_str(), context_.number(), core_.settings.worker_script.c_str(),
                 static_cast<double>(took.count()) / 1e6);
}

RestartReason Worker::worn() const
{
    const std::int64_t most = core_.settings.pool->worker_max_memory;
    if (most > 0 && heap_ > static_cast<std::size_t>(most)) {
        return RestartReason::max_memory;
    }
    return limit_ != 0 && served_ >= limit_ ? RestartReason::max_requests : RestartReason::none;
}

// Between two requests of a worn worker. It serves on until its successor has booted.
bool Worker::is_to_leave()
{
    const RestartReason why = worn();
    if (why == RestartReason::none) {
        return false;
    }
    if (!debug_ && !asked_) {
        asked_ = core_.succession.ask(context_.number(), {why, context_.history().restarts});
        if (asked_) {
            core_.call_standby_now();
        }
    }
    if (debug_ || core_.succession.may_leave(context_.number())) {
        told_ = why;
        context_.announce_leaving();
        return true;
    }
    return false;
}

php::WorkerRequest Worker::wait() noexcept
{
    if (!std::exchange(booted_, true)) {
        on_booted();
    }
    while (!is_to_leave()) {
        Job* job = std::exchange(next_, nullptr);
        const bool briefly = worn() != RestartReason::none;
        if (job == nullptr) {
            job = context_.next_job(briefly);
        }
        if (job == nullptr && briefly && !stopping()) {
            continue;
        }
        if (job == nullptr || core_.wounded.load(std::memory_order_relaxed)) {
            next_ = job;
            return {};
        }
        if (context_.is_pointless(*job)) {
            next_ = context_.drop(job);
            continue;
        }
        job_ = job;
        ++served_;
        return {&job->request, context_.begin(*job), &context_.responder()};
    }
    return {};
}

void Worker::done(std::size_t heap_bytes) noexcept
{
    heap_ = heap_bytes;
    if (observe::Slot* slot = context_.slot()) {
        slot->worker_requests.store(served_, std::memory_order_relaxed);
        slot->worker_memory.store(heap_bytes, std::memory_order_relaxed);
    }
    next_ = context_.end(std::exchange(job_, nullptr));
}

}  // namespace ftm::engine
