// Bytes that do not fit into memory, in order: an unlinked temporary file written at its end and read at its front.
// A value with one owner; errors are reported once and final.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.hpp"

namespace ftm::net {

class SpoolFile {
public:
    explicit SpoolFile(const char* directory = "/tmp") noexcept : directory_(directory) {}

    // All or nothing. False: the file system refused, errno says why.
    [[nodiscard]] bool append(const char* data, std::size_t size);
    // Moves up to `size` bytes from the front to the end of `out`. False: they cannot be read back.
    [[nodiscard]] bool take(std::string& out, std::size_t size);
    [[nodiscard]] std::uint64_t size() const noexcept { return written_ - read_; }
    // Gives the disk space back.
    void clear() noexcept;

private:
    const char* directory_;
    UniqueFd file_;
    std::uint64_t written_ = 0;
    std::uint64_t read_ = 0;
};

}  // namespace ftm::net
