// The error log in php-fpm's format (zlog): "[20-Nov-2026 04:38:47] NOTICE: text". Two kinds of process write it:
// the master to the file, stderr or syslog; hosts and engines as datagrams to the master, which alone holds the file
// (RULES 26). Threads: any; one write or send per line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace ftm::observe {

enum class Level : int { debug = 1, notice = 2, warning = 3, error = 4, alert = 5 };

[[nodiscard]] const char* level_name(Level level) noexcept;

// One message on its way from a pool's process to the master.
struct LogDatagram {
    enum class Kind : std::uint8_t {
        line,          // ours: goes into the log as it is
        worker_output  // what a php-fpm child would have written to its stderr: subject to catch_workers_output
    };
    Kind kind = Kind::line;
    Level level = Level::notice;
    std::int32_t pid = 0;
    std::int32_t context = 0;
    std::string text;

    [[nodiscard]] std::string encode() const;
    // False: unknown version or damaged.
    [[nodiscard]] static bool decode(std::string_view bytes, LogDatagram& out);
};

// A socket pair for datagrams: first = the master's end, second = the pool's; both non-blocking, close-on-exec.
std::pair<UniqueFd, UniqueFd> make_log_channel();

class Log {
public:
    static Log& instance() noexcept;

    // Master.
    void set_threshold(Level level) noexcept { threshold_ = level; }
    [[nodiscard]] Level threshold() const noexcept { return threshold_; }
    // Lines go to `fd`; while starting up they also go to stderr unless that is the same (zlog_set_launched).
    void set_file(int fd) noexcept { fd_ = fd; }
    void set_syslog(const std::string& ident, int facility);
    void set_launched() noexcept { launched_ = true; }
    // Host, engine.
    void set_channel(int fd) noexcept { channel_ = fd; }

    void line(Level level, std::string_view text) noexcept;
    // Without time and level: output of workers with decorate_workers_output = no.
    void raw(std::string_view text) noexcept;
    void worker_output(Level level, int context, std::string_view text) noexcept;
    // Datagrams that a full channel dropped.
    [[nodiscard]] unsigned long dropped() const noexcept;

private:
    void write_line(Level level, std::string_view text) noexcept;

    Level threshold_ = Level::notice;
    int fd_ = 2;
    int channel_ = -1;
    bool launched_ = false;
    bool syslog_ = false;
    std::string ident_;
};

[[gnu::format(printf, 2, 3)]] void log(Level level, const char* format, ...) noexcept;
// zlog's SYSERROR: the text, then ": strerror (errno)".
[[gnu::format(printf, 1, 2)]] void log_syserror(const char* format, ...) noexcept;

}  // namespace ftm::observe
