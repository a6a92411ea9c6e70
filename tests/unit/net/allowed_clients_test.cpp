#include "net/allowed_clients.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/unique_fd.hpp"

namespace ftm::net {
namespace {

using Wrong = std::vector<std::string>;

// An accepted connection whose peer is `client`, over a listener of family `server`.
UniqueFd connection(int server, const char* client_address)
{
    const UniqueFd listener(::socket(server, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage bound{};
    bound.ss_family = static_cast<sa_family_t>(server);
    if (server == AF_INET) {
        reinterpret_cast<sockaddr_in*>(&bound)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    socklen_t size = server == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&bound), size) != 0 || ::listen(listener.get(), 1) != 0) {
        return {};
    }
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    const in_port_t port = server == AF_INET ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                                             : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port;
    const int family = std::string(client_address).find(':') == std::string::npos ? AF_INET : AF_INET6;
    sockaddr_storage to{};
    to.ss_family = static_cast<sa_family_t>(family);
    socklen_t to_size = sizeof(sockaddr_in);
    if (family == AF_INET) {
        auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
        v4->sin_port = port;
        ::inet_pton(AF_INET, client_address, &v4->sin_addr);
    } else {
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
        v6->sin6_port = port;
        ::inet_pton(AF_INET6, client_address, &v6->sin6_addr);
        to_size = sizeof(sockaddr_in6);
    }
    static UniqueFd client;
    client.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&to), to_size) != 0) {
        return {};
    }
    return UniqueFd(::accept(listener.get(), nullptr, nullptr));
}

TEST(AllowedClients, everybody_without_a_list)
{
    const UniqueFd fd = connection(AF_INET, "127.0.0.1");
    ASSERT_TRUE(fd.valid());
    EXPECT_TRUE(AllowedClients().allows(fd.get()));
    EXPECT_TRUE(AllowedClients().everybody());
}

TEST(AllowedClients, only_those_in_the_list)
{
    Wrong wrong;
    const UniqueFd fd = connection(AF_INET, "127.0.0.1");
    ASSERT_TRUE(fd.valid());
    EXPECT_TRUE(AllowedClients("10.0.0.1,127.0.0.1", wrong).allows(fd.get()));
    EXPECT_FALSE(AllowedClients("10.0.0.1,127.0.0.2", wrong).allows(fd.get()));
    EXPECT_FALSE(AllowedClients("::1", wrong).allows(fd.get()));
    EXPECT_TRUE(wrong.empty());
}

TEST(AllowedClients, an_ipv4_address_also_means_its_mapped_form)
{
    const UniqueFd mapped = connection(AF_INET6, "127.0.0.1");
    const UniqueFd v6 = connection(AF_INET6, "::1");
    if (!mapped.valid() || !v6.valid()) {
        GTEST_SKIP() << "no IPv6 here";
    }
    Wrong wrong;
    const AllowedClients v4_only("127.0.0.1", wrong);
    EXPECT_TRUE(v4_only.allows(mapped.get()));
    EXPECT_FALSE(v4_only.allows(v6.get()));
    EXPECT_TRUE(AllowedClients("0:0:0:0:0:0:0:1", wrong).allows(v6.get())) << "however it is written";
}

TEST(AllowedClients, says_what_is_no_address)
{
    Wrong wrong;
    const AllowedClients clients("xxx,127.0.0.1, 10.0.0.1,", wrong);
    EXPECT_EQ(wrong, (Wrong{"xxx", " 10.0.0.1", ""})) << "blanks are not trimmed";
    EXPECT_FALSE(clients.nobody());
    const AllowedClients none("", wrong);
    EXPECT_TRUE(none.nobody());
    EXPECT_FALSE(none.everybody());
}

}  // namespace
}  // namespace ftm::net
