#include "net/listener.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace ftm::net {
namespace {

UniqueFd listen_on(int family, bool v6_only = false)
{
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (family == AF_INET6) {
        const int only = v6_only ? 1 : 0;
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        any.sin6_addr = in6addr_any;
        if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) {
            return {};
        }
    } else if (family == AF_INET) {
        sockaddr_in loopback{};
        loopback.sin_family = AF_INET;
        loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&loopback), sizeof loopback) != 0) {
            return {};
        }
    } else {
        sockaddr_un name{};
        name.sun_family = AF_UNIX; // autobind: an abstract name
        if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)) != 0) {
            return {};
        }
    }
    return ::listen(fd.get(), 16) == 0 ? std::move(fd) : UniqueFd();
}

UniqueFd connect_to(const UniqueFd& listener, int family)
{
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    if (address.ss_family == AF_INET6) {
        const in_port_t port = reinterpret_cast<sockaddr_in6&>(address).sin6_port;
        if (family == AF_INET) {
            address = {};
            auto& v4 = reinterpret_cast<sockaddr_in&>(address);
            v4.sin_family = AF_INET;
            v4.sin_port = port;
            v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            size = sizeof v4;
        } else {
            reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
        }
    }
    UniqueFd fd(::socket(family, SOCK_STREAM, 0));
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 ? std::move(fd) : UniqueFd();
}

std::string accepted_peer(int listening, int connecting)
{
    const UniqueFd listener = listen_on(listening);
    if (!listener.valid()) {
        return "no such family here";
    }
    const UniqueFd client = connect_to(listener, connecting);
    const UniqueFd accepted(accept_one(listener.get()));
    return peer_address(accepted.get());
}

TEST(Listener, accepts_non_blocking_and_close_on_exec)
{
    const UniqueFd listener = listen_on(AF_UNIX);
    const UniqueFd client = connect_to(listener, AF_UNIX);
    const UniqueFd accepted(accept_one(listener.get()));
    ASSERT_TRUE(accepted.valid());
    EXPECT_NE(::fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(accepted.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(Listener, says_when_nobody_waits)
{
    const UniqueFd listener = listen_on(AF_UNIX);
    EXPECT_EQ(accept_one(listener.get()), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(accept_one(-1), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST(Listener, knows_its_family)
{
    EXPECT_TRUE(is_tcp(listen_on(AF_INET).get()));
    EXPECT_FALSE(is_tcp(listen_on(AF_UNIX).get()));
    EXPECT_FALSE(is_tcp(-1));
}

TEST(Listener, connections_send_at_once_like_their_listener)
{
    const UniqueFd listener = listen_on(AF_INET);
    send_at_once(listener.get());
    const UniqueFd client = connect_to(listener, AF_INET);
    const UniqueFd accepted(accept_one(listener.get()));
    ASSERT_TRUE(accepted.valid());
    int on = 0;
    socklen_t size = sizeof on;
    EXPECT_EQ(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    EXPECT_EQ(on, 1);
}

TEST(Listener, peer_addresses_as_text)
{
    EXPECT_EQ(accepted_peer(AF_INET, AF_INET), "127.0.0.1");
    EXPECT_EQ(accepted_peer(AF_UNIX, AF_UNIX), "");
    EXPECT_EQ(peer_address(-1), "");
}

TEST(Listener, peer_addresses_of_version_six)
{
    if (!listen_on(AF_INET6).valid()) {
        GTEST_SKIP() << "no IPv6 here";
    }
    EXPECT_EQ(accepted_peer(AF_INET6, AF_INET), "127.0.0.1") << "a mapped address";
    const std::string six = accepted_peer(AF_INET6, AF_INET6);
    EXPECT_TRUE(six == "::1" || six.empty()) << six; // empty: no loopback of version six
}

TEST(Listener, leaves_low_descriptors_where_they_are)
{
    const UniqueFd fd(::dup(0));
    ASSERT_LT(fd.get(), 256);
    EXPECT_EQ(move_out_of_select_range(fd.get()), fd.get());
}

TEST(Listener, moves_descriptors_beyond_256_above_1024)
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const int low = ::fcntl(0, F_DUPFD_CLOEXEC, 300);
    ASSERT_GE(low, 256);
    const UniqueFd moved(move_out_of_select_range(low));
    EXPECT_GE(moved.get(), 1024);
    EXPECT_NE(::fcntl(moved.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(::fcntl(low, F_GETFD), -1) << "the low one is free again";
    EXPECT_EQ(move_out_of_select_range(moved.get()), moved.get());
}

TEST(Listener, keeps_a_descriptor_that_cannot_move)
{
    rlimit old{};
    ::getrlimit(RLIMIT_NOFILE, &old);
    const UniqueFd fd(::fcntl(0, F_DUPFD_CLOEXEC, 300));
    rlimit small = old;
    small.rlim_cur = 512;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &small), 0);
    const int kept = move_out_of_select_range(fd.get());
    ::setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_EQ(kept, fd.get());
}

}  // namespace
}  // namespace ftm::net
