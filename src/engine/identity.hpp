// What a php-fpm child makes of itself before it serves (fpm_unix_init_child, fpm_env_init_child): limits, chroot,
// directory, priority, user and group, environment, title. Engine's main thread, before any other thread exists.
#pragma once

#include "config/config.hpp"

namespace ftm::engine {

// False: the engine must not serve (logged in php-fpm's words).
bool assume_identity(const config::Pool& pool);
// Before assume_identity(): looks users up outside of a chroot.
void set_environment(const config::Pool& pool);
// env[] alone, beside what the process has.
void set_pool_variables(const config::Pool& pool);
// Descriptors: contexts need room for connections beyond their files.
void raise_descriptor_limit(const config::Pool& pool);

}  // namespace ftm::engine
