#include "config/value_types.hpp"

#include <syslog.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "config/text.hpp"

namespace ftm::config {
namespace {

template <class T>
struct Word {
    const char* word;
    T value;
};

template <class T, std::size_t N>
const T* find_word(const std::array<Word<T>, N>& words, const std::string& text)
{
    for (const Word<T>& candidate : words) {
        if (equals_ignoring_case(candidate.word, text)) {
            return &candidate.value;
        }
    }
    return nullptr;
}

template <class T, std::size_t N>
std::string word_of(const std::array<Word<T>, N>& words, T value)
{
    for (const Word<T>& candidate : words) {
        if (candidate.value == value) {
            return candidate.word;
        }
    }
    return "unknown value";
}

constexpr std::array kLogLevels{
    Word<LogLevel>{"DEBUG", LogLevel::debug},     Word<LogLevel>{"NOTICE", LogLevel::notice},
    Word<LogLevel>{"WARNING", LogLevel::warning}, Word<LogLevel>{"WARN", LogLevel::warning},
    Word<LogLevel>{"ERROR", LogLevel::error},     Word<LogLevel>{"ALERT", LogLevel::alert},
};

constexpr std::array kFacilities{
    Word<int>{"AUTH", LOG_AUTH},     Word<int>{"AUTHPRIV", LOG_AUTHPRIV}, Word<int>{"CRON", LOG_CRON},
    Word<int>{"DAEMON", LOG_DAEMON}, Word<int>{"FTP", LOG_FTP},           Word<int>{"KERN", LOG_KERN},
    Word<int>{"LPR", LOG_LPR},       Word<int>{"MAIL", LOG_MAIL},         Word<int>{"NEWS", LOG_NEWS},
    Word<int>{"SYSLOG", LOG_SYSLOG}, Word<int>{"USER", LOG_USER},         Word<int>{"UUCP", LOG_UUCP},
    Word<int>{"LOCAL0", LOG_LOCAL0}, Word<int>{"LOCAL1", LOG_LOCAL1},     Word<int>{"LOCAL2", LOG_LOCAL2},
    Word<int>{"LOCAL3", LOG_LOCAL3}, Word<int>{"LOCAL4", LOG_LOCAL4},     Word<int>{"LOCAL5", LOG_LOCAL5},
    Word<int>{"LOCAL6", LOG_LOCAL6}, Word<int>{"LOCAL7", LOG_LOCAL7},
};

constexpr std::array kProcessManagers{
    Word<ProcessManager>{"static", ProcessManager::static_},
    Word<ProcessManager>{"dynamic", ProcessManager::dynamic},
    Word<ProcessManager>{"ondemand", ProcessManager::ondemand},
};

constexpr std::array kLogFormats{Word<LogFormat>{"text", LogFormat::text}, Word<LogFormat>{"json", LogFormat::json}};

constexpr std::array kEarlyHints{
    Word<EarlyHints>{"off", EarlyHints::off},
    Word<EarlyHints>{"param", EarlyHints::param},
    Word<EarlyHints>{"on", EarlyHints::on},
};

// As atoi(): wraps instead of failing.
int to_int(std::int64_t value) { return static_cast<int>(static_cast<std::uint32_t>(value)); }
int to_int(const std::string& text) { return to_int(std::strtoll(text.c_str(), nullptr, 10)); }

ValueError parse_seconds(const std::string& text, std::int64_t& seconds)
{
    if (text.empty()) {
        return "invalid time value";
    }
    std::int64_t unit = 1;
    switch (text.back()) {
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 60 * 60;
            break;
        case 'd':
            unit = 24 * 60 * 60;
            break;
        case 's':
            break;
        default:
            if (!is_digit(text.back())) {
                return "unknown suffix used in time value";
            }
    }
    // Whatever precedes the unit is read as atoi() does: "5 m" is 300 and "m" is 0.
    seconds = to_int(unit * to_int(text));
    return nullptr;
}

}  // namespace

ValueError StringValue::parse(const std::string& text, std::optional<std::string>& field)
{
    field = text;
    return nullptr;
}

std::string StringValue::show(const std::optional<std::string>& field) { return field.value_or("undefined"); }

ValueError IntegerValue::parse(const std::string& text, int& field)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_digit(text[i]) && !(i == 0 && text[i] == '-')) {
            return "is not a valid number (greater or equal than zero)";
        }
    }
    field = to_int(text);
    return nullptr;
}

ValueError IntegerValue::parse(const std::string& text, std::optional<int>& field)
{
    int value = 0;
    if (const ValueError error = parse(text, value)) {
        return error;
    }
    field = value;
    return nullptr;
}

std::string IntegerValue::show(int field) { return std::to_string(field); }

std::string IntegerValue::show(const std::optional<int>& field)
{
    return field ? std::to_string(*field) : "undefined";
}

ValueError TimeValue::parse(const std::string& text, std::chrono::seconds& field)
{
    std::int64_t seconds = 0;
    const ValueError error = parse_seconds(text, seconds);
    if (error == nullptr) {
        field = std::chrono::seconds(seconds);
    }
    return error;
}

ValueError TimeValue::parse(const std::string& text, std::optional<std::chrono::milliseconds>& field)
{
    std::chrono::seconds seconds{0};
    const ValueError error = parse(text, seconds);
    if (error == nullptr) {
        field = seconds;
    }
    return error;
}

