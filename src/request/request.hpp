// One request, from its BEGIN_REQUEST to its END_REQUEST. Lives in one place (contexts and queues pass pointers) and
// has exactly one owner at a time: the connection's reader, the queue, or the context that runs it. Only `aborted` may
// be set by another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "request/body.hpp"
#include "request/param_table.hpp"

namespace ftm::request {

struct Request {
    std::uint16_t id = 0;
    std::uint8_t role = 1;  // numbers of FastCGI: 1 responder, 2 authorizer, 3 filter
    bool keep_conn = false;
    ParamTable params;
    Body body;
    std::chrono::steady_clock::time_point accepted{};
    // The peer aborted or vanished (RULES 11): drops a queued request, makes a running one's next write fail.
    std::atomic<bool> aborted{false};

    // For the next request; keeps capacity and the body's limits.
    void reset() noexcept
    {
        id = 0;
        role = 1;
        keep_conn = false;
        params.clear();
        body.reset();
        accepted = {};
        aborted.store(false, std::memory_order_relaxed);
    }
};

}  // namespace ftm::request
