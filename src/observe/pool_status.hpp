// A pool's figures and its contexts as the status page and fpm_get_status() show them: one reading of the scoreboard.
// Value types; read_status() may be called by any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "observe/scoreboard.hpp"

namespace ftm::observe {

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
};

// What waits: our own queue plus the kernel's backlog (RULES 8).
struct QueueStatus {
    std::uint64_t waiting = 0;
    std::uint64_t limit = 0;  // of the backlog
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
    std::vector<ProcessStatus> processes;  // empty unless asked for
};

// Also remembers `queue` as the longest if it is.
[[nodiscard]] PoolStatus read_status(Scoreboard& board, std::string_view process_manager, QueueStatus queue,
                                     bool with_processes);

// fpm_request_get_stage_name()
[[nodiscard]] const char* state_name(SlotState state) noexcept;

// `counter` becomes `value` if that is more. Any thread.
void raise_to(std::atomic<std::uint64_t>& counter, std::uint64_t value) noexcept;

}  // namespace ftm::observe
