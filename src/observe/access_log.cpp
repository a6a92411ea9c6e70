#include "observe/access_log.hpp"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <initializer_list>

#include "observe/scoreboard.hpp"

namespace ftm::observe {
namespace {

constexpr std::size_t kLine = 1024;     // FPM_LOG_BUFFER
constexpr std::size_t kModifier = 128;  // bytes between braces
constexpr std::size_t kTime = 128;      // bytes of a time

// php-fpm logs the scoreboard's copies.
std::string_view as_in(std::size_t size, std::string_view text)
{
    return text.substr(0, size - 1);
}
#define FTM_AS_IN(member, text) as_in(sizeof RequestText::member, text)

bool equals(const std::string& text, std::initializer_list<const char*> words)
{
    return std::any_of(words.begin(), words.end(), [&](const char* word) { return ::strcasecmp(word, text.c_str()) == 0; });
}

std::string decimal(const char* format, double value)
{
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

std::string or_dash(std::string_view text) { return text.empty() ? "-" : std::string(text); }

std::string cpu_share(const std::string& which, const AccessEntry& e)
{
    const std::int64_t used = equals(which, {"user"})     ? e.cpu_user_us
                              : equals(which, {"system"}) ? e.cpu_system_us
                                                          : e.cpu_us;
    return decimal("%.2f", 100.0 * static_cast<double>(used) / static_cast<double>(std::max<std::int64_t>(e.duration_us, 1)));
}

std::string duration(const std::string& unit, std::int64_t us)
{
    if (equals(unit, {"microseconds", "micro"})) {
        return std::to_string(us);
    }
    const bool seconds = unit.empty() || equals(unit, {"seconds"});
    return decimal("%.3f", static_cast<double>(us) / (seconds ? 1e6 : 1e3));
}

std::string memory(const std::string& unit, std::uint64_t bytes)
{
    const bool kilo = equals(unit, {"kilobytes", "kilo"});
    const bool mega = equals(unit, {"megabytes", "mega"});
    return std::to_string(mega ? bytes / 1024 / 1024 : kilo ? bytes / 1024 : bytes);
}

std::string time_text(const std::string& format, std::int64_t seconds)
{
    char text[kTime];
    tm local{};
    const std::time_t time = seconds;
    ::localtime_r(&time, &local);
    const std::size_t n = std::strftime(text, sizeof text, format.empty() ? "%d/%b/%Y:%H:%M:%S %z" : format.c_str(), &local);
    return {text, n};
}

// php-fpm takes the first line that contains the name anywhere and has ": " behind as many bytes as the name is long.
std::string header_value(std::string_view name, std::span<const std::string_view> headers)
{
    for (const std::string_view line : headers) {
        if (line.find(name) != std::string_view::npos && line.size() > name.size() + 2 && line[name.size()] == ':' &&
            line[name.size() + 1] == ' ') {
            return std::string(line.substr(name.size() + 2));
        }
    }
    return "-";
}

}  // namespace

AccessFormat::AccessFormat(std::string_view format)
{
    std::string literal;
    const auto end_literal = [&] {
        if (!literal.empty()) {
            tokens_.push_back({0, literal});
            literal.clear();
        }
    };
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            literal += format[i];
            continue;
        }
        std::string modifier;
        ++i;
        while (i < format.size() && format[i] == '{') {
            const std::size_t closing = std::min(format.find('}', i), format.size());
            modifier = format.substr(i + 1, std::min(closing - i - 1, kModifier));
            i = closing + 1;
        }
        if (i < format.size()) { // a single % at the end is nothing
            end_literal();
            tokens_.push_back({format[i], modifier});
        }
    }
    end_literal();
}

bool AccessFormat::has(char kind) const
{
    return std::any_of(tokens_.begin(), tokens_.end(), [&](const Token& token) { return token.kind == kind; });
}

bool AccessFormat::wants_cpu_split() const
{
    return std::any_of(tokens_.begin(), tokens_.end(),
                       [](const Token& token) { return token.kind == 'C' && equals(token.text, {"user", "system"}); });
}

std::string AccessFormat::value(const Token& token, const AccessEntry& e, const AccessPool& pool)
{
    switch (token.kind) {
        case '%':
            return "%";
        case 'C':
            return cpu_share(token.text, e);
        case 'd':
            return duration(token.text, e.duration_us);
        case 'e': {
            const char* text = e.parameter != nullptr ? e.parameter(e.request, token.text) : nullptr;
            return text != nullptr ? text : "-";
        }
        case 'f':
            return or_dash(FTM_AS_IN(script, e.script));
        case 'l':
            return std::to_string(static_cast<std::uint64_t>(e.content_length));
        case 'm':
            return or_dash(FTM_AS_IN(method, e.method));
        case 'M':
            return memory(token.text, e.memory);
        case 'n':
            return or_dash(pool.name);
        case 'o':
            return header_value(token.text, e.headers);
        case 'p':
            return std::to_string(pool.pid);
        case 'P':
            return std::to_string(pool.parent);
        case 'q':
            return std::string(FTM_AS_IN(query, e.query));
        case 'Q':
            return e.query.empty() ? "" : "?";
        case 'r':
            return std::string(FTM_AS_IN(uri, e.uri));
        case 'R':
            return or_dash(e.peer);
        case 's':
            return std::to_string(e.status);
        case 't':
            return time_text(token.text, e.accepted);
        case 'T':
            return time_text(token.text, e.logged);
        case 'u':
            return std::string(FTM_AS_IN(user, e.user));
        default:
            return {};
    }
}

std::string AccessFormat::line(const AccessEntry& entry, const AccessPool& pool, bool& cut) const
{
    std::string out;
    cut = false;
    for (const Token& token : tokens_) {
        const std::string text = token.kind == 0 ? token.text : value(token, entry, pool);
        const std::size_t room = kLine - out.size();
        if (token.kind == 0 ? text.size() <= room : text.size() < room) {
            out += text;
            continue;
        }
        // snprintf() leaves a NUL at the end of what it could not place, which php-fpm writes too.
        cut = true;
        const bool printed = token.kind != 0 && token.kind != '%';
        out += text.substr(0, printed && room > 0 ? room - 1 : room);
        out.resize(kLine, '\0');
        break;
    }
    // strlen(buffer) > 0
    return out.empty() || out[0] == '\0' ? std::string() : out + '\n';
}

bool AccessLog::suppressed(const AccessEntry& entry) const
{
    if (suppressed_.empty() || !entry.query.empty() || (entry.method != "GET" && entry.method != "HEAD") ||
        entry.status < 200 || entry.status > 299 || entry.content_length > 0) {
        return false;
    }
    return std::find(suppressed_.begin(), suppressed_.end(), FTM_AS_IN(uri, entry.uri)) != suppressed_.end();
}

bool AccessLog::write(const AccessEntry& entry) const
{
    if (suppressed(entry)) {
        return true;
    }
    bool cut = false;
    const std::string text = format_.line(entry, pool_, cut);
    if (!text.empty()) {
        [[maybe_unused]] const ssize_t n = ::write(fd_, text.data(), text.size());
    }
    return !cut;
}

void AccessLog::reopen(int fd) const { ::dup3(fd, fd_, O_CLOEXEC); }

}  // namespace ftm::observe
