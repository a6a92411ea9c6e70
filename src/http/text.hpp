// Characters and comparisons of HTTP, which know no locale.
#pragma once

#include <string_view>

namespace ftm::http {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
constexpr bool is_alphanumeric(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }
constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// The value of a hexadecimal digit, or -1.
constexpr int hex_digit(char c) noexcept
{
    return is_digit(c) ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept
{
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

constexpr std::string_view trimmed(std::string_view text) noexcept
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// Whether a list between commas has this element.
constexpr bool has_token(std::string_view list, std::string_view token) noexcept
{
    for (;;) {
        const std::size_t comma = list.find(',');
        if (equal_ignoring_case(trimmed(list.substr(0, comma)), token)) {
            return true;
        }
        if (comma == std::string_view::npos) {
            return false;
        }
        list.remove_prefix(comma + 1);
    }
}

// A name, address or [address], perhaps with a port.
constexpr bool is_host(std::string_view host) noexcept
{
    for (const char c : host) {
        if (!is_alphanumeric(c) && std::string_view(".-_:[]~").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return !host.empty();
}

// RFC 9110, 5.6.2
constexpr bool is_token(std::string_view text) noexcept
{
    for (const char c : text) {
        if (!is_alphanumeric(c) && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return !text.empty();
}

}  // namespace ftm::http
