#include "net/allowed_clients.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/ip_block.hpp"

namespace ftm::net {

AllowedClients::AllowedClients(const std::string& list, std::vector<std::string>& wrong) : everybody_(false)
{
    std::size_t at = 0;
    do {
        const std::size_t end = std::min(list.find(',', at), list.size());
        const std::string part = list.substr(at, end - at);
        at = end + 1;
        if (const std::optional<in6_addr> address = parse_ip(part)) {
            addresses_.push_back(*address);
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
    const std::optional<in6_addr> peer = ip_of(reinterpret_cast<const sockaddr*>(&address));
    if (!peer) {
        return true;
    }
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const in6_addr& allowed) { return std::memcmp(&allowed, &*peer, sizeof allowed) == 0; });
}

}  // namespace ftm::net
