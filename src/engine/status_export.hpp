// The scoreboard as fpm_get_status() shows it. Any thread.
#pragma once

#include "ftm_host.h"
#include "observe/scoreboard.hpp"

namespace ftm::engine {

void fill_pool_status(observe::Scoreboard& board, std::size_t queued, ftm_pool_status& out) noexcept;
// False: the slot is unused.
bool fill_process_status(observe::Scoreboard& board, unsigned slot, ftm_process_status& out) noexcept;

}  // namespace ftm::engine
