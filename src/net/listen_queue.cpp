#include "net/listen_queue.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>

#include "base/unique_fd.hpp"

namespace ftm::net {
namespace {

std::optional<ListenQueue> tcp_queue(int fd)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_sacked == 0) {
        return std::nullopt;
    }
    return ListenQueue{info.tcpi_unacked, info.tcpi_sacked};
}

bool ask(int netlink, std::uint32_t inode)
{
    struct {
        nlmsghdr header;
        unix_diag_req request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST;
    message.request.sdiag_family = AF_UNIX;
    message.request.udiag_states = ~0u;
    message.request.udiag_ino = inode;
    message.request.udiag_show = UDIAG_SHOW_RQLEN;
    message.request.udiag_cookie[0] = message.request.udiag_cookie[1] = ~0u; // any
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    return ::sendto(netlink, &message, sizeof message, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&kernel),
                    sizeof kernel) == static_cast<ssize_t>(sizeof message);
}

// The kernel answers within sendto().
std::optional<ListenQueue> answer(int netlink)
{
    alignas(nlmsghdr) char bytes[512];
    const ssize_t size = ::recv(netlink, bytes, sizeof bytes, MSG_DONTWAIT);
    const auto* header = reinterpret_cast<const nlmsghdr*>(bytes);
    constexpr std::size_t kFixed = NLMSG_LENGTH(sizeof(unix_diag_msg));
    if (size < static_cast<ssize_t>(kFixed) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        header->nlmsg_len > static_cast<std::size_t>(size)) {
        return std::nullopt;
    }
    for (std::size_t at = NLMSG_ALIGN(kFixed); at + sizeof(rtattr) <= header->nlmsg_len;) {
        rtattr attribute;
        std::memcpy(&attribute, bytes + at, sizeof attribute);
        unix_diag_rqlen lengths{};
        if (attribute.rta_len < sizeof attribute) {
            break;
        }
        if (attribute.rta_type == UNIX_DIAG_RQLEN && attribute.rta_len >= RTA_LENGTH(sizeof lengths) &&
            at + RTA_LENGTH(sizeof lengths) <= header->nlmsg_len) {
            std::memcpy(&lengths, bytes + at + RTA_LENGTH(0), sizeof lengths);
            return ListenQueue{lengths.udiag_rqueue, lengths.udiag_wqueue};
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return std::nullopt;
}

std::optional<ListenQueue> unix_queue(int fd)
{
    struct stat status{};
    const UniqueFd netlink(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (!netlink.valid() || ::fstat(fd, &status) != 0 ||
        !ask(netlink.get(), static_cast<std::uint32_t>(status.st_ino))) {
        return std::nullopt;
    }
    return answer(netlink.get());
}

}  // namespace

std::optional<ListenQueue> listen_queue(int fd)
{
    int family = 0;
    int listening = 0;
    socklen_t size = sizeof family;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
        return std::nullopt;
    }
    size = sizeof listening;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
        return std::nullopt;
    }
    return family == AF_UNIX ? unix_queue(fd) : tcp_queue(fd);
}

}  // namespace ftm::net
