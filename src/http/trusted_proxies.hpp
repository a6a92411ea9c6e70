// http.trusted_proxies: whose word about the client is taken. A value. Threads: any.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/ip_block.hpp"
#include "http/head.hpp"

namespace ftm::http {

class TrustedProxies {
public:
    TrustedProxies() = default;
    // Addresses, blocks and "unix:", between commas or blanks. `wrong` gets what is none of these.
    TrustedProxies(std::string_view list, std::vector<std::string>& wrong);

    [[nodiscard]] bool trusts(const in6_addr& address) const noexcept;
    // The peers of a Unix socket.
    [[nodiscard]] bool trusts_unix() const noexcept { return unix_; }

private:
    std::vector<IpBlock> blocks_;
    bool unix_ = false;
};

// What X-Forwarded-For, -Proto, -Host and -Port of a trusted peer say; empty where they say nothing sound. Of a list the
// last element counts, which is the one that our peer has written; of addresses the last that is no trusted proxy's.
struct Forwarded {
    std::string client;  // an address
    std::string_view proto;
    std::string_view host;
    std::string_view port;
};
[[nodiscard]] Forwarded forwarded(const Head& head, const TrustedProxies& proxies);

}  // namespace ftm::http
