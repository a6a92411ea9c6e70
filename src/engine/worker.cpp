#include "engine/worker.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "engine/context.hpp"
#include "observe/log.hpp"
#include "php/context_environment.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;
using observe::Level;

constexpr auto kBackOffStep = 100ms;
constexpr auto kMaxBackOff = 1s;
constexpr auto kLook = 20ms;

// What the script sees while it boots: no visitor's request, and nothing that an application would carry into one.
void fill_boot_request(request::Request& boot, const std::string& script)
{
    const std::string name = script.substr(script.rfind('/') == std::string::npos ? 0 : script.rfind('/'));
    boot.reset();
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

bool Worker::stopping() const
{
    return core_.idle.stopping() || core_.wounded.load(std::memory_order_relaxed);
}

Job* Worker::run(bool& renew)
{
    while (!stopping() && !renew) {
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
        if (booted_) {
            core_.booted_workers.fetch_sub(1);
        }
        renew = end.result != php::RunResult::ok;
        judge(end);
    }
    if (next_ != nullptr && !core_.wounded.load()) {
        context_.queue(std::exchange(next_, nullptr));
    }
    return std::exchange(next_, nullptr);
}

void Worker::boot()
{
    booted_ = false;
    served_ = 0;
    limit_ = with_jitter(core_.settings.pool->worker_max_requests);
}

void Worker::judge(const php::WorkerEnd& end)
{
    const char* pool = core_.settings.pool->name.c_str();
    const char* script = core_.settings.worker_script.c_str();
    if (stopping()) {
        return;
    }
    if (!end.booted) {
        ++failures_;
        core_.workers_do_not_boot.store(true);
        observe::log(Level::warning, "[pool %s] worker script '%s' ended with status %d before it asked for a request (%u)",
                     pool, script, end.exit_status, failures_);
        if (core_.booted_workers.load() == 0) {
            core_.refuse_worker_jobs.store(true);
            core_.call_standby();
        }
        if (next_ != nullptr) { // another worker may be up; if none is, it is refused
            context_.queue(std::exchange(next_, nullptr));
        }
        back_off();
    } else if (end.exit_status != 0) {
        observe::log(Level::warning, "[pool %s] worker script '%s' ended with status %d, starting it again", pool, script,
                     end.exit_status);
    } else {
        observe::log(Level::debug, "[pool %s] worker script '%s' ended after %llu requests, starting it again", pool,
                     script, static_cast<unsigned long long>(served_));
    }
}

// n² · 100 ms, at most a second, as FrankenPHP's.
void Worker::back_off()
{
    const auto pause = std::min<std::chrono::milliseconds>(kMaxBackOff, kBackOffStep * (failures_ * failures_));
    const auto until = std::chrono::steady_clock::now() + pause;
    while (!stopping() && std::chrono::steady_clock::now() < until) {
        ::usleep(std::chrono::microseconds(kLook).count());
    }
}

php::WorkerRequest Worker::wait() noexcept
{
    if (!std::exchange(booted_, true)) {
        failures_ = 0;
        core_.booted_workers.fetch_add(1);
        core_.workers_do_not_boot.store(false);
    }
    while (limit_ == 0 || served_ < limit_) {
        Job* job = std::exchange(next_, nullptr);
        if (job == nullptr) {
            job = context_.next_job();
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

void Worker::done() noexcept { next_ = context_.end(std::exchange(job_, nullptr)); }

}  // namespace ftm::engine
