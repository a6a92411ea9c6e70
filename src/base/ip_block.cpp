#include "base/ip_block.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace ftm {
namespace {

constexpr unsigned kMappedBits = 96;

in6_addr v4_mapped(const in_addr& address)
{
    in6_addr mapped{};
    mapped.s6_addr[10] = 0xff;
    mapped.s6_addr[11] = 0xff;
    std::memcpy(&mapped.s6_addr[12], &address, sizeof address);
    return mapped;
}

bool is_v4(std::string_view text) { return text.find(':') == std::string_view::npos; }

}  // namespace

bool IpBlock::contains(const in6_addr& other) const noexcept
{
    const unsigned bytes = bits / 8;
    if (std::memcmp(&address, &other, bytes) != 0) {
        return false;
    }
    const unsigned rest = bits % 8;
    return rest == 0 || ((address.s6_addr[bytes] ^ other.s6_addr[bytes]) & (0xff00u >> rest) & 0xffu) == 0;
}

std::optional<in6_addr> parse_ip(std::string_view text)
{
    const std::string copy(text);
    in_addr v4{};
    in6_addr v6{};
    if (::inet_pton(AF_INET, copy.c_str(), &v4) > 0) {
        return v4_mapped(v4);
    }
    if (::inet_pton(AF_INET6, copy.c_str(), &v6) > 0) {
        return v6;
    }
    return std::nullopt;
}

std::optional<IpBlock> parse_ip_block(std::string_view text)
{
    const std::size_t slash = text.find('/');
    const std::string_view host = text.substr(0, slash);
    const std::optional<in6_addr> address = parse_ip(host);
    if (!address) {
        return std::nullopt;
    }
    IpBlock block{.address = *address};
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        unsigned bits = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (error != std::errc() || end != digits.data() + digits.size() || bits > (is_v4(host) ? 32u : 128u)) {
            return std::nullopt;
        }
        block.bits = bits + (is_v4(host) ? kMappedBits : 0);
    }
    return block;
}

std::string ip_text(const in6_addr& address)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        ::inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
    } else {
        ::inet_ntop(AF_INET6, &address, text, sizeof text);
    }
    return text;
}

std::optional<in6_addr> ip_of(const sockaddr* address) noexcept
{
    if (address->sa_family == AF_INET) {
        return v4_mapped(reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        return reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    }
    return std::nullopt;
}

}  // namespace ftm
