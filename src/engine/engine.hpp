// An engine process: what it owns, in construction order, from the moment its host has forked it.
#pragma once

#include "engine/core.hpp"

namespace ftm::engine {

struct EngineStart {
    const config::Pool* pool = nullptr;
    std::vector<Listener> listeners;
    Channel host;
    observe::Scoreboard* board = nullptr;
    int crash_pipe = -1;
    std::string x_powered_by;
};

// The rest of the forked process's life; returns its exit code.
int run_engine(EngineStart start);

}  // namespace ftm::engine
