// process.max: how many contexts all pools may have together, shared out once, in the order of the pools. Pure.
#pragma once

#include "config/config.hpp"

namespace ftm::master {

// Lowers pm.max_children, and what depends on it, of the pools that come too late; each keeps one context, where
// php-fpm's pool would have none and never answer. True: a pool starts with fewer contexts than it was to have.
[[nodiscard]] bool share_out(config::Config& config);

}  // namespace ftm::master
