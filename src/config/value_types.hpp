// The types a directive's value can have: text → field, with php-fpm's error texts, and field → text as -tt prints it.
// Each type is a struct of two static functions; a row of the directive table names the one it uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "config/config.hpp"

namespace ftm::config {

// Nothing, or what is wrong with the value.
using ValueError = const char*;

struct StringValue {
    static constexpr const char* kName = "string";
    static ValueError parse(const std::string& text, std::optional<std::string>& field);
    static std::string show(const std::optional<std::string>& field);
};

struct IntegerValue {
    static constexpr const char* kName = "integer";
    static ValueError parse(const std::string& text, int& field);
    static ValueError parse(const std::string& text, std::optional<int>& field);
    static std::string show(int field);
    static std::string show(const std::optional<int>& field);
};

struct TimeValue {
    static constexpr const char* kName = "time (s, m, h, d)";
    static ValueError parse(const std::string& text, std::chrono::seconds& field);
    static ValueError parse(const std::string& text, std::optional<std::chrono::milliseconds>& field);
    static std::string show(std::chrono::seconds field);
    static std::string show(const std::optional<std::chrono::milliseconds>& field);
};

// -tt prints this time without its unit.
struct PlainTimeValue {
    static constexpr const char* kName = TimeValue::kName;
    static ValueError parse(const std::string& text, std::chrono::seconds& field);
    static std::string show(std::chrono::seconds field);
};

struct BooleanValue {
    static constexpr const char* kName = "yes/no";
    static ValueError parse(const std::string& text, bool& field);
    static std::string show(bool field);
};

struct SizeValue {
    static constexpr const char* kName = "size (K, M, G)";
    static ValueError parse(const std::string& text, std::int64_t& field);
    static std::string show(std::int64_t field);
};

struct CoreLimitValue {
    static constexpr const char* kName = "integer or unlimited";
    static ValueError parse(const std::string& text, int& field);
    static std::string show(int field);
};

struct LogLevelValue {
    static constexpr const char* kName = "debug, notice, warning, error, alert";
    static ValueError parse(const std::string& text, std::optional<LogLevel>& field);
    static std::string show(const std::optional<LogLevel>& field);
};

struct FacilityValue {
    static constexpr const char* kName = "syslog facility";
    static ValueError parse(const std::string& text, std::optional<int>& field);
    static std::string show(const std::optional<int>& field);
};

struct ProcessManagerValue {
    static constexpr const char* kName = "static, dynamic, ondemand";
    static ValueError parse(const std::string& text, std::optional<ProcessManager>& field);
    static std::string show(const std::optional<ProcessManager>& field);
};

struct LogFormatValue {
    static constexpr const char* kName = "text, json";
    static ValueError parse(const std::string& text, LogFormat& field);
    static std::string show(LogFormat field);
};

struct EarlyHintsValue {
    static constexpr const char* kName = "off, param, on";
    static ValueError parse(const std::string& text, EarlyHints& field);
    static std::string show(EarlyHints field);
};

// The word in a log line: "NOTICE".
[[nodiscard]] const char* level_name(LogLevel level);

}  // namespace ftm::config
