// listen.allowed_clients: the addresses that may connect over TCP (fcgi_set_allowed_clients). Value type; reading it is
// safe from any thread.
#pragma once

#include <netinet/in.h>

#include <string>
#include <vector>

namespace ftm::net {

class AllowedClients {
public:
    AllowedClients() = default;  // everybody
    // Parts between commas, blanks are not trimmed. `wrong` gets those that are no address; with none left nobody may
    // connect.
    AllowedClients(const std::string& list, std::vector<std::string>& wrong);

    // An IPv4 address also means its v4-mapped form. A Unix socket is always allowed.
    [[nodiscard]] bool allows(int fd) const;
    [[nodiscard]] bool everybody() const noexcept { return everybody_; }
    [[nodiscard]] bool nobody() const noexcept { return !everybody_ && addresses_.empty(); }

private:
    bool everybody_ = true;
    std::vector<in6_addr> addresses_;  // IPv4 as v4-mapped
};

}  // namespace ftm::net
