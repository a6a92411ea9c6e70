// The error log in php-fpm's format (zlog): "[20-Nov-2026 04:38:47] NOTICE: text". Two kinds of process write it:
// the master to the file, stderr or syslog; hosts and engines as datagrams to the master, which alone holds the file
// (RULES 26). Threads: any; one write or send per line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "observe/log_stream.hpp"

namespace ftm::observe {

enum class Level : int { debug = 1, notice = 2, warning = 3, error = 4, alert = 5 };

[[nodiscard]] const char* level_name(Level level) noexcept;

// What a worker writes to its stderr after a request: the end of a line, whatever came before (fpm_stdio.c).
inline constexpr std::string_view kEndOfRequest{"\0fscf", 6};

// In front of a line that a php-fpm child writes to its stderr: "NOTICE: ", with the place at log_level = debug.
[[nodiscard]] std::string worker_prefix(Level level);

// One message on its way from a pool's process to the master.
struct LogDatagram {
    enum class Kind : std::uint8_t {
        line,          // ours: goes into the log as it is
        worker_output,  // what a php-fpm child would have written to its stderr: subject to catch_workers_output
        raw_output      // the same without a level in front
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
    // log_limit and log_buffering.
    void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
    void set_buffering(bool on) noexcept { buffering_ = on; }
    // Lines go to `fd`; while starting up also to stderr, unless `fd` leads there (zlog_set_fd).
    void set_file(int fd, bool is_stderr = false) noexcept
    {
        fd_ = fd;
        is_stderr_ = is_stderr || fd == 2;
    }
    // Instead of the file, with the priority that stands for the threshold, as php-fpm does it.
    void set_syslog(const std::string& ident, int facility);
    [[nodiscard]] bool to_syslog() const noexcept { return syslog_; }
    void set_launched() noexcept { launched_ = true; }
    // Host, engine.
    void set_channel(int fd) noexcept { channel_ = fd; }

    // `syserror`: the text ends in errno's, and log_limit holds for it.
    void line(Level level, std::string_view text, bool syserror = false) noexcept;
    // A line that grows and wraps: what workers print (zlog_stream). `this` must outlive it.
    [[nodiscard]] LogStream stream(Level level, bool decorated);
    void worker_output(Level level, int context, std::string_view text) noexcept;
    void raw_output(std::string_view text) noexcept;
    // Datagrams that a full channel dropped.
    [[nodiscard]] unsigned long dropped() const noexcept;

private:
    void send_output(const LogDatagram& datagram) noexcept;
    [[nodiscard]] std::string prefix(Level level) const;
    void write(std::string_view line, Level level) noexcept;

    Level threshold_ = Level::notice;
    int fd_ = 2;
    int channel_ = -1;
    bool launched_ = false;
    bool is_stderr_ = true;
    bool syslog_ = false;
    bool buffering_ = true;
    std::size_t limit_ = 1024;
    std::string ident_;
};

[[gnu::format(printf, 2, 3)]] void log(Level level, const char* format, ...) noexcept;
// zlog's SYSERROR: the text, then ": strerror (errno)".
[[gnu::format(printf, 1, 2)]] void log_syserror(const char* format, ...) noexcept;

}  // namespace ftm::observe
