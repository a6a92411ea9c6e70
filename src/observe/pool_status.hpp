// A pool's figures and its contexts as the status page and fpm_get_status() show them: one reading of the scoreboard.
// Value types; read_status() may be called by any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/scoreboard.hpp"

namespace ftm::observe {

// Of a context of a pool with worker.script.
struct WorkerStatus {
    WorkerState state = WorkerState::none;  // none: it runs the pool's other scripts
    RestartReason reason = RestartReason::none;
    std::uint64_t requests = 0;  // since its script was booted
    std::uint64_t restarts = 0;
    std::int64_t boot_us = 0;    // how long the last boot took
    std::uint64_t memory = 0;    // bytes of its heap after the last request
};

struct ProcessStatus {
    std::int32_t pid = 0;
    SlotState state = SlotState::idle;
    std::int64_t start_time = 0;  // wall clock, seconds
    std::uint64_t requests = 0;
    std::int64_t duration_us = 0;  // of the last request, or of the running one until now
    std::int64_t content_length = 0;
    double cpu_percent = 0;    // of the last request; 0 while one runs
    std::uint64_t memory = 0;  // bytes; peak of the last request; 0 while one runs
    RequestText text{};
    WorkerStatus worker{};
};

// What waits: our own queue plus the kernel's backlog (RULES 8).
struct QueueStatus {
    std::uint64_t waiting = 0;
    std::uint64_t limit = 0;  // of the backlog
};

// Of a pool with worker.script. Each worker is counted once.
struct WorkersStatus {
    std::string script;
    std::uint64_t queue = 0;  // requests that wait for a worker
    unsigned booting = 0;
    unsigned ready = 0;
    unsigned busy = 0;
    unsigned failed = 0;
    std::array<std::uint64_t, kRestartReasons> restarts{};
    [[nodiscard]] unsigned total() const { return booting + ready + busy + failed; }
};

struct PoolStatus {
    std::string pool;
    std::string_view process_manager;
    std::int64_t now = 0;
    std::int64_t start_time = 0;
    std::uint64_t accepted = 0;
    QueueStatus queue;
    std::uint64_t max_queue = 0;
    PoolFigures figures;
    std::uint64_t max_active = 0;
    std::uint64_t max_children_reached = 0;
    std::uint64_t slow_requests = 0;
    std::uint64_t memory_peak = 0;
    std::optional<WorkersStatus> workers;
    std::vector<ProcessStatus> processes;  // empty unless asked for
};

// Also remembers `queue` as the longest if it is.
[[nodiscard]] PoolStatus read_status(Scoreboard& board, std::string_view process_manager, QueueStatus queue,
                                     bool with_processes);

// Fills what the scoreboard knows of a pool's workers.
void read_workers(Scoreboard& board, WorkersStatus& workers);

// "booting", "ready", "busy", "failed"; "-" for a context that is no worker.
[[nodiscard]] const char* worker_state_name(const WorkerStatus& worker, SlotState slot) noexcept;
// As the enumerator; "-" for none.
[[nodiscard]] const char* reason_name(RestartReason reason) noexcept;

// fpm_request_get_stage_name()
[[nodiscard]] const char* state_name(SlotState state) noexcept;

// `counter` becomes `value` if that is more. Any thread.
void raise_to(std::atomic<std::uint64_t>& counter, std::uint64_t value) noexcept;

}  // namespace ftm::observe
