// What ConnectionMachine answers by itself, and the names of its errors.
#include <string>
#include <utility>

#include "fcgi/connection_machine.hpp"
#include "fcgi/params.hpp"
#include "fcgi/writer.hpp"

namespace ftm::fcgi {

std::string_view to_string(Error error) noexcept
{
    switch (error) {
        case Error::none:
            return "no error";
        case Error::bad_version:
            return "record with version 0";
        case Error::begin_wrong_size:
            return "BEGIN_REQUEST of a wrong size";
        case Error::duplicate_begin:
            return "BEGIN_REQUEST for a request that has begun";
        case Error::params_too_large:
            return "parameters too large";
        case Error::params_after_end:
            return "PARAMS after their end";
        case Error::unexpected_record:
            return "record that only an application sends";
        case Error::management_too_large:
            return "GET_VALUES too large";
        case Error::management_malformed:
            return "malformed GET_VALUES";
    }
    return "unknown error";
}

bool ConnectionMachine::answer_values(Step& step) noexcept
{
    struct Value {
        std::string_view name;
        std::uint32_t number;
        bool asked;
    };
    std::array<Value, 3> known{{{FCGI_MAX_CONNS, values_.max_conns, false},
                                {FCGI_MAX_REQS, values_.max_reqs, false},
                                {FCGI_MPXS_CONNS, values_.mpxs_conns ? 1U : 0U, false}}};
    std::string result(kHeaderBytes, '\0');
    const bool well_formed = decode_params(management_, [&](std::string_view name, std::string_view) {
        for (Value& value : known) {
            if (value.name == name && !std::exchange(value.asked, true)) {
                append_pair(result, name, std::to_string(value.number));
            }
        }
    });
    if (!well_formed) {
        return fail(Error::management_malformed, step);
    }
    const std::size_t length = result.size() - kHeaderBytes;
    const std::uint8_t padding = padding_for(length);
    write_header(result.data(), RecordType::get_values_result, kManagementId, static_cast<std::uint16_t>(length),
                 padding);
    result.append(padding, '\0');
    step.request_id = kManagementId;
    return reply(result, step);
}

bool ConnectionMachine::refuse(ProtocolStatus status, bool keep_conn, Step& step) noexcept
{
    const auto record = end_request_record(id_, 0, status);
    step.keep_conn = keep_conn;
    step.close_after = !keep_conn && open_count_ == 0;
    return reply({record.data(), record.size()}, step);
}

bool ConnectionMachine::reply(std::string_view records, Step& step) noexcept
{
    management_.assign(records);
    step.kind = StepKind::reply;
    step.data = management_;
    return true;
}

bool ConnectionMachine::fail(Error error, Step& step) noexcept
{
    phase_ = Phase::failed;
    error_ = error;
    step.kind = StepKind::error;
    step.error = error;
    return true;
}

}  // namespace ftm::fcgi
