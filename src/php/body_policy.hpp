// PHP's settings that decide how much of a body is kept, and where.
#pragma once

#include <cstdint>
#include <string>

namespace ftm::php {

// Constant once the engine's first context has started PHP.
struct BodyPolicy {
    std::int64_t post_max_size = 0;  // bytes; 0: no limit
    bool is_fixed = false;           // only PHP_ADMIN_VALUE can change it
    bool per_directory = false;      // php.ini has sections for directories or hosts
    std::string user_ini;            // name of the files that may raise it; empty: none
    std::string spool_directory = "/tmp";
};

// On an attached context: PHP's settings as they are with the pool's values.
[[nodiscard]] BodyPolicy body_policy_of_context();

}  // namespace ftm::php
