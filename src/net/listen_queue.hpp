// What waits in the kernel for a listening socket's accept(). Any thread; a few system calls, nothing kept open.
#pragma once

#include <optional>

namespace ftm::net {

struct ListenQueue {
    unsigned waiting = 0;  // connections nobody has accepted yet
    unsigned limit = 0;    // the backlog
};

// TCP: from TCP_INFO, as php-fpm (fpm_socket_get_listening_queue). Unix: from sock_diag(7), where php-fpm has nothing.
// Nothing when the kernel does not tell: no listening socket, netlink denied, or unix_diag not there.
[[nodiscard]] std::optional<ListenQueue> listen_queue(int fd);

}  // namespace ftm::net
