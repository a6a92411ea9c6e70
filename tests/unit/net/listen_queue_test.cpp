#include "net/listen_queue.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace ftm::net {
namespace {

UniqueFd listening_tcp(sockaddr_in& address, int backlog)
{
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(::listen(fd.get(), backlog), 0);
    return fd;
}

TEST(ListenQueue, tcp_counts_what_nobody_has_accepted)
{
    sockaddr_in address;
    const UniqueFd listener = listening_tcp(address, 17);
    std::vector<UniqueFd> clients;
    for (unsigned n = 0; n < 4; ++n) {
        const auto queue = listen_queue(listener.get());
        ASSERT_TRUE(queue.has_value());
        EXPECT_EQ(queue->waiting, n);
        EXPECT_EQ(queue->limit, 17u);
        clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(clients.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    EXPECT_EQ(listen_queue(listener.get())->waiting, 3u);
}

TEST(ListenQueue, unix_counts_what_nobody_has_accepted)
{
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // an abstract name: nothing is left in the file system
    const std::string name = std::string(1, '\0') + "ftm-listen-queue-" + std::to_string(::getpid());
    std::memcpy(address.sun_path, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener.get(), 13), 0);
    if (!listen_queue(listener.get())) {
        GTEST_SKIP() << "this kernel does not tell";
    }
    std::vector<UniqueFd> clients;
    for (unsigned n = 0; n < 4; ++n) {
        const auto queue = listen_queue(listener.get());
        ASSERT_TRUE(queue.has_value());
        EXPECT_EQ(queue->waiting, n);
        EXPECT_EQ(queue->limit, 13u);
        clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(clients.back().get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    }
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    EXPECT_EQ(listen_queue(listener.get())->waiting, 3u);
}

TEST(ListenQueue, says_nothing_about_what_does_not_listen)
{
    const UniqueFd idle(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_FALSE(listen_queue(idle.get()).has_value());
    EXPECT_FALSE(listen_queue(-1).has_value());
}

}  // namespace
}  // namespace ftm::net
