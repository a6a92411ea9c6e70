// The status page's formats, from the scoreboard (fpm_status.c). Any thread.
#pragma once

#include <string>
#include <string_view>

#include "observe/scoreboard.hpp"

namespace ftm::observe {

// The short text format.
[[nodiscard]] std::string status_text(Scoreboard& board, std::string_view process_manager, std::size_t queued);

}  // namespace ftm::observe
