// Listening sockets: made and bound by the master, accepted from by engines. Values; errors are errno texts.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/unique_fd.hpp"

namespace ftm::net {

struct Peer {
    std::string address;  // textual IP, empty for Unix sockets
};

// One accepted, non-blocking, close-on-exec socket; -1 with errno.
int accept_one(int listener) noexcept;

// Kept connections leave the low descriptor numbers to scripts, whose stream_select() ends at FD_SETSIZE.
int move_out_of_select_range(int fd) noexcept;

// The peer's address as text, "-" free: empty for Unix sockets; v4-mapped addresses as IPv4.
std::string peer_address(int fd);

bool is_tcp(int fd) noexcept;

// Every connection that a TCP listener accepts from now on sends what it is given at once (TCP_NODELAY is inherited): we
// write whole answers or what a script has flushed, and Nagle's algorithm would hold that back on a kept connection.
void send_at_once(int listener) noexcept;

}  // namespace ftm::net
