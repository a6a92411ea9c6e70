#include "net/output_lane.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ftm::net {
namespace {

using UnitSize = std::uint32_t;
constexpr std::size_t kSpoolPart = std::size_t{256} << 10;  // read back at once

void append_unit(std::string& out, std::span<const iovec> parts, UnitSize size)
{
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    for (const iovec& part : parts) {
        out.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
}

}  // namespace

void OutputLane::push(std::span<const iovec> parts)
{
    std::size_t size = 0;
    for (const iovec& part : parts) {
        size += part.iov_len;
    }
    if (size == 0) {
        return;
    }
    bytes_ += size;
    const auto unit_size = static_cast<UnitSize>(size);
    if (!behind_.empty()) {
        append_unit(behind_, parts, unit_size);
    } else if (spool_.size() == 0 && memory_.size() - head_ + sizeof unit_size + size <= kMemory) {
        append_unit(memory_, parts, unit_size);
    } else {
        std::string unit;
        unit.reserve(sizeof unit_size + size);
        append_unit(unit, parts, unit_size);
        if (!spool_.append(unit.data(), unit.size())) {
            disk_error_ = errno;
            behind_ = std::move(unit);
        }
    }
}

bool OutputLane::pop(std::string& out, std::size_t wanted)
{
    while (bytes_ != 0 && out.size() < wanted) {
        UnitSize size = 0;
        if (!refill(sizeof size)) {
            return false;
        }
        std::memcpy(&size, memory_.data() + head_, sizeof size);
        if (!refill(sizeof size + size)) {
            return false;
        }
        out.append(memory_, head_ + sizeof size, size);
        head_ += sizeof size + size;
        bytes_ -= size;
    }
    return true;
}

// At least `wanted` bytes into memory_.
bool OutputLane::refill(std::size_t wanted)
{
    while (memory_.size() - head_ < wanted) {
        memory_.erase(0, head_);
        head_ = 0;
        if (spool_.size() != 0) {
            if (!spool_.take(memory_, std::max(kSpoolPart, wanted))) {
                return false;
            }
        } else if (!behind_.empty()) {
            memory_ += behind_;
            behind_ = std::string();
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace ftm::net
