// libphp in a pool host: start-up with the pool's ini, and what contexts need of it. The host's single thread starts
// it; engines inherit it by fork. One per process image.
#pragma once

#include <string>
#include <vector>

#include "ftm_engine.h"

namespace ftm::php {

struct RuntimeOptions {
    std::string executable;
    std::string ini_path;  // -c; empty: none
    bool ini_ignore = false;
    std::string ini_entries;  // of -d: lines "name=value"
    struct Value {
        std::string key;
        std::string value;
        bool admin;
    };
    bool worker = false;      // the pool has worker.script
    bool early_hints = true;  // not off
    std::size_t log_limit = 1024;
    bool log_headers = false;  // access.format shows response headers
    std::vector<Value> values;  // php_value and php_admin_value, in the order to apply them
};

// "" = started; otherwise why not. `opcache_restart` runs under opcache's lock: it may only write(2) to a pipe.
std::string start_runtime(const RuntimeOptions& options, void (*opcache_restart)(int reason) noexcept);
void stop_runtime() noexcept;

// opcache's lock file among this process's descriptors, -1 without opcache.
[[nodiscard]] int opcache_lock_fd();

}  // namespace ftm::php
