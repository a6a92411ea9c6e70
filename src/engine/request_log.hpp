// One request as a line of the pool's access log. Any thread; does nothing in pools without access.log.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/core.hpp"
#include "observe/access_log.hpp"
#include "php/script_resolution.hpp"

namespace ftm::engine {

// CPU time of the calling thread, microseconds. The kernel knows the sum exactly, its parts to about a tick.
struct ThreadCpu {
    std::int64_t all_us = 0;
    std::int64_t user_us = 0;
    std::int64_t system_us = 0;
};

// For %C alone: zero unless the pool's access.format asks for it.
[[nodiscard]] ThreadCpu thread_cpu_for_log(const Core& core);

struct RequestOutcome {
    int status = 200;
    std::uint64_t memory = 0;
    ThreadCpu cpu;
    std::span<const std::string_view> headers;
    std::string_view peer;
};

// The peer's address if the pool's access log shows it; empty for Unix sockets. By who may use the session's descriptor.
[[nodiscard]] std::string peer_for_log(const Core& core, const Session& session);

// False: the line did not fit and was cut, which php-fpm tells in its log.
bool log_request(const Core& core, const Job& job, const php::ResolvedScript& script, const RequestOutcome& outcome);

// A request that ends before its script was looked for.
void log_refused(const Core& core, const Session& session, const Job& job, int status);

}  // namespace ftm::engine
