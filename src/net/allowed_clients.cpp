#include "net/allowed_clients.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace ftm::net {
namespace {

in6_addr v4_mapped(const in_addr& address)
{
    in6_addr mapped{};
    mapped.s6_addr[10] = 0xff;
    mapped.s6_addr[11] = 0xff;
    std::memcpy(&mapped.s6_addr[12], &address, sizeof address);
    return mapped;
}

}  // namespace

AllowedClients::AllowedClients(const std::string& list, std::vector<std::string>& wrong) : everybody_(false)
{
    std::size_t at = 0;
    do {
        const std::size_t end = std::min(list.find(',', at), list.size());
        const std::string part = list.substr(at, end - at);
        at = end + 1;
        in_addr v4{};
        in6_addr v6{};
        if (::inet_pton(AF_INET, part.c_str(), &v4) > 0) {
            addresses_.push_back(v4_mapped(v4));
        } else if (::inet_pton(AF_INET6, part.c_str(), &v6) > 0) {
            addresses_.push_back(v6);
        } else {
            wrong.push_back(part);
        }
    } while (at <= list.size());
}

bool AllowedClients::allows(int fd) const
{
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (everybody_ || ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return everybody_;
    }
    in6_addr peer{};
    if (address.ss_family == AF_INET) {
        peer = v4_mapped(reinterpret_cast<sockaddr_in*>(&address)->sin_addr);
    } else if (address.ss_family == AF_INET6) {
        peer = reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr;
    } else {
        return true;
    }
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const in6_addr& allowed) { return std::memcmp(&allowed, &peer, sizeof peer) == 0; });
}

}  // namespace ftm::net
