// Ping and status, answered by the thread that read the request, so they work while every context is busy.
#pragma once

#include <optional>
#include <string>

#include "engine/core.hpp"

namespace ftm::engine {

// Headers and body in CGI form if the request is for one of the pool's built-in pages. Any thread.
std::optional<std::string> builtin_page(Core& core, const request::Request& request);

}  // namespace ftm::engine
