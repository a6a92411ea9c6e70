#include "net/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/ip_block.hpp"

namespace ftm::net {
namespace {

constexpr int kLowDescriptors = 256;    // beyond these, connections move
constexpr int kFirstHighDescriptor = 1024;  // FD_SETSIZE

}  // namespace

int accept_one(int listener) noexcept
{
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED)) {
            return fd;
        }
    }
}

int move_out_of_select_range(int fd) noexcept
{
    if (fd < kLowDescriptors || fd >= kFirstHighDescriptor) {
        return fd;
    }
    const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstHighDescriptor);
    if (high < 0) {
        return fd;
    }
    ::close(fd);
    return high;
}

bool is_tcp(int fd) noexcept
{
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
           (address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

void send_at_once(int listener) noexcept
{
    const int on = 1;
    ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::string peer_address(int fd)
{
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return {};
    }
    const std::optional<in6_addr> ip = ip_of(reinterpret_cast<const sockaddr*>(&address));
    return ip ? ip_text(*ip) : std::string();
}

}  // namespace ftm::net
