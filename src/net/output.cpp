#include "net/output.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace ftm::net {
namespace {

constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kAlone = std::size_t{256} << 10;  // a turn without others

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

void Output::open(const char* directory) noexcept
{
    holder_.store(kNobody);
    gone_.store(false);
    directory_.store(directory);
    if (used_.load()) {
        const std::lock_guard lock(mutex_);
        forget_queue();
    }
}

void Output::forget_queue() noexcept
{
    queued_.store(0);
    disk_error_.store(0);
    leaving_.clear();
    left_ = 0;
    lanes_.clear();
    used_.store(false);
}

std::size_t Output::unsent_of(Lane lane) const noexcept
{
    std::size_t bytes = lane == leaving_lane_ ? leaving_.size() - left_ : 0;
    for (const OutputLane& one : lanes_) {
        bytes += one.id() == lane ? one.bytes() : 0;
    }
    return bytes;
}

bool Output::take(std::uint32_t holder) noexcept
{
    std::uint32_t nobody = kNobody;
    return holder_.compare_exchange_strong(nobody, holder);
}

void Output::enqueue(std::span<const iovec> parts, Lane lane)
{
    const std::lock_guard lock(mutex_);
    if (gone()) {
        return;
    }
    used_.store(true);
    auto place = std::find_if(lanes_.begin(), lanes_.end(), [&](const OutputLane& one) { return one.id() == lane; });
    if (place == lanes_.end()) {
        place = lanes_.emplace(lanes_.end(), lane, directory_.load());
    }
    place->push(parts);
    if (place->disk_error() != 0) {
        disk_error_.store(place->disk_error());
    }
    queued_.store(queued_.load() + total(parts));
}

// By the holder, when nothing was leaving: what comes behind the `sent` bytes of a unit goes before any lane.
void Output::keep_rest(std::span<const iovec> parts, std::size_t sent, Lane lane)
{
    const std::lock_guard lock(mutex_);
    if (gone()) {
        return;
    }
    used_.store(true);
    std::size_t skip = sent;
    for (const iovec& part : parts) {
        const std::size_t skipped = std::min(skip, part.iov_len);
        leaving_.append(static_cast<const char*>(part.iov_base) + skipped, part.iov_len - skipped);
        skip -= skipped;
    }
    leaving_lane_ = lane;
    queued_.store(queued_.load() + leaving_.size());
}

// One turn of one lane, or what was left of it.
Output::Flush Output::flush_turn(int fd, std::size_t& budget)
{
    std::unique_lock lock(mutex_);
    if (leaving_.empty() && !lanes_.empty()) {
        OutputLane& lane = lanes_.front();
        leaving_lane_ = lane.id();
        if (!lane.pop(leaving_, lanes_.size() == 1 ? kAlone : kTurn)) {
            lock.unlock();
            set_gone(); // a hole in the answer would be worse than its end: the client sees a broken connection
            return Flush::gone;
        }
        if (lane.bytes() == 0) {
            lanes_.pop_front();
        } else {
            lanes_.splice(lanes_.end(), lanes_, lanes_.begin());
        }
    }
    const iovec part{leaving_.data() + left_, leaving_.size() - left_};
    const ssize_t n = part.iov_len == 0 ? 0 : send_some(fd, {&part, 1});
    if (n < 0) {
        lock.unlock();
        set_gone();
        return Flush::gone;
    }
    left_ += static_cast<std::size_t>(n);
    budget -= std::min(budget, static_cast<std::size_t>(n));
    queued_.store(queued_.load() - static_cast<std::size_t>(n));
    if (left_ == leaving_.size()) {
        leaving_.clear();
        left_ = 0;
        if (leaving_.capacity() > kTurn && lanes_.empty()) {
            leaving_.shrink_to_fit();
        }
    }
    if (disk_error_.load() != 0 &&
        std::all_of(lanes_.begin(), lanes_.end(), [](const OutputLane& one) { return one.disk_error() == 0; })) {
        disk_error_.store(0);
    }
    drained_.notify_all();
    if (!leaving_.empty()) {
        return Flush::full;
    }
    return lanes_.empty() ? Flush::empty : Flush::more;
}

SendResult Output::let_go(int fd, std::uint32_t holder)
{
    std::size_t budget = kBurst;
    for (;;) {
        while (pending()) {
            const Flush flushed = flush_turn(fd, budget);
            if (flushed == Flush::gone) {
                break;
            }
            if (flushed == Flush::full || (flushed == Flush::more && budget == 0)) {
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

SendResult Output::send(int fd, std::span<const iovec> parts, std::uint32_t holder, Lane lane)
{
    if (gone()) {
        return SendResult::gone;
    }
    if (!take(holder)) {
        enqueue(parts, lane);
        if (!take(holder)) {
            return gone() ? SendResult::gone : SendResult::queued;
        }
        return let_go(fd, holder);
    }
    if (pending()) {
        enqueue(parts, lane);
        return let_go(fd, holder);
    }
    const ssize_t n = send_some(fd, parts);
    if (n < 0) {
        set_gone();
    } else if (static_cast<std::size_t>(n) < total(parts)) {
        keep_rest(parts, static_cast<std::size_t>(n), lane);
        holder_.store(kStandby);
        return SendResult::passed;
    }
    return let_go(fd, holder);
}

SendResult Output::reply(int fd, std::span<const iovec> parts, std::uint32_t holder, Lane lane)
{
    const SendResult result = send(fd, parts, holder, lane);
    if (result == SendResult::queued || result == SendResult::passed) {
        const std::lock_guard lock(mutex_);
        for (OutputLane& one : lanes_) {
            if (one.id() == lane) {
                one.note_reply();
            }
        }
    }
    return result;
}

std::size_t Output::queued_replies()
{
    if (!pending()) {
        return 0;
    }
    const std::lock_guard lock(mutex_);
    std::size_t bytes = 0;
    for (const OutputLane& one : lanes_) {
        bytes += one.has_replies() ? one.bytes() : 0;
    }
    return bytes;
}

SendResult Output::drain(int fd)
{
    if (holder() != kStandby) {
        return SendResult::sent;
    }
    const SendResult result = let_go(fd, kStandby);
    return result == SendResult::passed ? SendResult::queued : result;
}

bool Output::wait_below(std::size_t limit, int timeout_ms, Lane lane)
{
    std::unique_lock lock(mutex_);
    const bool in_time = drained_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                           [&] { return gone() || unsent_of(lane) <= limit; });
    return in_time && !gone();
}

std::size_t Output::queued_in(Lane lane)
{
    const std::lock_guard lock(mutex_);
    return unsent_of(lane);
}

void Output::discard(Lane lane)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(lanes_, [&](const OutputLane& one) {
        if (one.id() != lane) {
            return false;
        }
        queued_.store(queued_.load() - one.bytes());
        return true;
    });
    drained_.notify_all();
}

void Output::set_gone() noexcept
{
    const std::lock_guard lock(mutex_);
    gone_.store(true);
    forget_queue();
    drained_.notify_all();
}

}  // namespace ftm::net
