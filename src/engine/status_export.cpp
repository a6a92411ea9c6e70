#include "engine/status_export.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>

namespace ftm::engine {
namespace {

// fpm_request_get_stage_name()
const char* state_name(observe::SlotState state) noexcept
{
    switch (state) {
        case observe::SlotState::idle:
            return "Idle";
        case observe::SlotState::reading_headers:
            return "Reading headers";
        case observe::SlotState::info:
            return "Getting request information";
        case observe::SlotState::running:
            return "Running";
        case observe::SlotState::ending:
            return "Ending";
        case observe::SlotState::finishing:
            return "Finishing";
        case observe::SlotState::unused:
        case observe::SlotState::crashed:
            break;
    }
    return "Creating";
}

// The writer may be in the middle of its next request: then the copy is made again, a few times at most.
void copy_text(const observe::Slot& slot, ftm_process_status& out) noexcept
{
    for (int i = 0; i < 10; ++i) {
        const std::uint32_t before = slot.text_sequence.load(std::memory_order_acquire);
        std::memcpy(out.uri, slot.text.uri, sizeof out.uri);
        std::memcpy(out.query, slot.text.query, sizeof out.query);
        std::memcpy(out.method, slot.text.method, sizeof out.method);
        std::memcpy(out.script, slot.text.script, sizeof out.script);
        std::memcpy(out.user, slot.text.user, sizeof out.user);
        std::atomic_thread_fence(std::memory_order_acquire);
        if ((before & 1) == 0 && slot.text_sequence.load(std::memory_order_relaxed) == before) {
            return;
        }
    }
}

}  // namespace

void fill_pool_status(observe::Scoreboard& board, std::size_t queued, ftm_pool_status& out) noexcept
{
    const observe::ScoreboardHeader& header = board.header();
    const observe::PoolCounters& counters = board.counters();
    const observe::PoolFigures figures = board.figures();
    std::memcpy(out.name, header.pool, sizeof out.name);
    out.process_manager = "static";
    out.now = std::time(nullptr);
    out.start_time = header.start_time;
    out.accepted = static_cast<std::int64_t>(counters.accepted.load());
    out.queue = static_cast<std::int64_t>(queued);
    out.max_queue = static_cast<std::int64_t>(std::max<std::uint64_t>(counters.max_queue_length.load(), queued));
    out.queue_length = 0;
    out.idle = figures.idle;
    out.active = figures.active;
    out.max_active = static_cast<std::int64_t>(std::max<std::uint64_t>(counters.max_active.load(), figures.active));
    out.max_children_reached = static_cast<std::int64_t>(counters.max_children_reached.load());
    out.slow_requests = static_cast<std::int64_t>(counters.slow_requests.load());
    out.memory_peak = static_cast<std::int64_t>(counters.memory_peak.load());
    out.slots = board.slots();
}

bool fill_process_status(observe::Scoreboard& board, unsigned index, ftm_process_status& out) noexcept
{
    if (index >= board.slots()) {
        return false;
    }
    observe::Slot& slot = board.slot(index);
    out.pid = slot.pid.load();
    const auto state = static_cast<observe::SlotState>(slot.state.load());
    if (out.pid == 0 || state == observe::SlotState::unused) {
        return false;
    }
    const std::int64_t now = std::chrono::duration_cast<std::chrono::microseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch()).count();
    out.state = static_cast<int>(state);
    out.state_name = state_name(state);
    out.start_time = slot.started.load();
    out.requests = static_cast<std::int64_t>(slot.requests.load());
    out.duration_us = state == observe::SlotState::idle ? slot.duration_us.load() : now - slot.accepted_us.load();
    out.content_length = slot.content_length.load();
    out.memory_bytes = static_cast<std::int64_t>(slot.memory_peak.load());
    const std::int64_t duration = slot.duration_us.load();
    out.cpu_percent = duration > 0 ? 100.0 * static_cast<double>(slot.cpu_us.load()) / static_cast<double>(duration) : 0.0;
    copy_text(slot, out);
    return true;
}

}  // namespace ftm::engine
