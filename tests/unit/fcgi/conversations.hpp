// The conversations that the connection machine's tests replay: what the peer sends, and the events it must give.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "conversation.hpp"

namespace ftm::fcgi::testing {

using Events = std::vector<std::string>;

inline const std::string kEndUnknownRole = "01030005000800000000000003000000";
inline const std::string kEndCantMpx = "01030002000800000000000001000000";
inline const std::string kEndOverloaded = "01030003000800000000000002000000";

struct Row {
    const char* name;
    std::string input;
    Events events;
    unsigned max_requests = 1;
};

inline const std::string kBlock = pair("A", "b");

inline const std::vector<Row>& rows()
{
    static const std::vector<Row> table = {
        {"nothing", "", {}},
        {"get", get_request(1, kBlock), {"begin 1 role 1 keep", "params 1 " + kBlock, "whole 1"}},
        {"no keep", get_request(1, kBlock, false), {"begin 1 role 1", "params 1 " + kBlock, "whole 1"}},
        {"no parameters", begin(1) + params(1, "") + std_in(1, ""), {"begin 1 role 1", "params 1 ", "whole 1"}},
        {"authorizer", begin(1, false, 2), {"begin 1 role 2"}},
        {"filter with data",
         begin(1, false, 3) + params(1, "") + std_in(1, "") + record(RecordType::data, 1, "xyz", 5) +
             record(RecordType::data, 1, ""),
         {"begin 1 role 3", "params 1 ", "whole 1"}},
        {"post",
         begin(258) + params(258, kBlock) + params(258, "") + std_in(258, "hello ") + std_in(258, "world") +
             std_in(258, ""),
         {"begin 258 role 1", "params 258 " + kBlock, "data 258 hello world", "whole 258"}},
        {"padding everywhere",
         begin(1, true, 1, 3) + params(1, kBlock, 7) + params(1, "", 8) + std_in(1, "x", 255) + std_in(1, "", 1),
         {"begin 1 role 1 keep", "params 1 " + kBlock, "data 1 x", "whole 1"}},
        {"pair split over records",
         begin(1) + params(1, kBlock.substr(0, 2)) + params(1, kBlock.substr(2)) + params(1, ""),
         {"begin 1 role 1", "params 1 " + kBlock}},
        {"request id 0", get_request(0, kBlock), {"begin 0 role 1 keep", "params 0 " + kBlock, "whole 0"}},
        {"version 2",
         "\2" + get_request(1, kBlock).substr(1),
         {"begin 1 role 1 keep", "params 1 " + kBlock, "whole 1"}},
        {"leading empty stdin",
         std_in(7, "", 2) + std_in(0, "") + get_request(1, kBlock),
         {"begin 1 role 1 keep", "params 1 " + kBlock, "whole 1"}},
        {"records of unknown requests",
         begin(1) + params(9, "junk") + std_in(9, "junk") + record(RecordType::data, 9, "j") +
             record(RecordType::abort_request, 9, "") + params(1, ""),
         {"begin 1 role 1", "params 1 "}},
        {"stdin ends open parameters",
         begin(1) + params(1, kBlock) + std_in(1, "x") + std_in(1, ""),
         {"begin 1 role 1", "params 1 " + kBlock, "data 1 x", "whole 1"}},
        {"empty stdin ends open parameters",
         begin(1) + params(1, kBlock) + std_in(1, ""),
         {"begin 1 role 1", "params 1 " + kBlock, "whole 1"}},
        {"stdin behind its end",
         get_request(1, "") + std_in(1, "more") + std_in(1, ""),
         {"begin 1 role 1 keep", "params 1 ", "whole 1"}},
        {"empty params behind their end", begin(1) + params(1, "") + params(1, ""), {"begin 1 role 1", "params 1 "}},
        {"abort while parameters arrive",
         begin(1) + params(1, "x") + record(RecordType::abort_request, 1, "", 8) + params(1, "y") + params(1, "") +
             std_in(1, "z") + std_in(1, "") + record(RecordType::abort_request, 1, ""),
         {"begin 1 role 1", "abort 1"}},
        {"abort with content",
         begin(1) + record(RecordType::abort_request, 1, "odd") + params(2, ""),
         {"begin 1 role 1", "abort 1"}},
        {"abort of a whole request",
         get_request(1, "") + record(RecordType::abort_request, 1, ""),
         {"begin 1 role 1 keep", "params 1 ", "whole 1", "abort 1"}},
        {"unknown role",
         begin(5, true, 4) + params(5, "x") + params(5, "") + std_in(5, ""),
         {"reply " + kEndUnknownRole}},
        {"role 0", begin(5, true, 0), {"reply " + kEndUnknownRole}},
        {"role 257", begin(5, true, 257), {"reply " + kEndUnknownRole}},
        {"unknown role closes", begin(5, false, 4), {"reply " + kEndUnknownRole + " close"}},
        {"unknown management type",
         record(12, 0, "body", 4) + get_request(1, ""),
         {"reply 010b0000000800000c00000000000000", "begin 1 role 1 keep", "params 1 ", "whole 1"}},
        {"unknown application type",
         begin(1) + record(99, 1, "") + record(0, 1, "x") + params(1, ""),
         {"begin 1 role 1", "reply 010b0000000800006300000000000000", "reply 010b0000000800000000000000000000",
          "params 1 "}},
        {"pipelined, other id",
         get_request(1, "") + get_request(2, ""),
         {"begin 1 role 1 keep", "params 1 ", "whole 1", "blocked 2"}},
        {"pipelined, same id",
         get_request(1, "") + get_request(1, ""),
         {"begin 1 role 1 keep", "params 1 ", "whole 1", "blocked 1"}},
        {"behind an aborted one",
         begin(1) + record(RecordType::abort_request, 1, "") + begin(2),
         {"begin 1 role 1", "abort 1", "blocked 2"}},
        {"interleaved though told not to",
         begin(1) + begin(2, true) + params(2, "x") + params(1, "") + std_in(2, "") + std_in(1, ""),
         {"begin 1 role 1", "reply " + kEndCantMpx, "params 1 ", "whole 1"}},
        {"refused without keep beside an open one",
         begin(1) + begin(2, false),
         {"begin 1 role 1", "reply " + kEndCantMpx}},
        {"interleaved",
         begin(1) + begin(2, true) + params(2, "x") + params(1, "y") + params(2, "") + std_in(2, "2") + params(1, "") +
             std_in(1, "1") + std_in(2, "2") + std_in(1, "") + std_in(2, ""),
         {"begin 1 role 1", "begin 2 role 1 keep", "params 2 x", "data 2 2", "params 1 y", "data 1 1", "data 2 2",
          "whole 1", "whole 2"},
         2},
        {"one too many of them",
         begin(1) + begin(2) + begin(3) + params(3, "x") + params(1, ""),
         {"begin 1 role 1", "begin 2 role 1", "reply " + kEndOverloaded, "params 1 "},
         2},
        {"interleaved limit reached by whole ones",
         get_request(1, "") + get_request(2, "") + get_request(3, ""),
         {"begin 1 role 1 keep", "params 1 ", "whole 1", "begin 2 role 1 keep", "params 2 ", "whole 2", "blocked 3"},
         2},
    };
    return table;
}

inline std::string with_version(char version, std::string input)
{
    input[0] = version;
    return input;
}

// Conversations that end in each error, with the limits below.
inline const std::vector<std::pair<Error, std::string>>& violations()
{
    static const std::vector<std::pair<Error, std::string>> table = {
        {Error::bad_version, with_version(0, begin(1))},
        {Error::bad_version, begin(1) + with_version(0, params(1, ""))},
        {Error::begin_wrong_size, record(RecordType::begin_request, 1, "1234567")},
        {Error::begin_wrong_size, record(RecordType::begin_request, 1, "123456789")},
        {Error::begin_wrong_size, record(RecordType::begin_request, 1, "")},
        {Error::duplicate_begin, begin(1) + begin(1)},
        {Error::duplicate_begin, begin(1) + params(1, "") + begin(1)},
        {Error::params_too_large, begin(1) + params(1, std::string(100, 'x')) + params(1, "x")},
        {Error::params_after_end, begin(1) + params(1, "") + params(1, "x")},
        {Error::params_after_end, get_request(1, "") + params(1, "x")},
        {Error::unexpected_record, record(RecordType::end_request, 1, "12345678")},
        {Error::unexpected_record, record(RecordType::std_out, 1, "x")},
        {Error::unexpected_record, begin(1) + record(RecordType::std_err, 1, "x")},
        {Error::unexpected_record, record(RecordType::get_values_result, 0, "")},
        {Error::unexpected_record, record(RecordType::unknown_type, 0, "12345678")},
        {Error::management_too_large, record(RecordType::get_values, 0, std::string(kMaxManagementBytes + 1, '\0'))},
        {Error::management_malformed, record(RecordType::get_values, 0, "\x05")},
        {Error::management_malformed, record(RecordType::get_values, 0, pair(FCGI_MAX_CONNS, "") + "\x01\x01x")},
    };
    return table;
}

inline Limits limits_of(std::size_t max_params_bytes, unsigned max_requests)
{
    Limits limits;
    limits.max_params_bytes = max_params_bytes;
    limits.max_requests = max_requests;
    return limits;
}

inline ConnectionMachine machine_of(unsigned max_requests)
{
    return {limits_of(1000, max_requests), ValuesReply{}};
}

}  // namespace ftm::fcgi::testing
