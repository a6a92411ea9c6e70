#include "config/listen_address.hpp"

#include <cstdlib>

namespace ftm::config {
namespace {

constexpr std::string_view kDigits = "0123456789";

}  // namespace

bool is_tcp_listen(std::string_view listen) noexcept
{
    return listen.find(':') != std::string_view::npos || listen.find_first_not_of(kDigits) == std::string_view::npos;
}

Result<ListenAddress, std::string> parse_listen_address(std::string_view listen)
{
    ListenAddress address;
    if (!is_tcp_listen(listen)) {
        address.path = listen;
        return address;
    }
    address.kind = ListenAddress::Kind::tcp;
    const std::size_t colon = listen.rfind(':');
    address.any_host = colon == std::string_view::npos;
    const std::string port(address.any_host ? listen : listen.substr(colon + 1));
    if (!address.any_host) {
        std::string_view host = listen.substr(0, colon);
        if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
            host = host.substr(1, host.size() - 2);
        }
        address.host = host;
    }
    const long number = std::strtol(port.c_str(), nullptr, 10);
    if (number < 1 || number > 65535) {
        return Unexpected{"invalid port value '" + port + "'"};
    }
    address.port = static_cast<int>(number);
    return address;
}

std::string fpm_sockets_key(const std::string& numeric_host, int port)
{
    return numeric_host + ":" + std::to_string(port);
}

std::string fpm_sockets_key(const std::string& path) { return path; }

}  // namespace ftm::config
