// The receiving half of a FastCGI connection (FastCGI Specification 3, 4, 5) as a pull parser: bytes in, one event
// out. No I/O, no clock, no logging. The flow of calls:
//
//   while (!input.empty() or the last step was not need_more) {
//       Step step = machine.step(input);
//       input.remove_prefix(step.consumed);
//       switch (step.kind) …           // need_more: read again. blocked: run a request first. error: close.
//   }
//
// Owner: the connection. Threads: whoever holds the connection's read right; no call blocks.
// Memory: an incomplete header or BEGIN body, one GET_VALUES body (kMaxManagementBytes), and per open request its
// parameters (Limits::max_params_bytes). Request bodies pass through as views and are never stored. Once a connection
// has served a request like the next one, a step allocates nothing.
// Replies are produced one per record received: a caller that does not stop reading while it cannot send would let
// a hostile peer grow its output.
// Errors: a peer's violation is StepKind::error and final; the reason is Step::error. Out of memory terminates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fcgi/protocol.hpp"

namespace ftm::fcgi {

// GET_VALUES bodies beyond this are an error. (All three defined names take 48 bytes.)
inline constexpr std::size_t kMaxManagementBytes = 4096;

struct Limits {
    std::size_t max_params_bytes = std::size_t{1} << 20;  // encoded bytes of all PARAMS records of one request
    unsigned max_requests = 1;                            // open at the same time; 1 goes with FCGI_MPXS_CONNS=0
};

// What GET_VALUES is answered with (section 4.1).
struct ValuesReply {
    std::uint32_t max_conns = 1;
    std::uint32_t max_reqs = 1;
    bool mpxs_conns = false;
};

enum class Error : std::uint8_t {
    none,
    bad_version,           // version byte 0 (php-fpm accepts any other; so do we)
    begin_wrong_size,      // BEGIN_REQUEST whose content is not 8 bytes
    duplicate_begin,       // BEGIN_REQUEST for an id whose request is still being received
    params_too_large,      // beyond Limits::max_params_bytes
    params_after_end,      // PARAMS with content behind the empty one that ended them
    unexpected_record,     // a type that only applications send
    management_too_large,  // GET_VALUES beyond kMaxManagementBytes
    management_malformed,  // GET_VALUES with broken name-value pairs
};

[[nodiscard]] std::string_view to_string(Error error) noexcept;

enum class StepKind : std::uint8_t {
    need_more,      // all input consumed, nothing to report
    request_begin,  // request_id, role, keep_conn
    params_end,     // request_id: params(request_id) is complete
    stdin_data,     // request_id, data: a view into the input, never empty
    stdin_end,      // request_id: the request is whole
    abort,          // request_id: the peer gave up an open request; reported once
    reply,          // data: whole records to send as they are; a view into the machine, valid until the next call.
                    // close_after: then close (a refused request without KEEP_CONN, and no other request is open)
    blocked,        // a BEGIN_REQUEST is next and must wait (RULES 9): call step() again after request_ended().
                    // Only its header may be consumed; it is kept inside, also by save()
    error,          // protocol violation: close the connection
};

struct Step {
    StepKind kind = StepKind::need_more;
    Error error = Error::none;
    Role role = Role::responder;
    bool keep_conn = false;
    bool close_after = false;
    std::uint16_t request_id = 0;
    std::string_view data;
    std::size_t consumed = 0;
};

// How a BEGIN_REQUEST is met:
//   unknown role                                              reply END_REQUEST/UNKNOWN_ROLE
//   its id belongs to a request that is whole                 blocked (a pipelining peer; php-fpm serves those)
//   its id belongs to a request still being received          error duplicate_begin
//   max_requests are open and all of them are whole           blocked
//   hold_new(true), one is open and all of them are whole     blocked
//   max_requests are open and one still needs its records,    reply END_REQUEST/CANT_MPX_CONN (OVERLOADED when
//     so that waiting would never end                           max_requests > 1)
// Records of ids that are not open are skipped, as are FCGI_DATA records and STDIN behind its end. A STDIN record
// while parameters are open ends these (php-fpm lets any record do so). Unknown types get UNKNOWN_TYPE.
class ConnectionMachine {
public:
    ConnectionMachine(const Limits& limits, const ValuesReply& values);

    // Consumes a prefix of input and reports at most one event.
    [[nodiscard]] Step step(std::string_view input) noexcept;

    // The encoded name-value block of an open request: complete from params_end until request_ended(). Empty for an
    // unknown id. The view ends with the next call that is not const.
    [[nodiscard]] std::string_view params(std::uint16_t id) const noexcept;
    // The same as an owned string, for a caller that keeps it; costs the next request an allocation.
    [[nodiscard]] std::string take_params(std::uint16_t id) noexcept;

