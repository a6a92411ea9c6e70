// apparmor_hat: the engine changes to CONFINEMENT//HAT before it has threads (fpm_unix_init_child).
#pragma once

#include "config/config.hpp"

namespace ftm::engine {

// False after logging why; true without the directive.
[[nodiscard]] bool enter_apparmor_hat(const config::Pool& pool);

}  // namespace ftm::engine
