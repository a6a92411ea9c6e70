// What the master says about a pool's user, group and root-only directives before it starts (fpm_unix_conf_wp).
#pragma once

#include "config/config.hpp"

namespace ftm::master {

// False after logging why the pool cannot start. `allow_root`: -R was given.
[[nodiscard]] bool check_identity(const config::Pool& pool, bool allow_root);

}  // namespace ftm::master
