// An IP address or a block of them (10.0.0.0/8, fd00::/8). A value; IPv4 is held as v4-mapped IPv6. Threads: any.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

namespace ftm {

struct IpBlock {
    in6_addr address{};
    unsigned bits = 128;  // that count, from the front

    [[nodiscard]] bool contains(const in6_addr& other) const noexcept;
};

// ADDRESS or ADDRESS/BITS; nothing for anything else.
[[nodiscard]] std::optional<IpBlock> parse_ip_block(std::string_view text);
// One address.
[[nodiscard]] std::optional<in6_addr> parse_ip(std::string_view text);
// As text; v4-mapped ones as IPv4.
[[nodiscard]] std::string ip_text(const in6_addr& address);
// Of an AF_INET or AF_INET6 address.
[[nodiscard]] std::optional<in6_addr> ip_of(const sockaddr* address) noexcept;

}  // namespace ftm
