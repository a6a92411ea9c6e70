// The sending half of a connection and the right to write it. The right is taken per burst: without contention that is
// one compare-and-swap. Whoever finds it taken queues, and the holder sends that before it lets go. When the socket takes
// no more, the right passes to the standby thread, which alone waits for EPOLLOUT until nothing is queued (RULES 10).
// Each request of the connection has a lane of its own (net/output_lane); they leave in turns, so that a large answer does
// not hold up a small one. The right names its holder (RULES 16).
// Any thread. Errors: SendResult::gone once the peer is.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>

#include "net/output_lane.hpp"

namespace ftm::net {

enum class SendResult {
    sent,    // the socket has it
    queued,  // a holder will send it
    passed,  // queued, and the right is now the standby thread's: tell it to wait for EPOLLOUT
    gone     // the peer is gone; nothing more can be sent
};

class Output {
public:
    using Lane = std::uint16_t;  // the id of a request

    static constexpr std::size_t kMemory = OutputLane::kMemory;  // of a lane
    static constexpr std::size_t kTurn = std::size_t{64} << 10;  // of a lane, when there are others
    static constexpr std::size_t kBurst = std::size_t{1} << 20;  // that one call sends of what others have queued
    static constexpr std::uint32_t kNobody = 0;
    static constexpr std::uint32_t kStandby = 0xffffffff;

    // For a new connection. What is queued beyond kMemory goes to a file in `directory`, which lives as long.
    void open(const char* directory = "/tmp") noexcept;

    // Sends or queues all of it: whole records, which nothing is sent in between. In the order of its lane. `holder` is the
    // caller's context number + 1, or kStandby.
    SendResult send(int fd, std::span<const iovec> parts, std::uint32_t holder, Lane lane = 0);

    // The same for what a reader answers by itself.
    SendResult reply(int fd, std::span<const iovec> parts, std::uint32_t holder, Lane lane);
    // Of such answers, or rather of the lanes with any: a peer that asks and does not read shall not pile them up.
    [[nodiscard]] std::size_t queued_replies();

    // Standby thread, on EPOLLOUT: sent = nothing is queued and the right is free again; queued = wait for EPOLLOUT again.
    SendResult drain(int fd);

    // Waits until at most `limit` bytes of the lane are queued. False: the peer is gone or the time is over.
    bool wait_below(std::size_t limit, int timeout_ms, Lane lane = 0);
    [[nodiscard]] std::size_t queued_in(Lane lane);
    // Drops what is queued of a lane, but for what is leaving.
    void discard(Lane lane);

    void set_gone() noexcept;
    [[nodiscard]] bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }
    [[nodiscard]] bool pending() const noexcept { return queued_.load(std::memory_order_acquire) != 0; }
    [[nodiscard]] std::size_t pending_bytes() const noexcept { return queued_.load(std::memory_order_relaxed); }
    // errno of a disk that takes no more of what is queued, while that is so: it is kept in memory, so queue no more.
    [[nodiscard]] int disk_error() const noexcept { return disk_error_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t holder() const noexcept { return holder_.load(std::memory_order_acquire); }
    // A crashed holder will never let go: the standby thread takes the right in its place.
    void seize() noexcept { holder_.store(kStandby); }

private:
    enum class Flush { empty, more, full, gone };

    bool take(std::uint32_t holder) noexcept;
    SendResult let_go(int fd, std::uint32_t holder);
    Flush flush_turn(int fd, std::size_t& budget);
    void enqueue(std::span<const iovec> parts, Lane lane);
    void keep_rest(std::span<const iovec> parts, std::size_t sent, Lane lane);
    void forget_queue() noexcept;
    [[nodiscard]] std::size_t unsent_of(Lane lane) const noexcept;

    std::atomic<std::uint32_t> holder_{kNobody};
    std::atomic<bool> gone_{false};
    std::atomic<int> disk_error_{0};
    std::atomic<std::size_t> queued_{0};  // written under mutex_: bytes of leaving_ and of all lanes
    std::atomic<bool> used_{false};  // written under mutex_: anything was queued since open(), which else needs no lock
    std::atomic<const char*> directory_{"/tmp"};
    std::mutex mutex_;  // guards what follows
    std::condition_variable drained_;
    std::string leaving_;        // units of one lane on their way, the first perhaps in part
    std::size_t left_ = 0;       // bytes of leaving_ that have left
    Lane leaving_lane_ = 0;
    std::list<OutputLane> lanes_;  // with anything in them; the first one's turn is next
};

}  // namespace ftm::net
