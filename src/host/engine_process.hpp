// An engine as its host sees it. Value type.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "base/channel.hpp"

namespace ftm::host {

using Clock = std::chrono::steady_clock;

struct EngineProcess {
    enum class State { starting, ready, wounded, draining };

    pid_t pid = -1;
    Channel channel;
    UniqueFd out_read;  // of its descriptors 1 and 2, for the next master image; with catch_workers_output
    UniqueFd err_read;
    State state = State::starting;
    Clock::time_point started;
    bool expected_to_exit = false;            // its exit needs no replacement
    bool accepts = true;                      // until it says that it has left the listeners
    bool stuck = false;                       // a context of it does not end its request; it will end by SIGTERM
    bool quits = false;                       // somebody sent it SIGQUIT: its end is to be seen in the log
    bool hands_over = false;                  // its successor has been told to take over
    pid_t successor = -1;                     // which; -1: another host's, or none
    std::optional<Clock::time_point> deadline;  // when a wounded or draining engine is ended
    bool gave_up = false;                     // told so; killed at the next deadline
    std::optional<Clock::time_point> lock_watch_ends;  // RULES 15: while polling opcache's write lock
    bool lock_always_held = true;
};

}  // namespace ftm::host
