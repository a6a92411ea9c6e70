// One connection inside an engine, FastCGI or HTTP, and its requests. Sessions are recycled, never freed, so a
// stale epoll event meets a generation that does not match (RULES 1).
// Threads: fields are grouped by who may touch them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "engine/http_connection.hpp"
#include "engine/open_requests.hpp"
#include "fcgi/connection_machine.hpp"
#include "net/output.hpp"
#include "net/read_right.hpp"
#include "request/request.hpp"

namespace ftm::engine {

struct Session;

// A whole request on its way to a context. Owned by whoever holds the pointer: reader, queue, or context.
struct Job {
    request::Request request;
    Session* session = nullptr;
    OpenRequest* open = nullptr;  // its place in the session
    std::uint32_t generation = 0;
    bool for_worker = false;
};

// Whether the connection is in the ready set. A connection whose first read is a whole request without KEEP_CONN never
// enters it, unless the standby thread's sweep finds its script still running (RULES 3).
enum class Registration : int { none, registering, registered, closed };

struct Session {
    Session(std::uint32_t index_, const fcgi::Limits& limits, const fcgi::ValuesReply& values)
        : index(index_), machine(limits, values)
    {
    }

    const std::uint32_t index;
    std::atomic<std::uint32_t> next_free{0};  // the session table's, while nobody has it

    // any thread
    net::ReadRight read_right;
    net::Output output;
    std::atomic<Registration> registration{Registration::closed};
    std::atomic<unsigned> rearming{0};        // threads that have given the read right back and use the descriptor once more
    std::atomic<unsigned> in_flight{0};       // requests of it that are queued or running
    std::atomic<bool> shared{false};          // there were several at once: its front multiplexes
    std::atomic<bool> has_pending{false};     // bytes in `pending` wait until one of them has ended
    std::atomic<bool> close_wanted{false};    // whoever holds the read right closes, once it may
    std::atomic<bool> eof{false};             // the peer has shut down its sending side
    std::atomic<bool> watched{false};         // known to the standby thread's EPOLLOUT instance
    // Of an HTTP connection that waits for its client: when the standby thread closes it, CLOCK_MONOTONIC microseconds.
    std::atomic<std::int64_t> http_deadline_us{0};

    // holder of the read right
    UniqueFd fd;
    std::uint32_t listener = 0;
    bool asked = false;              // has sent something; one that has not yet may be about to
    fcgi::ConnectionMachine machine;
    std::string pending;             // bytes behind a blocked BEGIN (RULES 9)
    OpenRequests requests;
    bool is_http = false;
    std::unique_ptr<HttpConnection> http;  // made for the first HTTP connection in this place
};

}  // namespace ftm::engine
