#include "php/basic_auth.hpp"

#include <strings.h>

#include <cstdint>
#include <string_view>

namespace ftm::php {
namespace {

constexpr std::string_view kScheme = "Basic ";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string basic_auth_user(const char* authorization)
{
    if (authorization == nullptr || ::strncasecmp(authorization, kScheme.data(), kScheme.size()) != 0) {
        return {};
    }
    // PHP's lenient base64: what is not of the alphabet is skipped, a ':' or NUL ends the name.
    std::string user;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : std::string_view(authorization + kScheme.size())) {
        const std::size_t digit = kAlphabet.find(c);
        if (digit == std::string_view::npos) {
            continue;
        }
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) {
            continue;
        }
        count -= 8;
        const char byte = static_cast<char>(bits >> count & 0xff);
        if (byte == ':') {
            return user;
        }
        if (byte == '\0') {
            return {}; // strchr() finds no ':'
        }
        user += byte;
    }
    return {};
}

}  // namespace ftm::php
