#include "engine/status_export.hpp"

#include <algorithm>
#include <cstring>

#include "net/listen_queue.hpp"

namespace ftm::engine {
namespace {

template <std::size_t N>
void copy(char (&to)[N], std::string_view from) noexcept
{
    const std::size_t n = std::min(from.size(), N - 1);
    std::memcpy(to, from.data(), n);
    to[n] = '\0';
}

// PM2STR()
const char* name_of(config::ProcessManager pm)
{
    switch (pm) {
        case config::ProcessManager::dynamic:
            return "dynamic";
        case config::ProcessManager::ondemand:
            return "ondemand";
        case config::ProcessManager::static_:
            break;
    }
    return "static";
}

}  // namespace

observe::QueueStatus queue_status(const Core& core)
{
    observe::QueueStatus queue;
    queue.waiting = core.queued();
    if (core.listeners.empty()) {
        return queue;
    }
    if (const auto kernel = net::listen_queue(core.listeners[0].fd.get())) {
        queue.waiting += kernel->waiting;
        queue.limit = kernel->limit;
    }
    for (const Listener& listener : core.listeners) {
        if (const auto kernel = listener.http ? net::listen_queue(listener.fd.get()) : std::nullopt) {
            queue.waiting += kernel->waiting;
        }
    }
    return queue;
}

observe::PoolStatus pool_status(Core& core, bool with_processes)
{
    const auto pm = core.settings.pool->pm.value_or(config::ProcessManager::static_);
    observe::PoolStatus status = observe::read_status(core.board, name_of(pm), queue_status(core), with_processes);
    if (core.settings.workers != 0) {
        status.workers.emplace();
        status.workers->script = core.settings.worker_script;
        status.workers->queue = core.idle.queued();
        observe::read_workers(core.board, *status.workers);
    }
    return status;
}

bool StatusForScript::pool(Core& core, ftm_pool_status& out) noexcept
{
    core.cpu_asked.store(true, std::memory_order_relaxed);
    status_ = pool_status(core, true);
    const observe::PoolStatus& status = status_;
    copy(out.name, status.pool);
    out.process_manager = status.process_manager.data(); // name_of()'s, NUL-terminated
    out.now = status.now;
    out.start_time = status.start_time;
    out.accepted = static_cast<std::int64_t>(status.accepted);
    out.queue = static_cast<std::int64_t>(status.queue.waiting);
    out.max_queue = static_cast<std::int64_t>(status.max_queue);
    out.queue_length = static_cast<std::int64_t>(status.queue.limit);
    out.idle = status.figures.idle;
    out.active = status.figures.active;
    out.max_active = static_cast<std::int64_t>(status.max_active);
    out.max_children_reached = static_cast<std::int64_t>(status.max_children_reached);
    out.slow_requests = static_cast<std::int64_t>(status.slow_requests);
    out.memory_peak = static_cast<std::int64_t>(status.memory_peak);
    out.processes = static_cast<unsigned>(status.processes.size());
    out.worker_script = nullptr;
    if (status.workers) {
        const observe::WorkersStatus& workers = *status.workers;
        out.worker_script = workers.script.c_str();
        out.booting_workers = workers.booting;
        out.ready_workers = workers.ready;
        out.busy_workers = workers.busy;
        out.failed_workers = workers.failed;
        out.worker_queue = static_cast<std::int64_t>(workers.queue);
        static_assert(observe::kRestartReasons <= FTM_WORKER_REASONS);
        out.worker_reasons = 0;
        for (std::size_t i = 1; i < observe::kRestartReasons; ++i) { // not `none`
            out.worker_reason_names[out.worker_reasons] = observe::reason_name(static_cast<observe::RestartReason>(i));
            out.worker_restarts[out.worker_reasons++] = static_cast<std::int64_t>(workers.restarts[i]);
        }
    }
    return true;
}

bool StatusForScript::process(unsigned index, ftm_process_status& out) const noexcept
{
    if (index >= status_.processes.size()) {
        return false;
    }
    const observe::ProcessStatus& process = status_.processes[index];
    out.pid = process.pid;
    out.state_name = observe::state_name(process.state);
    out.start_time = process.start_time;
    out.requests = static_cast<std::int64_t>(process.requests);
    out.duration_us = process.duration_us;
    out.content_length = process.content_length;
    out.memory_bytes = static_cast<std::int64_t>(process.memory);
    out.cpu_percent = process.cpu_percent;
    static_assert(sizeof out.uri == sizeof process.text.uri && sizeof out.query == sizeof process.text.query &&
                  sizeof out.method == sizeof process.text.method && sizeof out.script == sizeof process.text.script &&
                  sizeof out.user == sizeof process.text.user);
    std::memcpy(out.uri, process.text.uri, sizeof out.uri);
    std::memcpy(out.query, process.text.query, sizeof out.query);
    std::memcpy(out.method, process.text.method, sizeof out.method);
    std::memcpy(out.script, process.text.script, sizeof out.script);
    std::memcpy(out.user, process.text.user, sizeof out.user);
    out.worker_state = observe::worker_state_name(process.worker, process.state);
    out.worker_last_restart = observe::reason_name(process.worker.reason);
    out.worker_requests = static_cast<std::int64_t>(process.worker.requests);
    out.worker_restarts = static_cast<std::int64_t>(process.worker.restarts);
    out.worker_boot_us = process.worker.boot_us;
    out.worker_memory = static_cast<std::int64_t>(process.worker.memory);
    return true;
}

}  // namespace ftm::engine
