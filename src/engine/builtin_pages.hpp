// Ping and status, answered by the thread that read the request, so they work while every context is busy.
#pragma once

#include <optional>
#include <string>

#include "engine/core.hpp"

namespace ftm::engine {

struct BuiltinAnswer {
    std::string out;  // headers and body in CGI form
    std::string err;  // for the STDERR stream
};

// The answer if the request is for one of the pool's built-in pages, or came through pm.status_listen, where nothing
// else is served. `slot` is the calling context's, nullptr on the standby thread: while the page is made it shows the
// request, as php-fpm's child shows the one that it answers. Any thread that holds the session's read right.
std::optional<BuiltinAnswer> builtin_page(Core& core, const Session& session, const Job& job, observe::Slot* slot);

}  // namespace ftm::engine