    // END_REQUEST of id is queued: its slot is free and the id may come again. Call it before that record can reach
    // the peer. Also valid for a request that is not whole (refused, aborted): its further records are skipped.
    void request_ended(std::uint16_t id) noexcept;

    [[nodiscard]] bool is_open(std::uint16_t id) const noexcept { return find(id) != nullptr; }
    [[nodiscard]] std::size_t open_requests() const noexcept { return open_count_; }
    // Between two records and no request is open: nothing is lost by closing or handing over without save().
    [[nodiscard]] bool idle() const noexcept;
    // Between two records: what has been consumed so far ends at a record's end.
    [[nodiscard]] bool at_record_boundary() const noexcept;

    // State for another process (RULES 21): versioned, independent of byte order. Parameters are included.
    [[nodiscard]] std::string save() const;
    // False, with machine reset: damaged, of an unknown version, or beyond machine's limits.
    [[nodiscard]] static bool restore(std::string_view saved, ConnectionMachine& machine);

    // For a new connection; keeps capacity.
    void reset() noexcept;
    // Gives capacity back; for connections that stay idle.
    void trim() noexcept;

    void set_values(const ValuesReply& values) noexcept { values_ = values; }
    // A connection that is to be handed over takes no further request until those that are open have ended.
    void hold_new(bool hold) noexcept { hold_new_ = hold; }

private:
    enum class Phase : std::uint8_t {
        header,       // up to 8 bytes in partial_
        dispatch,     // a complete header waits to be acted upon, perhaps again (blocked)
        begin_body,   // up to 8 bytes in partial_
        params_body,  // this and the next four: content_left_ bytes to come
        stdin_body,
        values_body,  // collected in management_
        skip_body,
        padding,  // padding_left_ bytes to come
        failed,   // error_ says why
    };
    enum class Progress : std::uint8_t { params, std_in, whole };

    struct Slot {
        std::uint16_t id = 0;
        bool open = false;
        bool aborted = false;
        bool keep_conn = false;
        Role role = Role::responder;
        Progress progress = Progress::params;
        std::string params;

        [[nodiscard]] bool expects_nothing() const noexcept { return aborted || progress == Progress::whole; }
    };

    // The functions that return bool say whether they put an event into step.
    bool advance(std::string_view& input, Step& step) noexcept;
    void take_header(std::string_view& input) noexcept;
    bool dispatch(Step& step) noexcept;
    bool dispatch_begin(Step& step) noexcept;
    bool dispatch_params(Step& step) noexcept;
    bool dispatch_stdin(Step& step) noexcept;
    bool dispatch_abort(Step& step) noexcept;
    bool dispatch_values(Step& step) noexcept;
    bool begin_body(std::string_view& input, Step& step) noexcept;
    void params_body(std::string_view& input) noexcept;
    bool stdin_body(std::string_view& input, Step& step) noexcept;
    bool values_body(std::string_view& input, Step& step) noexcept;
    std::string_view take_content(std::string_view& input) noexcept;
    void enter_body(Phase phase) noexcept;
    void skip_padding(std::string_view& input) noexcept;

    bool answer_values(Step& step) noexcept;
    bool refuse(ProtocolStatus status, bool keep_conn, Step& step) noexcept;
    bool reply(std::string_view records, Step& step) noexcept;
    bool fail(Error error, Step& step) noexcept;

    void open_request(Role role, bool keep_conn) noexcept;
    Slot* find(std::uint16_t id) noexcept;
    [[nodiscard]] const Slot* find(std::uint16_t id) const noexcept;
    [[nodiscard]] bool no_open_request_expects_records() const noexcept;
    [[nodiscard]] bool phase_needs_bytes() const noexcept;
    bool restore_from(std::string_view saved);
    [[nodiscard]] bool consistent() const noexcept;

    // set at construction
    Limits limits_;
    ValuesReply values_;
    bool hold_new_ = false;

    // the record being received
    Phase phase_ = Phase::header;
    Error error_ = Error::none;
    std::uint8_t type_ = 0;
    std::uint8_t partial_size_ = 0;
    std::uint8_t padding_left_ = 0;
    std::uint16_t id_ = 0;
    std::uint16_t content_left_ = 0;
    std::array<char, kHeaderBytes> partial_{};

    // across records
    std::size_t open_count_ = 0;
    std::vector<Slot> slots_;
    std::string management_;  // a GET_VALUES body while it arrives, or the reply last reported
};

}  // namespace ftm::fcgi
