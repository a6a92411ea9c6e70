#include "request/body.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unnamed_file.hpp"

namespace ftm::request {

namespace {

constexpr std::size_t kKeptMemory = 64 * 1024;

}  // namespace

Body::Body(Body&& other) noexcept
{
    *this = std::move(other);
}

Body& Body::operator=(Body&& other) noexcept
{
    if (this != &other) {
        limits_ = other.limits_;
        memory_ = std::exchange(other.memory_, std::string());
        spool_ = std::move(other.spool_);
        size_ = std::exchange(other.size_, 0);
        stored_ = std::exchange(other.stored_, 0);
        read_offset_ = std::exchange(other.read_offset_, 0);
        error_ = std::exchange(other.error_, 0);
    }
    return *this;
}

void Body::append(std::string_view data)
{
    size_ += data.size();
    if (failed()) {
        return;
    }
    if (limits_.store_limit != 0) {
        const std::uint64_t room = limits_.store_limit - std::min(stored_, limits_.store_limit);
        data = data.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(data.size(), room)));
    }
    if (data.empty()) {
        return;
    }
    if (!spooled() && data.size() <= limits_.memory_limit - std::min(memory_.size(), limits_.memory_limit)) {
        memory_.append(data);
        stored_ += data.size();
        return;
    }
    if ((spooled() || start_spool()) && write_spool(data)) {
        stored_ += data.size();
    } else {
        fail(error_);
    }
}

// Nobody will read half a body: a full disk gets its space back at once.
void Body::fail(int error) noexcept
{
    spool_.reset();
    memory_ = std::string();
    stored_ = 0;
    read_offset_ = 0;
    error_ = error;
}

std::size_t Body::read(char* out, std::size_t n)
{
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, stored_ - read_offset_));
    if (failed() || n == 0) {
        return 0;
    }
    if (!spooled()) {
        std::memcpy(out, memory_.data() + read_offset_, n);
        read_offset_ += n;
        return n;
    }
    std::size_t done = 0;
    while (done < n) {
        const ssize_t got = ::pread(spool_.get(), out + done, n - done, static_cast<off_t>(read_offset_));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            error_ = got < 0 ? errno : EIO;  // 0: the file is shorter than what was written to it
            break;
        }
        done += static_cast<std::size_t>(got);
        read_offset_ += static_cast<std::uint64_t>(got);
    }
    return done;
}

UniqueFd Body::release_spool() noexcept
{
    UniqueFd spool = std::move(spool_);
    reset();
    return spool;
}

void Body::adopt(UniqueFd spool, std::uint64_t stored, std::uint64_t size) noexcept
{
    reset();
    spool_ = std::move(spool);
    stored_ = stored;
    size_ = size;
}

void Body::reset() noexcept
{
    memory_.clear();
    if (memory_.capacity() > kKeptMemory) {
        memory_ = std::string();
    }
    spool_.reset();
    size_ = 0;
    stored_ = 0;
    read_offset_ = 0;
    error_ = 0;
}

// Moves what is in memory to a new file.
bool Body::start_spool()
{
    spool_ = make_unnamed_file(limits_.spool_dir);
    if (!spool_) {
        error_ = errno;
        return false;
    }
    // What was stored stays counted: from now on it is read from the file.
    stored_ = 0;
    if (!write_spool(memory_)) {
        return false;
    }
    stored_ = memory_.size();
    memory_ = std::string();
    return true;
}

// Writes behind what is stored; the offset is explicit because a hand-over shares the descriptor's.
bool Body::write_spool(std::string_view data)
{
    std::uint64_t offset = stored_;
    while (!data.empty()) {
        const ssize_t n = ::pwrite(spool_.get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            error_ = n < 0 ? errno : ENOSPC;
            return false;
        }
        data.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return true;
}

}  // namespace ftm::request
