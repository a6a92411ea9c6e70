#include "php/body_policy.hpp"

#include <unistd.h>

#include "ftm_engine.h"

namespace ftm::php {

BodyPolicy body_policy_of_context()
{
    ftm_body_settings settings{};
    ftm_thread_body_settings(&settings);
    BodyPolicy policy;
    policy.post_max_size = settings.post_max_size;
    policy.is_fixed = settings.is_fixed != 0;
    policy.per_directory = settings.per_directory != 0;
    policy.user_ini = settings.user_ini;
    if (settings.upload_dir[0] != '\0' && ::access(settings.upload_dir, W_OK | X_OK) == 0) {
        policy.spool_directory = settings.upload_dir;
    }
    return policy;
}

}  // namespace ftm::php
