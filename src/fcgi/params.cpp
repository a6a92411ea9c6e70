#include "fcgi/params.hpp"

#include <cstddef>

namespace ftm::fcgi {

namespace {

constexpr std::size_t kLongForm = 0x80;

std::size_t byte_at(std::string_view bytes, std::size_t i) noexcept
{
    return static_cast<unsigned char>(bytes[i]);
}

// Reads a length at the front of bytes and removes it. False: cut off.
bool take_length(std::string_view& bytes, std::size_t& length) noexcept
{
    if (bytes.empty()) {
        return false;
    }
    length = byte_at(bytes, 0);
    if (length < kLongForm) {
        bytes.remove_prefix(1);
        return true;
    }
    if (bytes.size() < 4) {
        return false;
    }
    length = (length & 0x7f) << 24 | byte_at(bytes, 1) << 16 | byte_at(bytes, 2) << 8 | byte_at(bytes, 3);
    bytes.remove_prefix(4);
    return true;
}

void append_length(std::string& out, std::size_t length)
{
    if (length < kLongForm) {
        out.push_back(static_cast<char>(length));
        return;
    }
    out.push_back(static_cast<char>(0x80 | (length >> 24 & 0x7f)));
    out.push_back(static_cast<char>(length >> 16 & 0xff));
    out.push_back(static_cast<char>(length >> 8 & 0xff));
    out.push_back(static_cast<char>(length & 0xff));
}

}  // namespace

PairStatus next_pair(std::string_view& rest, std::string_view& name, std::string_view& value) noexcept
{
    if (rest.empty()) {
        return PairStatus::end;
    }
    std::string_view bytes = rest;
    std::size_t name_length = 0;
    std::size_t value_length = 0;
    if (bytes.size() >= 2 && (byte_at(bytes, 0) | byte_at(bytes, 1)) < kLongForm) {
        // Nearly every pair.
        name_length = byte_at(bytes, 0);
        value_length = byte_at(bytes, 1);
        bytes.remove_prefix(2);
    } else if (!take_length(bytes, name_length) || !take_length(bytes, value_length)) {
        return PairStatus::malformed;
    }
    // Both are below 2^31, so the sum cannot overflow 64 bits.
    static_assert(sizeof(std::size_t) == 8);
    if (name_length + value_length > bytes.size()) {
        return PairStatus::malformed;
    }
    name = bytes.substr(0, name_length);
    value = bytes.substr(name_length, value_length);
    rest = bytes.substr(name_length + value_length);
    return PairStatus::pair;
}

void append_pair(std::string& out, std::string_view name, std::string_view value)
{
    append_length(out, name.size());
    append_length(out, value.size());
    out.append(name);
    out.append(value);
}

}  // namespace ftm::fcgi
