// The value of `listen` taken apart: a Unix path, or the host and port of a TCP address. Pure; no name is resolved.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ftm::config {

struct ListenAddress {
    enum class Kind { unix_socket, tcp };

    Kind kind = Kind::unix_socket;
    std::string path;  // unix_socket
    std::string host;  // tcp; empty when only a port was given: bind ::, and 0.0.0.0 if that fails
    int port = 0;      // tcp; 1..65535
    bool any_host = false;  // tcp; only a port was given

    bool operator==(const ListenAddress&) const = default;
};

// True when `listen` names a TCP address: it has a ':' anywhere, or consists of digits only.
[[nodiscard]] bool is_tcp_listen(std::string_view listen) noexcept;

// The error is php-fpm's text, without the pool: "invalid port value '…'".
[[nodiscard]] Result<ListenAddress, std::string> parse_listen_address(std::string_view listen);

// The name of a listening socket in FPM_SOCKETS, which hands sockets over to the next binary on reload: the path,
// or HOST:PORT of the address that was bound (numeric_host has no brackets).
[[nodiscard]] std::string fpm_sockets_key(const std::string& numeric_host, int port);
[[nodiscard]] std::string fpm_sockets_key(const std::string& path);

}  // namespace ftm::config
