// A pool host: PHP started up with the pool's ini, never a request. Forks engines, replaces them, decides about
// wounded ones, and passes opcache's wish for a restart to the master. Single-threaded poll loop (RULES 23).
#pragma once

#include <sys/types.h>

#include "base/channel.hpp"
#include "config/config.hpp"
#include "engine/core.hpp"
#include "observe/scoreboard.hpp"
#include "php/runtime.hpp"

namespace ftm::host {

struct HostStart {
    const config::Pool* pool = nullptr;
    php::RuntimeOptions runtime;
    std::vector<engine::Listener> listeners;
    Channel master;
    observe::Scoreboard board;
    UniqueFd access_log;  // invalid: none
    pid_t master_pid = -1;
    bool first_generation = false;  // no earlier one serves
    observe::RestartReason reason = observe::RestartReason::none;  // why this generation is started
};

// The rest of the forked process's life; returns its exit code.
int run_host(HostStart start);

}  // namespace ftm::host
