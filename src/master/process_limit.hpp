// process.max: how many contexts all pools may have together. Each pool has one whatever the limit says, where php-fpm's
// might have none and never answer. Pure.
#pragma once

#include "config/config.hpp"

namespace ftm::master {

// What pools start with, in their order: lowers pm.max_children of static pools, which do not change afterwards, and
// pm.start_servers of dynamic ones. Pools that grow are marked: they have to ask. True: a pool starts with fewer contexts
// than it was to have.
[[nodiscard]] bool share_out(config::Config& config);

// What is left at the moment, first come, first served (fpm_children_make()).
class ProcessLimit {
public:
    // `warned`: at the start.
    ProcessLimit(int max, bool warned) : max_(max), warned_(warned) {}

    struct Answer {
        int granted = 0;
        bool warn = false;  // fewer than wanted, for the first time since any could be started
    };
    // `wanted` more where `running` are.
    [[nodiscard]] Answer ask(int running, int wanted);

private:
    int max_;  // < 1: none
    bool warned_;
};

}  // namespace ftm::master
