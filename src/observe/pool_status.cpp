#include "observe/pool_status.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace ftm::observe {
namespace {

ProcessStatus read_slot(const Slot& slot, std::int64_t now_us)
{
    ProcessStatus process;
    process.pid = slot.pid.load();
    process.state = static_cast<SlotState>(slot.state.load());
    process.start_time = slot.started.load();
    process.requests = slot.requests.load();
    process.content_length = slot.content_length.load();
    process.text = get_text(slot);
    process.worker.state = static_cast<WorkerState>(slot.worker_state.load());
    process.worker.reason = static_cast<RestartReason>(slot.worker_reason.load());
    process.worker.requests = slot.worker_requests.load();
    process.worker.restarts = slot.worker_restarts.load();
    process.worker.boot_us = slot.worker_boot_us.load();
    process.worker.memory = slot.worker_memory.load();
    if (process.state != SlotState::idle) {
        process.duration_us = std::max<std::int64_t>(now_us - slot.accepted_us.load(), 0);
        return process;
    }
    process.duration_us = slot.duration_us.load();
    process.memory = slot.memory_peak.load();
    if (const std::int64_t whole = slot.cpu_duration_us.load(); whole > 0) {
        process.cpu_percent = 100.0 * static_cast<double>(slot.cpu_us.load()) / static_cast<double>(whole);
    }
    return process;
}

}  // namespace

const char* state_name(SlotState state) noexcept
{
    switch (state) {
        case SlotState::idle:
            return "Idle";
        case SlotState::reading_headers:
            return "Reading headers";
        case SlotState::info:
            return "Getting request information";
        case SlotState::running:
            return "Running";
        case SlotState::ending:
            return "Ending";
        case SlotState::finishing:
            return "Finishing";
        case SlotState::unused:
        case SlotState::crashed:
            break;
    }
    return "Creating";
}

void read_workers(Scoreboard& board, WorkersStatus& workers)
{
    for (unsigned i = 0; i < board.slots(); ++i) {
        const Slot& slot = board.slot(i);
        if (slot.pid.load() == 0) {
            continue;
        }
        switch (static_cast<WorkerState>(slot.worker_state.load())) {
            case WorkerState::none:
                break;
            case WorkerState::booting:
                ++workers.booting;
                break;
            case WorkerState::failed:
                ++workers.failed;
                break;
            case WorkerState::ready:
                ++(slot.state.load() == static_cast<std::uint32_t>(SlotState::idle) ? workers.ready : workers.busy);
                break;
        }
    }
    for (std::size_t reason = 0; reason < kRestartReasons; ++reason) {
        workers.restarts[reason] = board.counters().worker_restarts[reason].load();
    }
}

const char* worker_state_name(const WorkerStatus& worker, SlotState slot) noexcept
{
    switch (worker.state) {
        case WorkerState::booting:
            return "booting";
        case WorkerState::ready:
            return slot == SlotState::idle ? "ready" : "busy";
        case WorkerState::failed:
            return "failed";
        case WorkerState::none:
            break;
    }
    return "-";
}

const char* reason_name(RestartReason reason) noexcept
{
    static constexpr const char* names[kRestartReasons] = {"-",       "max_requests", "max_memory",   "script_end",
                                                           "exit",    "fatal",        "timeout",      "crash",
                                                           "boot_failure", "opcache", "watch",        "reload"};
    const auto index = static_cast<std::size_t>(reason);
    return index < kRestartReasons ? names[index] : "-"; // the pool's user can write it
}

void raise_to(std::atomic<std::uint64_t>& counter, std::uint64_t value) noexcept
{
    std::uint64_t seen = counter.load(std::memory_order_relaxed);
    while (seen < value && !counter.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
}

PoolStatus read_status(Scoreboard& board, std::string_view process_manager, QueueStatus queue, bool with_processes)
{
    const ScoreboardHeader& header = board.header();
    PoolCounters& counters = board.counters();
    PoolStatus status;
    status.figures = board.figures();
    raise_to(counters.max_queue_length, queue.waiting);
    raise_to(counters.max_active, status.figures.active);
    status.pool = header.pool;
    status.process_manager = process_manager;
    status.now = std::time(nullptr);
    status.start_time = header.start_time;
    status.accepted = counters.accepted.load();
    status.queue = queue;
    status.max_queue = counters.max_queue_length.load();
    status.max_active = counters.max_active.load();
    status.max_children_reached = counters.max_children_reached.load();
    status.slow_requests = counters.slow_requests.load();
    status.memory_peak = counters.memory_peak.load();
    if (!with_processes) {
        return status;
    }
    const std::int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::chrono::steady_clock::now().time_since_epoch()).count();
    for (unsigned i = 0; i < board.slots(); ++i) {
        const Slot& slot = board.slot(i);
        if (slot.pid.load() != 0 && slot.state.load() != static_cast<std::uint32_t>(SlotState::unused)) {
            status.processes.push_back(read_slot(slot, now_us));
        }
    }
    return status;
}

}  // namespace ftm::observe
