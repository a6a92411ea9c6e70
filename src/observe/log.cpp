#include "observe/log.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/check.hpp"

namespace ftm::observe {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxLine = 2048;  // zlog's buffer
std::atomic<unsigned long> dropped_count{0};

// php_syslog() with syslog.filter = no-ctrl: one message per line, control characters in hexadecimal.
void send_to_syslog(Level threshold, std::string_view text)
{
    static constexpr int kPriorities[] = {0, LOG_DEBUG, LOG_NOTICE, LOG_WARNING, LOG_ERR, LOG_ALERT};
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        std::string clean;
        for (const unsigned char c : line) {
            char hex[5];
            std::snprintf(hex, sizeof hex, "\\x%02x", c);
            c < 0x20 || c == 0x7f ? clean.append(hex) : clean.append(1, static_cast<char>(c));
        }
        ::syslog(kPriorities[static_cast<int>(threshold)], "%s", clean.c_str());
    }
}

struct WireHeader {
    std::uint8_t version;
    std::uint8_t kind;
    std::uint8_t level;
    std::uint8_t reserved;
    std::int32_t pid;
    std::int32_t context;
};

}  // namespace

const char* level_name(Level level) noexcept
{
    switch (level) {
        case Level::debug:
            return "DEBUG";
        case Level::notice:
            return "NOTICE";
        case Level::warning:
            return "WARNING";
        case Level::error:
            return "ERROR";
        case Level::alert:
            return "ALERT";
    }
    return "NOTICE";
}

std::string worker_prefix(Level level)
{
    if (level < Log::instance().threshold()) {
        return {}; // zlog_msg() writes what is below log_level too, only without its prefix
    }
    const bool debug = Log::instance().threshold() == Level::debug;
    return std::string(level_name(level)) + (debug ? ": ftm(), line 0: " : ": ");
}

std::string LogDatagram::encode() const
{
    const WireHeader header{kVersion, static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(level), 0, pid, context};
    std::string out(reinterpret_cast<const char*>(&header), sizeof header);
    return out += text;
}

bool LogDatagram::decode(std::string_view bytes, LogDatagram& out)
{
    WireHeader header;
    if (bytes.size() < sizeof header) {
        return false;
    }
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.version != kVersion || header.level < 1 || header.level > 5 || header.kind > 2) {
        return false;
    }
    out.kind = static_cast<Kind>(header.kind);
    out.level = static_cast<Level>(header.level);
    out.pid = header.pid;
    out.context = header.context;
    out.text.assign(bytes.substr(sizeof header));
    return true;
}

std::pair<UniqueFd, UniqueFd> make_log_channel()
{
    int fds[2];
    FTM_CHECK(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    const int size = 1 << 20;
    ::setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Log& Log::instance() noexcept
{
    static Log log;
    return log;
}

unsigned long Log::dropped() const noexcept { return dropped_count.load(std::memory_order_relaxed); }

void Log::set_syslog(const std::string& ident, int facility)
{
    ident_ = ident;
    syslog_ = true;
    is_stderr_ = false;
    ::openlog(ident_.c_str(), LOG_PID | LOG_CONS, facility);
}

// zlog_buf_prefix
std::string Log::prefix(Level level) const
{
    if (syslog_) {
        return std::string("[") + level_name(level) + (threshold_ == Level::debug ? "] ftm(), line 0: " : "] ");
    }
    char stamp[96];
    timeval now{};
    ::gettimeofday(&now, nullptr);
    tm local{};
    ::localtime_r(&now.tv_sec, &local);
    std::size_t n = std::strftime(stamp, sizeof stamp, "[%d-%b-%Y %H:%M:%S", &local);
    if (threshold_ == Level::debug) {
        n += static_cast<std::size_t>(
            std::snprintf(stamp + n, sizeof stamp - n, ".%06d", static_cast<int>(now.tv_usec)));
    }
    std::snprintf(stamp + n, sizeof stamp - n, "] %s: ", level_name(level));
    std::string line = stamp;
    if (threshold_ == Level::debug) {
        line += "pid " + std::to_string(::getpid()) + ", ftm(), line 0: ";
    }
    return line;
}

void Log::write(std::string_view line, Level level) noexcept
{
    if (syslog_) {
        send_to_syslog(threshold_, line);
    } else {
        [[maybe_unused]] const ssize_t written = ::write(fd_, line.data(), line.size());
    }
    if (!launched_ && !is_stderr_ && level >= Level::notice) {
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    }
}

void Log::line(Level level, std::string_view text, bool syserror) noexcept
{
    if (level < threshold_) {
        return;
    }
    if (channel_ >= 0) {
        LogDatagram datagram;
        datagram.level = level;
        datagram.pid = ::getpid();
        datagram.text = text;
        const std::string bytes = datagram.encode();
        if (::send(channel_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            dropped_count.fetch_add(1, std::memory_order_relaxed);
        }
        return;
    }
    std::string whole = prefix(level);
    whole += text;
    if (whole.size() >= kMaxLine || (syserror && whole.size() >= limit_)) { // zlog_truncate_buf
        whole.resize(std::min(limit_, kMaxLine) - 4);
        whole += "...";
    }
    whole += '\n';
    write(whole, level);
}

LogStream Log::stream(Level level, bool decorated)
{
    const LogStream::Settings settings{
        .limit = limit_, .buffered = buffering_ || syslog_, .prefixed = level >= threshold_, .decorated = decorated};
    return LogStream(settings, [this, level] { return prefix(level); },
                     [this, level](std::string_view line) { write(line, level); });
}

void Log::worker_output(Level level, int context, std::string_view text) noexcept
{
    LogDatagram datagram;
    datagram.kind = LogDatagram::Kind::worker_output;
    datagram.level = level;
    datagram.pid = ::getpid();
    datagram.context = context;
    datagram.text = text;
    send_output(datagram);
}

void Log::raw_output(std::string_view text) noexcept
{
    LogDatagram datagram;
    datagram.kind = LogDatagram::Kind::raw_output;
    datagram.pid = ::getpid();
    datagram.text = text;
    send_output(datagram);
}

void Log::send_output(const LogDatagram& datagram) noexcept
{
    const std::string bytes = datagram.encode();
    if (channel_ < 0 || ::send(channel_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        dropped_count.fetch_add(1, std::memory_order_relaxed);
    }
}

void log(Level level, const char* format, ...) noexcept
{
    char text[kMaxLine];
    va_list args;
    va_start(args, format);
    const int n = std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= static_cast<int>(sizeof text)) {
        std::memcpy(text + sizeof text - 4, "...", 4);
    }
    Log::instance().line(level, text);
}

void log_syserror(const char* format, ...) noexcept
{
    const int error = errno;
    char text[kMaxLine];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const std::string whole = std::string(text) + ": " + std::strerror(error) + " (" + std::to_string(error) + ")";
    Log::instance().line(Level::error, whole, true);
}

}  // namespace ftm::observe
