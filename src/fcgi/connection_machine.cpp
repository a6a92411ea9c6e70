#include "fcgi/connection_machine.hpp"

#include <algorithm>
#include <cstring>

#include "fcgi/writer.hpp"

namespace ftm::fcgi {

namespace {

std::uint16_t big_endian(unsigned char high, unsigned char low) noexcept
{
    return static_cast<std::uint16_t>(high << 8 | low);
}

// Moves bytes from input to the end of buffer until it holds wanted ones. False: input ran out.
bool fill(std::array<char, kHeaderBytes>& buffer, std::uint8_t& size, std::size_t wanted,
          std::string_view& input) noexcept
{
    const std::size_t n = std::min(wanted - size, input.size());
    std::memcpy(buffer.data() + size, input.data(), n);
    size = static_cast<std::uint8_t>(size + n);
    input.remove_prefix(n);
    return size == wanted;
}

}  // namespace

ConnectionMachine::ConnectionMachine(const Limits& limits, const ValuesReply& values) : limits_(limits), values_(values)
{
    limits_.max_requests = std::max(limits_.max_requests, 1U);
}

Step ConnectionMachine::step(std::string_view input) noexcept
{
    Step step;
    std::string_view rest = input;
    while ((!rest.empty() || !phase_needs_bytes()) && !advance(rest, step)) {
    }
    // A record that ends with its event takes its padding along, so that the connection can be idle after it.
    if (phase_ == Phase::padding) {
        skip_padding(rest);
    }
    step.consumed = input.size() - rest.size();
    return step;
}

// One phase of one record; true: there is an event in step. No phase that needs bytes is entered without any to come.
bool ConnectionMachine::advance(std::string_view& input, Step& step) noexcept
{
    switch (phase_) {
        case Phase::header:
            take_header(input);
            return false;
        case Phase::dispatch:
            step.request_id = id_;
            return dispatch(step);
        case Phase::begin_body:
            step.request_id = id_;
            return begin_body(input, step);
        case Phase::params_body:
            params_body(input);
            return false;
        case Phase::stdin_body:
            step.request_id = id_;
            return stdin_body(input, step);
        case Phase::values_body:
            return values_body(input, step);
        case Phase::skip_body:
            static_cast<void>(take_content(input));
            return false;
        case Phase::padding:
            skip_padding(input);
            return false;
        case Phase::failed:
            return fail(error_, step);
    }
    return false;
}

void ConnectionMachine::take_header(std::string_view& input) noexcept
{
    if (!fill(partial_, partial_size_, kHeaderBytes, input)) {
        return;
    }
    partial_size_ = 0;
    FCGI_Header header;
    std::memcpy(&header, partial_.data(), sizeof header);
    type_ = header.type;
    id_ = big_endian(header.requestIdB1, header.requestIdB0);
    content_left_ = big_endian(header.contentLengthB1, header.contentLengthB0);
    padding_left_ = header.paddingLength;
    phase_ = Phase::dispatch;
    if (header.version == 0) {
        error_ = Error::bad_version;
        phase_ = Phase::failed;
    }
}

bool ConnectionMachine::dispatch(Step& step) noexcept
{
    switch (static_cast<RecordType>(type_)) {
        case RecordType::begin_request:
            return dispatch_begin(step);
        case RecordType::params:
            return dispatch_params(step);
        case RecordType::std_in:
            return dispatch_stdin(step);
        case RecordType::abort_request:
            return dispatch_abort(step);
        case RecordType::get_values:
            return dispatch_values(step);
        case RecordType::data:
            enter_body(Phase::skip_body);
            return false;
        case RecordType::end_request:
        case RecordType::std_out:
        case RecordType::std_err:
        case RecordType::get_values_result:
        case RecordType::unknown_type:
            return fail(Error::unexpected_record, step);
    }
    enter_body(Phase::skip_body);
    const auto record = unknown_type_record(type_);
    return reply({record.data(), record.size()}, step);
}

bool ConnectionMachine::dispatch_begin(Step& step) noexcept
{
    if (content_left_ != kBeginBodyBytes) {
        return fail(Error::begin_wrong_size, step);
    }
    const Slot* same_id = find(id_);
    if (same_id != nullptr && !same_id->expects_nothing()) {
        return fail(Error::duplicate_begin, step);
    }
    if (same_id != nullptr || ((open_count_ >= limits_.max_requests || (hold_new_ && open_count_ != 0)) && no_open_request_expects_records())) {
        step.kind = StepKind::blocked;
        return true;
    }
    phase_ = Phase::begin_body;
    return false;
}

bool ConnectionMachine::dispatch_params(Step& step) noexcept
{
    Slot* slot = find(id_);
    const bool empty = content_left_ == 0;
    if (slot == nullptr || slot->aborted || (empty && slot->progress != Progress::params)) {
        enter_body(Phase::skip_body);
        return false;
    }
    if (slot->progress != Progress::params) {
        return fail(Error::params_after_end, step);
    }
    if (content_left_ > limits_.max_params_bytes - slot->params.size()) {
        return fail(Error::params_too_large, step);
    }
    enter_body(Phase::params_body);
    if (empty) {
        slot->progress = Progress::std_in;
        step.kind = StepKind::params_end;
    }
    return empty;
}

bool ConnectionMachine::dispatch_stdin(Step& step) noexcept
{
    Slot* slot = find(id_);
    if (slot == nullptr || slot->expects_nothing()) {
        enter_body(Phase::skip_body);
        return false;
    }
    if (slot->progress == Progress::params) {
        // Their empty record is missing; this record is dispatched again by the next step.
        slot->progress = Progress::std_in;
        step.kind = StepKind::params_end;
        return true;
    }
    if (content_left_ == 0) {
        slot->progress = Progress::whole;
        step.kind = StepKind::stdin_end;
    }
    enter_body(Phase::stdin_body);
    return step.kind == StepKind::stdin_end;
}

bool ConnectionMachine::dispatch_abort(Step& step) noexcept
{
    enter_body(Phase::skip_body);
    Slot* slot = find(id_);
    if (slot == nullptr || slot->aborted) {
        return false;
    }
    slot->aborted = true;
    step.kind = StepKind::abort;
    return true;
}

bool ConnectionMachine::dispatch_values(Step& step) noexcept
{
    if (content_left_ > kMaxManagementBytes) {
        return fail(Error::management_too_large, step);
    }
    management_.clear();
    const bool empty = content_left_ == 0;
    enter_body(Phase::values_body);
    return empty && answer_values(step);
}

bool ConnectionMachine::begin_body(std::string_view& input, Step& step) noexcept
{
    if (!fill(partial_, partial_size_, kBeginBodyBytes, input)) {
        return false;
    }
    partial_size_ = 0;
    FCGI_BeginRequestBody body;
    std::memcpy(&body, partial_.data(), sizeof body);
    content_left_ = 0;
    enter_body(Phase::begin_body);

    const bool keep_conn = (body.flags & kKeepConnFlag) != 0;
    const std::uint16_t role = big_endian(body.roleB1, body.roleB0);
    if (role < FCGI_RESPONDER || role > FCGI_FILTER) {
        return refuse(ProtocolStatus::unknown_role, keep_conn, step);
    }
    if (open_count_ >= limits_.max_requests) {
        const bool one_only = limits_.max_requests == 1;
        return refuse(one_only ? ProtocolStatus::cant_mpx_conn : ProtocolStatus::overloaded, keep_conn, step);
    }
    open_request(static_cast<Role>(role), keep_conn);
    step.kind = StepKind::request_begin;
    step.role = static_cast<Role>(role);
    step.keep_conn = keep_conn;
    return true;
}

void ConnectionMachine::params_body(std::string_view& input) noexcept
{
    const std::string_view content = take_content(input);
    // The request may have been ended in the middle of this record.
    Slot* slot = find(id_);
    if (slot != nullptr) {
        slot->params.append(content);
    }
}

bool ConnectionMachine::stdin_body(std::string_view& input, Step& step) noexcept
{
    const std::string_view content = take_content(input);
    if (find(id_) == nullptr) {
        return false;
    }
    step.kind = StepKind::stdin_data;
    step.data = content;
    return true;
}

bool ConnectionMachine::values_body(std::string_view& input, Step& step) noexcept
{
    management_.append(take_content(input));
    return content_left_ == 0 && answer_values(step);
}

// The part of the record's content that is at the front of input; moves on when the content is complete.
std::string_view ConnectionMachine::take_content(std::string_view& input) noexcept
{
    const std::size_t n = std::min<std::size_t>(content_left_, input.size());
    const std::string_view content = input.substr(0, n);
    input.remove_prefix(n);
    content_left_ = static_cast<std::uint16_t>(content_left_ - n);
    enter_body(phase_);
    return content;
}

// The body's phase if any content is left, else what comes after it.
void ConnectionMachine::enter_body(Phase phase) noexcept
{
    if (content_left_ != 0) {
        phase_ = phase;
    } else {
        phase_ = padding_left_ != 0 ? Phase::padding : Phase::header;
    }
}

void ConnectionMachine::skip_padding(std::string_view& input) noexcept
{
    const std::size_t n = std::min<std::size_t>(padding_left_, input.size());
    input.remove_prefix(n);
    padding_left_ = static_cast<std::uint8_t>(padding_left_ - n);
    enter_body(Phase::padding);
}

bool ConnectionMachine::phase_needs_bytes() const noexcept
{
    return phase_ != Phase::dispatch && phase_ != Phase::failed;
}

}  // namespace ftm::fcgi
