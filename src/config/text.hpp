// Small text helpers shared by the configuration code.
#pragma once

#include <strings.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace ftm::config {

[[nodiscard]] inline bool equals_ignoring_case(std::string_view a, std::string_view b)
{
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

[[nodiscard]] inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

[[nodiscard]] inline bool starts_with_slash(std::string_view path) { return !path.empty() && path.front() == '/'; }

// As php-fpm ends a message about a failed system call: "text: No such file or directory (2)".
[[nodiscard]] inline std::string system_error(const std::string& text, int number)
{
    return text + ": " + std::strerror(number) + " (" + std::to_string(number) + ")";
}

// Whether a text was made by system_error(): log_limit holds for such lines.
[[nodiscard]] inline bool is_system_error(const std::string& text)
{
    const std::size_t open = text.rfind(" (");
    return open != std::string::npos && text.ends_with(system_error("", std::atoi(text.c_str() + open + 2)));
}

}  // namespace ftm::config
