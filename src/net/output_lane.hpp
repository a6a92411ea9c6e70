// The unsent bytes of one request, in order: kMemory of them in memory, the rest in a temporary file, and in memory again
// where the disk refuses them. They come in units, which leave whole: a turn of another request's is never inside of one.
// A value with one owner.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "net/spool_file.hpp"

namespace ftm::net {

class OutputLane {
public:
    static constexpr std::size_t kMemory = std::size_t{1} << 20;

    // `directory` for the temporary file; lives as long as the lane.
    OutputLane(std::uint16_t id, const char* directory) noexcept : id_(id), spool_(directory) {}

    [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
    // Of all units in it.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    // errno of the disk that has refused what is in memory instead; 0: none.
    [[nodiscard]] int disk_error() const noexcept { return behind_.empty() ? 0 : disk_error_; }

    // It has answers in it that no script has made.
    [[nodiscard]] bool has_replies() const noexcept { return has_replies_; }
    void note_reply() noexcept { has_replies_ = true; }

    // One unit of less than 4 GiB.
    void push(std::span<const iovec> parts);
    // Moves units to the end of out until that holds `wanted` bytes or nothing is left. False: they cannot be read back.
    [[nodiscard]] bool pop(std::string& out, std::size_t wanted);

private:
    [[nodiscard]] bool refill(std::size_t wanted);

    std::uint16_t id_;
    bool has_replies_ = false;
    std::size_t bytes_ = 0;
    std::string memory_;     // units, each behind its size in four bytes
    std::size_t head_ = 0;   // bytes of memory_ that have left
    SpoolFile spool_;        // what comes behind memory_
    std::string behind_;     // what comes behind spool_
    int disk_error_ = 0;
};

}  // namespace ftm::net
