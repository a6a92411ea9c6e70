// The sending half of a connection and the right to write it. The right is taken per burst: without contention that is
// one compare-and-swap. Whoever finds it taken appends to a queue, which the holder sends before it lets go. When the
// socket takes no more, the right passes to the standby thread, which alone waits for EPOLLOUT until the queue is
// empty (RULES 10). Beyond kMemory the queue is a temporary file; what no file takes (full disk, no /tmp in a chroot) stays
// in memory, and full() asks the writer to wait. The right names its holder (RULES 16).
// Any thread. Errors: SendResult::gone once the peer is.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

#include "net/spool_file.hpp"

namespace ftm::net {

enum class SendResult {
    sent,    // the socket has it
    queued,  // a holder will send it
    passed,  // queued, and the right is now the standby thread's: tell it to wait for EPOLLOUT
    gone     // the peer is gone; nothing more can be sent
};

class Output {
public:
    static constexpr std::size_t kMemory = std::size_t{1} << 20;  // bytes of the queue kept in memory
    static constexpr std::uint32_t kNobody = 0;
    static constexpr std::uint32_t kStandby = 0xffffffff;

    void open() noexcept;

    // Sends or queues all of it, in order. `holder` is the caller's context number + 1, or kStandby.
    SendResult send(int fd, std::span<const iovec> parts, std::uint32_t holder);

    // Standby thread, on EPOLLOUT: sent = queue empty and the right is free again; queued = wait for EPOLLOUT again.
    SendResult drain(int fd);

    // Waits until at most `limit` bytes are queued. False: the peer is gone or the deadline passed.
    bool wait_below(std::size_t limit, int timeout_ms);

    // No file takes what is beyond kMemory: wait_below(kMemory) before sending more.
    [[nodiscard]] bool full() const noexcept { return full_.load(std::memory_order_relaxed); }

    void set_gone() noexcept;
    [[nodiscard]] bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }
    [[nodiscard]] bool pending() const noexcept { return queued_.load(std::memory_order_acquire) != 0; }
    [[nodiscard]] std::size_t pending_bytes() const noexcept { return queued_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t holder() const noexcept { return holder_.load(std::memory_order_acquire); }
    // A crashed holder will never let go: the standby thread takes the right in its place.
    void seize() noexcept { holder_.store(kStandby); }

private:
    bool take(std::uint32_t holder) noexcept;
    SendResult let_go(int fd, std::uint32_t holder);
    SendResult flush_queue(int fd);
    void enqueue(std::span<const iovec> parts, std::size_t skip);
    void discard() noexcept;
    [[nodiscard]] std::size_t unsent() const noexcept;

    std::atomic<std::uint32_t> holder_{kNobody};
    std::atomic<std::size_t> queued_{0};
    std::atomic<bool> gone_{false};
    std::atomic<bool> full_{false};
    std::mutex mutex_;  // guards queue_, head_
    std::condition_variable drained_;
    std::string queue_;     // guarded by mutex_, as what follows
    std::size_t head_ = 0;  // bytes of queue_ already sent
    SpoolFile spool_;       // what comes behind queue_
    std::string tail_;      // what comes behind spool_: it has refused it
};

}  // namespace ftm::net
