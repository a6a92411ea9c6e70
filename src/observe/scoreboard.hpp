// What a pool's contexts are doing: one memfd per pool, made by the master, mapped by host and engines (RULES 25).
// Each slot is written by one context and read by anybody; readers may see a slot in the middle of a change and show
// it, as php-fpm's status page may. Text fields are guarded by a sequence counter.
// Versioned: an unknown version is not mapped.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace ftm::observe {

// Of a worker's context. A worker that is ready is busy while its slot is not idle.
enum class WorkerState : std::uint32_t { none, booting, ready, failed };

// Why a worker's script was booted once more.
enum class RestartReason : std::uint32_t {
    none,          // it was not: the pool's first boot
    max_requests,  // worker.max_requests
    max_memory,    // worker.max_memory, or pm.max_memory of its engine
    script_end,    // the script left its loop by itself
    exit,          // it called exit()
    fatal,         // fatal error, memory_limit, max_execution_time, exception outside of a request
    timeout,       // request_terminate_timeout
    crash,         // a signal ended its engine
    boot_failure,  // it ended before it asked for a request
    opcache,       // opcache asked for a restart
    watch,         // worker.watch saw a change
    reload         // its engine was asked to go
};
inline constexpr std::size_t kRestartReasons = 12;

enum class SlotState : std::uint32_t { unused, idle, reading_headers, info, running, ending, finishing, crashed };

// Copies of php-fpm's truncations (fpm_scoreboard.h), bytes with the final NUL.
struct alignas(8) RequestText {
    char uri[128];
    char query[512];
    char method[16];
    char script[256];
    char user[32];
};

struct Slot {
    std::atomic<std::uint32_t> state;
    std::atomic<std::int32_t> pid;
    std::atomic<std::int32_t> tid;
    std::atomic<std::uint32_t> text_sequence;  // odd while text is being written
    std::atomic<std::int64_t> started;         // wall clock, seconds
    std::atomic<std::int64_t> accepted_us;     // CLOCK_MONOTONIC, µs, of the running or last request
    std::atomic<std::int64_t> duration_us;     // of the last request, to its script's end
    std::atomic<std::int64_t> cpu_us;          // CPU time of the last request
    std::atomic<std::int64_t> cpu_duration_us; // what it is a part of; 0: was not measured
    std::atomic<std::uint64_t> requests;
    std::atomic<std::int64_t> content_length;
    std::atomic<std::uint64_t> memory_peak;
    std::atomic<std::uint32_t> worker_state;
    std::atomic<std::uint32_t> worker_reason;    // RestartReason of its last boot
    std::atomic<std::uint64_t> worker_requests;  // since that
    std::atomic<std::uint64_t> worker_restarts;
    std::atomic<std::int64_t> worker_boot_us;    // how long it took; 0: has not booted yet
    std::atomic<std::uint64_t> worker_memory;    // bytes of its heap after the last request
    RequestText text;
};

struct PoolCounters {
    std::atomic<std::uint64_t> accepted;
    std::atomic<std::uint64_t> slow_requests;
    std::atomic<std::uint64_t> max_children_reached;
    std::atomic<std::uint64_t> queue_length;  // our queue, all engines
    std::atomic<std::uint64_t> max_queue_length;
    std::atomic<std::uint64_t> max_active;
    std::atomic<std::uint64_t> memory_peak;
    std::atomic<std::uint64_t> rejected;  // 503 at the queue limit
    std::atomic<std::uint64_t> crashes;
    std::atomic<std::uint64_t> worker_restarts[kRestartReasons];  // by RestartReason
};

struct ScoreboardHeader {
    std::uint32_t version;
    std::uint32_t slots;
    std::int64_t start_time;  // wall clock, seconds
    char pool[32];
    PoolCounters counters;
};

struct PoolFigures {
    unsigned idle = 0;
    unsigned active = 0;
    [[nodiscard]] unsigned total() const { return idle + active; }
};

class Scoreboard {
public:
    Scoreboard() = default;
    Scoreboard(Scoreboard&& other) noexcept { *this = std::move(other); }
    Scoreboard& operator=(Scoreboard&& other) noexcept;
    ~Scoreboard();

    // Master. Aborts without memory.
    static Scoreboard create(std::string_view pool, unsigned slots);
    // Another process image. Invalid when the version is unknown.
    static Scoreboard map(UniqueFd fd);

    [[nodiscard]] bool valid() const noexcept { return header_ != nullptr; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] ScoreboardHeader& header() noexcept { return *header_; }
    [[nodiscard]] PoolCounters& counters() noexcept { return header_->counters; }
    [[nodiscard]] unsigned slots() const noexcept { return slots_; }
    [[nodiscard]] Slot& slot(unsigned index) noexcept;

    // A free slot for a context of this process, or nullptr. Any thread.
    Slot* acquire();
    static void release(Slot& slot) noexcept;
    // After an engine died: its slots are free again.
    void release_pid(std::int32_t pid) noexcept;

    [[nodiscard]] PoolFigures figures() noexcept;

private:
    UniqueFd fd_;
    ScoreboardHeader* header_ = nullptr;
    std::size_t size_ = 0;
    unsigned slots_ = 0;  // not the header's, which the pool's user can write
};

// A copy. Any thread.
[[nodiscard]] RequestText text_of(const Slot& slot) noexcept;
void set_text(Slot& slot, std::string_view uri, std::string_view query, std::string_view method, std::string_view script,
              std::string_view user) noexcept;
// A copy that is of one request, unless the writer is faster ten times in a row. Every text ends. Any thread.
[[nodiscard]] RequestText get_text(const Slot& slot) noexcept;

}  // namespace ftm::observe
