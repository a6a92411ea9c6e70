// What the standby thread may see of the request a context is running, and how it cuts off that request's client while
// the context, which may be stuck, still holds the connection. The context's part of it costs two stores and one
// atomic operation per request.
#pragma once

#include <atomic>
#include <cstdint>

#include "sched/request_deadlines.hpp"

namespace ftm::engine {

class RequestWatch {
public:
    // -- the context's thread

    void begin(std::int64_t now_us) noexcept
    {
        since_us_.store(now_us, std::memory_order_relaxed);
        stage_.store(sched::RunStage::preparing, std::memory_order_relaxed);
        ++sequence_;
        state_.store(sequence_ << kBits | kRunning, std::memory_order_release);
    }
    void stage(sched::RunStage stage) noexcept { stage_.store(stage, std::memory_order_relaxed); }
    // Before the connection is given back. If it is being cut in this moment, waits for that: two system calls.
    void release() noexcept
    {
        std::uint64_t seen = state_.fetch_or(kReleased);
        while ((seen & kCutting) != 0) {
            seen = state_.load();
        }
    }
    void end() noexcept { state_.store(sequence_ << kBits, std::memory_order_release); }
    // Async-signal-safe.
    [[nodiscard]] bool shall_end() const noexcept { return wanted_end_.load() == sequence_ && sequence_ != 0; }
    [[nodiscard]] bool shall_trace() const noexcept { return wanted_trace_.load() == sequence_ && sequence_ != 0; }

    // -- the standby thread

    [[nodiscard]] sched::RunningRequest running() const noexcept
    {
        for (;;) {
            const std::uint64_t state = state_.load(std::memory_order_acquire);
            if ((state & kRunning) == 0) {
                return {};
            }
            const sched::RunningRequest request{state >> kBits, since_us_.load(std::memory_order_relaxed),
                                                stage_.load(std::memory_order_relaxed)};
            std::atomic_thread_fence(std::memory_order_acquire);
            if (state_.load(std::memory_order_relaxed) >> kBits == request.sequence) {
                return request;
            }
        }
    }
    void want_end(std::uint64_t sequence) noexcept { wanted_end_.store(sequence); }
    void want_trace(std::uint64_t sequence) noexcept { wanted_trace_.store(sequence); }
    [[nodiscard]] bool is_trace_wanted(std::uint64_t sequence) const noexcept { return wanted_trace_.load() == sequence; }
    // Exactly one of context and standby thread traces a request: true for the one that may.
    bool take_trace(std::uint64_t sequence) noexcept
    {
        return wanted_trace_.compare_exchange_strong(sequence, 0);
    }
    [[nodiscard]] std::uint64_t sequence() const noexcept { return state_.load() >> kBits; }
    // Calls `shut` while the context cannot give the connection back. False: it already has, or runs another request.
    template <class Shut>
    bool cut(std::uint64_t sequence, Shut&& shut)
    {
        std::uint64_t held = sequence << kBits | kRunning;
        if (!state_.compare_exchange_strong(held, held | kCutting)) {
            return false;
        }
        shut();
        state_.fetch_and(~kCutting);
        return true;
    }
    // Whether the context still has the connection of this request.
    [[nodiscard]] bool holds(std::uint64_t sequence) const noexcept
    {
        return (state_.load() & ~kCutting) == (sequence << kBits | kRunning);
    }

private:
    static constexpr unsigned kBits = 3;
    static constexpr std::uint64_t kRunning = 1;
    static constexpr std::uint64_t kReleased = 2;
    static constexpr std::uint64_t kCutting = 4;

    std::atomic<std::uint64_t> state_{0};  // sequence, and the three bits
    std::atomic<std::int64_t> since_us_{0};
    std::atomic<sched::RunStage> stage_{sched::RunStage::preparing};
    std::atomic<std::uint64_t> wanted_end_{0};    // sequence of the request that shall end
    std::atomic<std::uint64_t> wanted_trace_{0};  // and of the one that shall be traced
    std::uint64_t sequence_ = 0;  // the context's own
};

}  // namespace ftm::engine
