// An engine process: what it owns, in construction order, from the moment its host has forked it.
#pragma once

#include <sys/types.h>

#include "engine/core.hpp"

namespace ftm::engine {

struct EngineStart {
    const config::Pool* pool = nullptr;
    std::vector<Listener> listeners;
    Channel host;
    observe::Scoreboard* board = nullptr;
    int crash_pipe = -1;
    PageHeaders page_headers;
    int access_log = -1;  // stays the caller's; -1: none
    pid_t master = -1;
    bool may_do_without_workers = false;  // no other engine of the pool serves
    observe::RestartReason reason = observe::RestartReason::none;  // why it is started
};

// The rest of the forked process's life; returns its exit code.
int run_engine(EngineStart start);

}  // namespace ftm::engine
