#include "observe/log.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

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
    if (header.version != kVersion || header.level < 1 || header.level > 5) {
        return false;
    }
    out.kind = header.kind == 0 ? Kind::line : Kind::worker_output;
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
    ::openlog(ident_.c_str(), LOG_PID | LOG_CONS, facility);
}

void Log::write_line(Level level, std::string_view text) noexcept
{
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
    line += text;
    line += '\n';
    [[maybe_unused]] ssize_t written = ::write(fd_, line.data(), line.size());
    if (!launched_ && fd_ != STDERR_FILENO) {
        written = ::write(STDERR_FILENO, line.data(), line.size());
    }
}

void Log::line(Level level, std::string_view text) noexcept
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
    if (syslog_) {
        ::syslog(LOG_NOTICE, "[%s] %.*s", level_name(level), static_cast<int>(text.size()), text.data());
        if (launched_) {
            return;
        }
    }
    write_line(level, text);
}

void Log::raw(std::string_view text) noexcept
{
    std::string line(text);
    line += '\n';
    [[maybe_unused]] const ssize_t written = ::write(fd_, line.data(), line.size());
}

void Log::worker_output(Level level, int context, std::string_view text) noexcept
{
    LogDatagram datagram;
    datagram.kind = LogDatagram::Kind::worker_output;
    datagram.level = level;
    datagram.pid = ::getpid();
    datagram.context = context;
    datagram.text = text;
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
    log(Level::error, "%s: %s (%d)", text, std::strerror(error), error);
}

}  // namespace ftm::observe
