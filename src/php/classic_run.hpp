// A classic request: resolve its script, apply its ini values, run it from start to end on the calling context.
// Threads: an attached context (php/runtime.hpp). Owner of everything passed in: the caller, until the call returns.
#pragma once

#include <string>
#include <vector>

#include "php/responder.hpp"
#include "php/script_resolution.hpp"
#include "request/request.hpp"

namespace ftm::php {

// What of the pool's configuration decides about a script. Constant after start.
struct PoolScripts {
    std::vector<std::string> limit_extensions;
};

enum class RunResult { ok, poisoned, terminated };

// php-fpm's init_request_info() with this context's ini settings; changes the request's parameters.
ResolvedScript resolve_on_context(request::Request& request);

RunResult run_classic(request::Request& request, const ResolvedScript& script, const PoolScripts& pool,
                      Responder& responder) noexcept;

}  // namespace ftm::php
