// What the scoreboard shows of a request (fpm_request_info()).
#pragma once

#include "engine/session.hpp"
#include "observe/scoreboard.hpp"
#include "php/script_resolution.hpp"

namespace ftm::engine {

// The slot's owner: its context's thread.
void show_request(observe::Slot& slot, const Job& job, const php::ResolvedScript& script, observe::SlotState state);

}  // namespace ftm::engine
