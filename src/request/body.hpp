// A request body while it is received and while PHP reads it: in memory up to memory_limit, then all of it in an
// unlinked temporary file. Past store_limit it is counted but no longer kept.
// A value: movable, one owner, one thread at a time. Does blocking file I/O once it spools.
// Errors: when the file cannot be made, written or read, failed() turns true and stays, error() is the errno, and
// later bytes are counted and dropped. When it cannot be made or written, what was stored is dropped too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.hpp"

namespace ftm::request {

struct BodyLimits {
    std::size_t memory_limit = std::size_t{1} << 20;  // bytes; a larger body goes to a file
    std::uint64_t store_limit = 0;  // bytes kept at most; 0: all. post_max_size + 1 lets PHP see an excess
    const char* spool_dir = "/tmp";  // outlives the body
};

class Body {
public:
    Body() = default;
    explicit Body(BodyLimits limits) : limits_(limits) {}
    Body(Body&& other) noexcept;
    Body& operator=(Body&& other) noexcept;
    ~Body() = default;

    // For bodies that start afterwards, kept over reset().
    void set_limits(BodyLimits limits) { limits_ = limits; }

    void append(std::string_view data);

    // Copies the next bytes, at most n; 0 at the end of what is stored, or failed().
    [[nodiscard]] std::size_t read(char* out, std::size_t n);
    void rewind() noexcept { read_offset_ = 0; }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }      // received
    [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }  // can be read
    [[nodiscard]] bool spooled() const noexcept { return spool_.valid(); }
    [[nodiscard]] bool failed() const noexcept { return error_ != 0; }
    [[nodiscard]] int error() const noexcept { return error_; }
    // What is stored while not spooled; valid until the next append, move or reset.
    [[nodiscard]] std::string_view memory() const noexcept { return memory_; }

    // Hand-over to another process (RULES 21). A body in memory travels as bytes and is appended there; a spooled one
    // as descriptor and sizes. After release_spool() this body is empty.
    [[nodiscard]] UniqueFd release_spool() noexcept;
    // Borrowed, for sending a copy; -1 when not spooled.
    [[nodiscard]] int spool_fd() const noexcept { return spool_.get(); }
    // Replaces the content by a file of stored bytes; size is what had been received.
    void adopt(UniqueFd spool, std::uint64_t stored, std::uint64_t size) noexcept;
    // What was received could not be stored, for the reason that errno value says: failed() from now on.
    void fail(int error) noexcept;

    // Empty again, limits kept; keeps a little memory, closes the file.
    void reset() noexcept;

private:
    bool start_spool();
    bool write_spool(std::string_view data);

    BodyLimits limits_;
    std::string memory_;
    UniqueFd spool_;
    std::uint64_t size_ = 0;
    std::uint64_t stored_ = 0;
    std::uint64_t read_offset_ = 0;
    int error_ = 0;
};

}  // namespace ftm::request
