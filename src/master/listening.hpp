// Listening sockets of the master: bound afresh, or inherited through FPM_SOCKETS, php-fpm's own variable, so that a
// reload works between php-fpm and php-ftm in both directions (fpm_sockets.c). Master only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "config/config.hpp"

namespace ftm::master {

struct BoundSocket {
    std::string key;  // as in FPM_SOCKETS
    UniqueFd fd;
    bool unix_socket = false;
    bool used = false;
};

class ListeningSockets {
public:
    // Takes what FPM_SOCKETS, FPM_SOCKETS_1 … name; one NOTICE each.
    void import_inherited();
    // -1 after logging why.
    int open(const config::Pool& pool);
    // Whether open() would succeed; what it made is unlinked again.
    bool can_open(const config::Pool& pool);
    // Inherited ones that no pool wants any more.
    void close_unused();
    // Puts all of them into the environment for the next image and lets them survive exec.
    void export_all();
    // At the end: Unix sockets disappear from the file system.
    void unlink_all();

private:
    int find(const std::string& key);
    int open_unix(const config::Pool& pool);
    int open_tcp(const config::Pool& pool);
    int bind_tcp(const config::Pool& pool, const std::string& host, bool quiet);

    std::vector<BoundSocket> sockets_;
};

}  // namespace ftm::master
