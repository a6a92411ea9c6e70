// The receiving half of an HTTP/1.1 connection as a pull parser, beside fcgi/connection_machine: bytes in, one event out.
// No I/O, no clock, no logging. One request at a time: what a client sends behind a whole one waits (blocked) until
// request_ended().
// Owner: the connection. Threads: whoever holds its read right. Memory: an incomplete head, at most Limits::max_head.
// Errors: StepKind::error with the status to answer with; the rest of the connection is then read over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/chunked_body.hpp"
#include "http/head.hpp"

namespace ftm::http {

enum class StepKind : std::uint8_t {
    need_more,  // all input consumed, nothing to report
    head,       // head() is valid until the next step
    data,       // of the body: a view into the input, never empty
    end,        // the request is whole
    blocked,    // another request begins: call step() again after request_ended()
    error,      // answer with `status`, close; reported once
};

struct Step {
    StepKind kind = StepKind::need_more;
    int status = 0;
    std::string_view data = {};
    std::size_t consumed = 0;
};

class RequestMachine {
public:
    // For the requests that follow.
    void set_limits(const Limits& limits) noexcept { limits_ = limits; }

    // Consumes a prefix of input and reports at most one event.
    [[nodiscard]] Step step(std::string_view input);
    [[nodiscard]] const Head& head() const noexcept { return head_; }

    // The request is answered.
    void request_ended() noexcept;
    // It has been refused while its body was to come: nothing more is read from this connection.
    void fail() noexcept { phase_ = Phase::failed; }

    // Between two requests.
    [[nodiscard]] bool idle() const noexcept { return phase_ == Phase::head && (partial_.empty() || stale_head_); }
    // Inside of a head.
    [[nodiscard]] bool in_head() const noexcept { return phase_ == Phase::head && !partial_.empty() && !stale_head_; }
    [[nodiscard]] bool failed() const noexcept { return phase_ == Phase::failed; }
    // A request is open: being received behind its head, or whole.
    [[nodiscard]] bool open() const noexcept { return phase_ == Phase::fixed || phase_ == Phase::chunked || phase_ == Phase::whole; }

    // For another process of the same version.
    [[nodiscard]] std::string save() const;
    [[nodiscard]] bool restore(std::string_view saved);
    // For a new connection; keeps capacity.
    void reset() noexcept;

private:
    enum class Phase : std::uint8_t { head, fixed, chunked, whole, failed };
    struct Saved;

    Step head_step(std::string_view input);
    Step head_complete(std::string_view bytes, std::size_t consumed);
    Step fixed_step(std::string_view input) noexcept;
    Step chunked_step(std::string_view input) noexcept;
    Step error(int status, std::size_t consumed) noexcept;

    Limits limits_;
    Phase phase_ = Phase::head;
    bool skipped_blank_ = false;
    bool stale_head_ = false;     // partial_ holds the bytes of head_, which has been reported
    std::uint64_t left_ = 0;      // of a body of known length
    std::uint64_t received_ = 0;  // of a chunked one
    ChunkedBody chunks_;
    HeadScan scan_;
    std::string partial_;         // a head in pieces
    Head head_;
};

}  // namespace ftm::http
