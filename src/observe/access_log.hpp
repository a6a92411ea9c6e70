// A pool's access log: php-fpm's access.format filled in for one request, one write(2) per line (fpm_log.c).
// AccessFormat and AccessEntry are values. AccessLog: any thread may write; reopen() swaps the file under them in one
// step (dup3), so no line is lost or cut in two.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"

namespace ftm::observe {

// What a line may show. Views are valid while the line is made; texts are cut as in the scoreboard.
struct AccessEntry {
    std::string_view uri;
    std::string_view query;
    std::string_view method;
    std::string_view script;
    std::string_view user;
    std::string_view peer;  // empty: not a TCP connection
    std::int64_t content_length = 0;
    int status = 200;
    std::uint64_t memory = 0;         // bytes
    std::int64_t accepted = 0;        // wall clock, seconds
    std::int64_t logged = 0;          // wall clock, seconds
    std::int64_t duration_us = 0;
    std::int64_t cpu_us = 0;          // only if the format wants_cpu()
    std::int64_t cpu_user_us = 0;     // these two only if it wants_cpu_split()
    std::int64_t cpu_system_us = 0;
    std::span<const std::string_view> headers;  // "Name: value"; only if the format wants_headers()
    // A FastCGI parameter, nullptr if there is none.
    const char* (*parameter)(const void* request, std::string_view name) = nullptr;
    const void* request = nullptr;
};

// What does not change from line to line.
struct AccessPool {
    std::string name;
    std::int64_t pid = 0;
    std::int64_t parent = 0;
};

class AccessFormat {
public:
    // Of a format that config/access_format has accepted.
    explicit AccessFormat(std::string_view format);

    // The line with its line feed; empty: there is nothing to write. `cut` tells that it did not fit into php-fpm's
    // 1024 bytes.
    [[nodiscard]] std::string line(const AccessEntry& entry, const AccessPool& pool, bool& cut) const;

    [[nodiscard]] bool wants_cpu() const { return has('C'); }
    [[nodiscard]] bool wants_cpu_split() const;
    [[nodiscard]] bool wants_headers() const { return has('o'); }
    [[nodiscard]] bool wants_peer() const { return has('R'); }

private:
    struct Token {
        char kind;             // the letter, or 0: `text` as it is
        std::string text;      // literal, or what stood in braces
    };
    [[nodiscard]] bool has(char kind) const;
    [[nodiscard]] static std::string value(const Token& token, const AccessEntry& entry, const AccessPool& pool);

    std::vector<Token> tokens_;
};

class AccessLog {
public:
    AccessLog(int fd, std::string_view format, std::vector<std::string> suppressed, AccessPool pool)
        : fd_(fd), format_(format), suppressed_(std::move(suppressed)), pool_(std::move(pool))
    {
    }

    [[nodiscard]] const AccessFormat& format() const { return format_; }

    // access.suppress_path and the line. False: it was cut. Errors of the file are ignored, as in php-fpm.
    bool write(const AccessEntry& entry) const;

    // Lines go to this file from now on. The descriptor stays the caller's.
    void reopen(int fd) const;

private:
    [[nodiscard]] bool suppressed(const AccessEntry& entry) const;

    const int fd_;  // whoever forked this process opened it; open as long as the process lives
    AccessFormat format_;
    std::vector<std::string> suppressed_;
    AccessPool pool_;
};

}  // namespace ftm::observe
