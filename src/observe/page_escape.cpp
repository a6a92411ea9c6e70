#include "observe/page_escape.hpp"

#include <cstdint>
#include <cstdio>

namespace ftm::observe {
namespace {

bool can_lead(unsigned char c) { return c < 0x80 || (c >= 0xc2 && c <= 0xf4); }
bool can_trail(unsigned char c) { return c >= 0x80 && c <= 0xbf; }

struct Decoded {
    std::uint32_t code = 0;
    std::size_t size = 1;  // bytes taken, also of what is no character
    bool valid = false;
};

// get_next_char() of PHP's html.c for UTF-8: how much of a damaged sequence it skips is visible in the JSON page.
Decoded decode_utf8(std::string_view text, std::size_t at)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const std::size_t available = text.size() - at;
    const unsigned char c = byte(0);
    if (c < 0x80) {
        return {c, 1, true};
    }
    if (c < 0xc2 || c > 0xf4) {
        return {};
    }
    const std::size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    std::uint32_t code = c & (0xffu >> (length + 1));
    bool whole = available >= length;
    for (std::size_t i = 1; i < length && whole; ++i) {
        whole = can_trail(byte(i));
        code = code << 6 | (byte(i) & 0x3fu);
    }
    if (!whole) {
        for (std::size_t i = 1; i < length; ++i) {
            if (i >= available || can_lead(byte(i))) {
                return {0, i, false};
            }
        }
        return {0, length, false};
    }
    const std::uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return {code, length, code >= least && code <= 0x10ffff && !surrogate};
}

bool allowed_in_xml(std::uint32_t code)
{
    return code >= 0x20 ? code != 0xfffe && code != 0xffff : code == '\t' || code == '\n' || code == '\r';
}

void append_utf16(std::string& out, std::uint32_t unit)
{
    char text[16];
    std::snprintf(text, sizeof text, "\\u%04x", unit);
    out += text;
}

}  // namespace

std::string escape_xml(std::string_view text)
{
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        if (!next.valid) {
            return {};
        }
        switch (next.code) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += allowed_in_xml(next.code) ? text.substr(at, next.size) : "\xef\xbf\xbd";
        }
        at += next.size;
    }
    return out;
}

std::string escape_json(std::string_view text)
{
    constexpr std::string_view kEscaped = "\"\\/\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        at += next.size;
        if (!next.valid) {
            continue;
        }
        const std::uint32_t code = next.code;
        const std::size_t letter = code < 0x80 ? kEscaped.find(static_cast<char>(code)) : std::string_view::npos;
        if (letter != std::string_view::npos) {
            out += '\\';
            out += kLetters[letter];
        } else if (code >= 0x10000) {
            append_utf16(out, 0xd800 | (code - 0x10000) >> 10);
            append_utf16(out, 0xdc00 | ((code - 0x10000) & 0x3ff));
        } else if (code < 0x20 || code >= 0x80) {
            append_utf16(out, code);
        } else {
            out += static_cast<char>(code);
        }
    }
    return out;
}

}  // namespace ftm::observe
