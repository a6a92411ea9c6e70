#include "base/channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/check.hpp"

namespace ftm {
namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxFds = 32;
constexpr std::size_t kMaxText = 64 << 10;

struct WireHeader {
    std::uint16_t version;
    std::uint16_t kind;
    std::uint32_t text_size;
    std::int64_t args[4];
};

}  // namespace

std::pair<Channel, Channel> Channel::make()
{
    int fds[2];
    FTM_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    const int size = 1 << 20;
    for (const int fd : fds) {
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    return {Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

bool Channel::send(Message::Kind kind, std::array<std::int64_t, 4> args, const std::string& text,
                   const std::vector<int>& fds) const
{
    FTM_CHECK(text.size() <= kMaxText && fds.size() <= kMaxFds);
    WireHeader header{kVersion, static_cast<std::uint16_t>(kind), static_cast<std::uint32_t>(text.size()), {}};
    std::memcpy(header.args, args.data(), sizeof header.args);
    iovec parts[2] = {{&header, sizeof header}, {const_cast<char*>(text.data()), text.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        std::memset(control, 0, sizeof control);
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
    }
    for (;;) {
        if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) >= 0) {
            return true;
        }
        if (errno == EAGAIN || errno == ETOOMANYREFS) {
            pollfd wait{fd_.get(), POLLOUT, 0};
            ::poll(&wait, 1, errno == EAGAIN ? -1 : 5);
        } else if (errno != EINTR) {
            return false;
        }
    }
}

Channel::Receive Channel::receive(Message& out) const
{
    WireHeader header{};
    std::string text(kMaxText, '\0');
    iovec parts[2] = {{&header, sizeof header}, {text.data(), text.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do {
        n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? Receive::nothing : Receive::closed;
    }
    if (n == 0) {
        return Receive::closed;
    }
    out = Message{};
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd;
                std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
                out.fds.emplace_back(fd);
            }
        }
    }
    if (static_cast<std::size_t>(n) < sizeof header || header.version != kVersion ||
        static_cast<std::size_t>(n) != sizeof header + header.text_size) {
        return Receive::message;
    }
    out.kind = static_cast<Message::Kind>(header.kind);
    std::memcpy(out.args.data(), header.args, sizeof header.args);
    text.resize(header.text_size);
    out.text = std::move(text);
    return Receive::message;
}

}  // namespace ftm
