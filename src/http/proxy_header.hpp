// The PROXY protocol, versions 1 and 2: what a proxy says of the client before its first request. Pure. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ftm::http {

struct ProxyHeader {
    enum class Result : std::uint8_t {
        none,       // the bytes begin with something else
        need_more,
        whole,      // `size` bytes of it
        malformed
    };
    Result result = Result::none;
    std::size_t size = 0;
    bool names_client = false;  // false: "UNKNOWN" or LOCAL: the connection's own addresses hold
    std::string client;
    std::string client_port;
    std::string server;
    std::string server_port;
};

// `bytes`: all that have come on this connection.
[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace ftm::http
