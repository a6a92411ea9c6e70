#include "net/output.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace ftm::net {
namespace {

constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kSpoolPart = std::size_t{256} << 10;

std::size_t total(std::span<const iovec> parts) noexcept
{
    std::size_t sum = 0;
    for (const iovec& part : parts) {
        sum += part.iov_len;
    }
    return sum;
}

// Bytes sent before the socket was full; -1: the peer is gone.
ssize_t send_some(int fd, std::span<const iovec> parts) noexcept
{
    std::size_t sent = 0;
    const std::size_t size = total(parts);
    while (sent < size) {
        iovec rest[kMaxParts];
        std::size_t count = 0;
        std::size_t skip = sent;
        for (const iovec& part : parts) {
            if (skip >= part.iov_len) {
                skip -= part.iov_len;
                continue;
            }
            rest[count++] = {static_cast<char*>(part.iov_base) + skip, part.iov_len - skip};
            skip = 0;
        }
        msghdr message{};
        message.msg_iov = rest;
        message.msg_iovlen = count;
        const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            break;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return static_cast<ssize_t>(sent);
}

}  // namespace

void Output::open() noexcept
{
    holder_.store(kNobody);
    queued_.store(0);
    gone_.store(false);
    const std::lock_guard lock(mutex_);
    discard();
}

void Output::discard() noexcept
{
    queue_.clear();
    head_ = 0;
    spool_.clear();
    tail_ = std::string();
    full_.store(false);
}

std::size_t Output::unsent() const noexcept
{
    return queue_.size() - head_ + static_cast<std::size_t>(spool_.size()) + tail_.size();
}

bool Output::take(std::uint32_t holder) noexcept
{
    std::uint32_t nobody = kNobody;
    return holder_.compare_exchange_strong(nobody, holder);
}

void Output::enqueue(std::span<const iovec> parts, std::size_t skip)
{
    const std::lock_guard lock(mutex_);
    if (gone()) {
        return;
    }
    for (const iovec& part : parts) {
        if (skip >= part.iov_len) {
            skip -= part.iov_len;
            continue;
        }
        const char* data = static_cast<const char*>(part.iov_base) + skip;
        const std::size_t size = part.iov_len - skip;
        skip = 0;
        if (!full() && spool_.size() == 0 && queue_.size() - head_ + size <= kMemory) {
            queue_.append(data, size);
            continue;
        }
        const std::size_t taken = full() ? 0 : spool_.append(data, size);
        if (taken < size) {
            tail_.append(data + taken, size - taken);
            full_.store(true);
        }
    }
    queued_.store(unsent());
}

SendResult Output::flush_queue(int fd)
{
    std::unique_lock lock(mutex_);
    if (head_ == queue_.size() && spool_.size() != 0) {
        queue_.clear();
        head_ = 0;
        if (!spool_.take(queue_, kSpoolPart)) {
            lock.unlock();
            set_gone();
            return SendResult::gone;
        }
    } else if (head_ == queue_.size() && full()) {
        queue_.swap(tail_);
        tail_ = std::string();
        head_ = 0;
        full_.store(false);
    }
    const iovec part{queue_.data() + head_, queue_.size() - head_};
    const ssize_t n = part.iov_len == 0 ? 0 : send_some(fd, {&part, 1});
    if (n < 0) {
        lock.unlock();
        set_gone();
        return SendResult::gone;
    }
    head_ += static_cast<std::size_t>(n);
    if (head_ == queue_.size()) {
        queue_.clear();
        if (queue_.capacity() > (std::size_t{64} << 10)) {
            queue_.shrink_to_fit();
        }
        head_ = 0;
    } else if (head_ > queue_.size() / 2) {
        queue_.erase(0, head_);
        head_ = 0;
    }
    queued_.store(unsent());
    drained_.notify_all();
    return head_ == queue_.size() ? SendResult::sent : SendResult::queued;
}

SendResult Output::let_go(int fd, std::uint32_t holder)
{
    for (;;) {
        while (pending()) {
            const SendResult result = flush_queue(fd);
            if (result == SendResult::gone) {
                break;
            }
            if (result == SendResult::queued) {
                holder_.store(kStandby);
                return SendResult::passed;
            }
        }
        holder_.store(kNobody);
        if (gone()) {
            return SendResult::gone;
        }
        if (!pending()) {
            return SendResult::sent;
        }
        if (!take(holder)) {
            return SendResult::queued;
        }
    }
}

SendResult Output::send(int fd, std::span<const iovec> parts, std::uint32_t holder)
{
    if (gone()) {
        return SendResult::gone;
    }
    if (!take(holder)) {
        enqueue(parts, 0);
        if (!take(holder)) {
            return gone() ? SendResult::gone : SendResult::queued;
        }
        return let_go(fd, holder);
    }
    if (pending()) {
        enqueue(parts, 0);
        return let_go(fd, holder);
    }
    const ssize_t n = send_some(fd, parts);
    if (n < 0) {
        set_gone();
    } else if (static_cast<std::size_t>(n) < total(parts)) {
        enqueue(parts, static_cast<std::size_t>(n));
        holder_.store(kStandby);
        return SendResult::passed;
    }
    return let_go(fd, holder);
}

SendResult Output::drain(int fd)
{
    if (holder() != kStandby) {
        return SendResult::sent;
    }
    const SendResult result = gone() ? SendResult::gone : flush_queue(fd);
    if (result == SendResult::queued) {
        return result;
    }
    const SendResult after = let_go(fd, kStandby);
    return after == SendResult::passed ? SendResult::queued : after;
}

bool Output::wait_below(std::size_t limit, int timeout_ms)
{
    std::unique_lock lock(mutex_);
    const bool in_time = drained_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                           [&] { return gone() || unsent() <= limit; });
    return in_time && !gone();
}

void Output::set_gone() noexcept
{
    const std::lock_guard lock(mutex_);
    gone_.store(true);
    discard();
    queued_.store(0);
    drained_.notify_all();
}

}  // namespace ftm::net