std::string TimeValue::show(std::chrono::seconds field) { return std::to_string(field.count()) + "s"; }

std::string TimeValue::show(const std::optional<std::chrono::milliseconds>& field)
{
    return field ? show(std::chrono::duration_cast<std::chrono::seconds>(*field)) : "undefined";
}

ValueError PlainTimeValue::parse(const std::string& text, std::chrono::seconds& field)
{
    return TimeValue::parse(text, field);
}

std::string PlainTimeValue::show(std::chrono::seconds field) { return std::to_string(field.count()); }

ValueError BooleanValue::parse(const std::string& text, bool& field)
{
    // The scanner has made 1 or an empty string of bare words; the words arrive when quoted or from ${VAR}.
    for (const char* word : {"1", "yes", "true", "on"}) {
        if (text == word) {
            field = true;
            return nullptr;
        }
    }
    for (const char* word : {"", "0", "no", "none", "false", "off"}) {
        if (text == word) {
            field = false;
            return nullptr;
        }
    }
    return "invalid boolean value";
}

std::string BooleanValue::show(bool field) { return field ? "yes" : "no"; }

ValueError SizeValue::parse(const std::string& text, std::int64_t& field)
{
    std::size_t digits = 0;
    std::int64_t value = 0;
    while (digits < text.size() && is_digit(text[digits]) && digits < 15) {
        value = value * 10 + (text[digits] - '0');
        ++digits;
    }
    constexpr std::string_view kUnits = "KMG";
    if (digits > 0 && digits + 1 == text.size()) {
        const std::size_t unit = kUnits.find(static_cast<char>(text[digits] & ~0x20));
        if (unit != std::string_view::npos && value < (std::int64_t{1} << 32)) {
            field = value << (10 * (unit + 1));
            return nullptr;
        }
    }
    if (digits == 0 || digits != text.size()) {
        return "invalid size value";
    }
    field = value;
    return nullptr;
}

std::string SizeValue::show(std::int64_t field)
{
    if (field != 0) {
        for (const auto& [unit, shift] : {std::pair{'G', 30}, std::pair{'M', 20}, std::pair{'K', 10}}) {
            if ((field & ((std::int64_t{1} << shift) - 1)) == 0) {
                return std::to_string(field >> shift) + unit;
            }
        }
    }
    return std::to_string(field);
}

ValueError CoreLimitValue::parse(const std::string& text, int& field)
{
    if (equals_ignoring_case(text, "unlimited")) {
        field = -1;
        return nullptr;
    }
    int value = 0;
    if (const ValueError error = IntegerValue::parse(text, value)) {
        return error;
    }
    if (value < 0) {
        return "must be greater than zero or 'unlimited'";
    }
    field = value;
    return nullptr;
}

std::string CoreLimitValue::show(int field) { return std::to_string(field); }

ValueError LogLevelValue::parse(const std::string& text, std::optional<LogLevel>& field)
{
    const LogLevel* level = find_word(kLogLevels, text);
    if (level == nullptr) {
        return "invalid value for 'log_level'";
    }
    field = *level;
    return nullptr;
}

std::string LogLevelValue::show(const std::optional<LogLevel>& field)
{
    return field ? level_name(*field) : "unknown value";
}

ValueError FacilityValue::parse(const std::string& text, std::optional<int>& field)
{
    const int* facility = find_word(kFacilities, text);
    if (facility == nullptr) {
        return "invalid value";
    }
    field = *facility;
    return nullptr;
}

std::string FacilityValue::show(const std::optional<int>& field) { return std::to_string(field.value_or(LOG_DAEMON)); }

ValueError ProcessManagerValue::parse(const std::string& text, std::optional<ProcessManager>& field)
{
    const ProcessManager* manager = find_word(kProcessManagers, text);
    if (manager == nullptr) {
        return "invalid process manager (static, dynamic or ondemand)";
    }
    field = *manager;
    return nullptr;
}

std::string ProcessManagerValue::show(const std::optional<ProcessManager>& field)
{
    return field ? word_of(kProcessManagers, *field) : "undefined";
}

ValueError LogFormatValue::parse(const std::string& text, LogFormat& field)
{
    const LogFormat* format = find_word(kLogFormats, text);
    if (format == nullptr) {
        return "invalid log format (text or json)";
    }
    field = *format;
    return nullptr;
}

std::string LogFormatValue::show(LogFormat field) { return word_of(kLogFormats, field); }

ValueError EarlyHintsValue::parse(const std::string& text, EarlyHints& field)
{
    // "on" and "off" without quotes arrive as the scanner's booleans.
    bool boolean = false;
    if (BooleanValue::parse(text, boolean) == nullptr) {
        field = boolean ? EarlyHints::on : EarlyHints::off;
        return nullptr;
    }
    const EarlyHints* mode = find_word(kEarlyHints, text);
    if (mode == nullptr) {
        return "invalid value (off, param or on)";
    }
    field = *mode;
    return nullptr;
}

std::string EarlyHintsValue::show(EarlyHints field) { return word_of(kEarlyHints, field); }

const char* level_name(LogLevel level)
{
    for (const Word<LogLevel>& candidate : kLogLevels) {
        if (candidate.value == level) {
            return candidate.word;
        }
    }
    return "unknown value";
}

}  // namespace ftm::config
