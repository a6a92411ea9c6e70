// Who may connect to a Unix socket: listen.owner, listen.group, or listen.acl_users and listen.acl_groups in their
// place (fpm_unix_resolve_socket_permissions, fpm_unix_set_socket_permissions). Master only.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace ftm::master {

class SocketPermissions {
public:
    // Looks names up, before the socket exists. Nothing after logging why.
    [[nodiscard]] static std::optional<SocketPermissions> resolve(const config::Pool& pool);
    // False after logging why.
    [[nodiscard]] bool apply(const std::string& path) const;

private:
    explicit SocketPermissions(const config::Pool& pool) : pool_(&pool) {}
    [[nodiscard]] bool resolve_acl();
    [[nodiscard]] bool resolve_owner();
    [[nodiscard]] bool apply_acl(const std::string& path) const;

    const config::Pool* pool_;
    std::vector<uid_t> users_;
    std::vector<gid_t> groups_;
    uid_t uid_ = static_cast<uid_t>(-1);
    gid_t gid_ = static_cast<gid_t>(-1);
};

}  // namespace ftm::master
