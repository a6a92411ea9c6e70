#include "fcgi/connection_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "conversation.hpp"

namespace ftm::fcgi::testing {
namespace {

using Events = std::vector<std::string>;

const std::string kEndUnknownRole = "01030005000800000000000003000000";
const std::string kEndCantMpx = "01030002000800000000000001000000";
const std::string kEndOverloaded = "01030003000800000000000002000000";

struct Row {
    const char* name;
    std::string input;
    Events events;
    unsigned max_requests = 1;
};

const std::string kBlock = pair("A", "b");

const std::vector<Row>& rows()
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

std::string with_version(char version, std::string input)
{
    input[0] = version;
    return input;
}

// Conversations that end in each error, with the limits below.
const std::vector<std::pair<Error, std::string>>& violations()
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

Limits limits_of(std::size_t max_params_bytes, unsigned max_requests)
{
    Limits limits;
    limits.max_params_bytes = max_params_bytes;
    limits.max_requests = max_requests;
    return limits;
}

ConnectionMachine machine_of(unsigned max_requests)
{
    return {limits_of(1000, max_requests), ValuesReply{}};
}

TEST(ConnectionMachine, reports_the_events_of_each_conversation)
{
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        ConnectionMachine machine = machine_of(row.max_requests);
        Conversation talk(machine);
        talk.feed(row.input);
        EXPECT_EQ(talk.events(), row.events);
        EXPECT_TRUE(talk.stopped() || talk.unread() == 0);
    }
}

TEST(ConnectionMachine, does_not_care_how_input_is_cut)
{
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        for (std::size_t piece = 1; piece <= row.input.size(); ++piece) {
            ConnectionMachine machine = machine_of(row.max_requests);
            Conversation talk(machine);
            talk.feed(row.input, piece);
            ASSERT_EQ(talk.events(), row.events) << "pieces of " << piece;
        }
        for (std::size_t cut = 0; cut <= row.input.size(); ++cut) {
            ConnectionMachine machine = machine_of(row.max_requests);
            Conversation talk(machine);
            talk.feed(std::string_view(row.input).substr(0, cut));
            if (!talk.stopped()) {
                talk.feed(std::string_view(row.input).substr(cut));
            }
            ASSERT_EQ(talk.events(), row.events) << "cut at " << cut;
        }
    }
}

TEST(ConnectionMachine, moves_to_another_process_at_every_byte)
{
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        for (std::size_t cut = 0; cut <= row.input.size(); ++cut) {
            ConnectionMachine first = machine_of(row.max_requests);
            ConnectionMachine second = machine_of(row.max_requests);
            Conversation talk(first);
            talk.feed(std::string_view(row.input).substr(0, cut));
            ASSERT_TRUE(ConnectionMachine::restore(first.save(), second)) << "cut at " << cut;
            EXPECT_EQ(second.save(), first.save());
            EXPECT_EQ(second.idle(), first.idle());
            EXPECT_EQ(second.open_requests(), first.open_requests());
            talk.use(second);
            if (!talk.stopped()) {
                talk.feed(std::string_view(row.input).substr(cut));
            }
            ASSERT_EQ(talk.events(), row.events) << "cut at " << cut;
        }
    }
}

TEST(ConnectionMachine, ends_with_each_error)
{
    for (const auto& [error, input] : violations()) {
        SCOPED_TRACE(std::string(to_string(error)) + ": " + hex(input).substr(0, 200));
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, input.size()}) {
            ConnectionMachine machine(limits_of(100, 1), ValuesReply{});
            Conversation talk(machine);
            talk.feed(input, piece);
            ASSERT_TRUE(talk.stopped());
            EXPECT_EQ(talk.events().back(), "error " + std::string(to_string(error)));

            // It is final, also elsewhere, until the machine is used for another connection.
            EXPECT_EQ(machine.step(begin(3)).error, error);
            ConnectionMachine other(limits_of(100, 1), ValuesReply{});
            ASSERT_TRUE(ConnectionMachine::restore(machine.save(), other));
            EXPECT_EQ(other.step("").error, error);
            machine.reset();
            EXPECT_EQ(machine.step(begin(3)).kind, StepKind::request_begin);
        }
    }
}

TEST(ConnectionMachine, names_every_error)
{
    for (int i = 0; i <= static_cast<int>(Error::management_malformed); ++i) {
        EXPECT_NE(to_string(static_cast<Error>(i)), "unknown error") << i;
    }
    EXPECT_EQ(to_string(static_cast<Error>(200)), "unknown error");
}

TEST(ConnectionMachine, limits_parameters_to_the_byte)
{
    constexpr std::size_t kLimit = 70000;  // more than a record holds
    for (const std::size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
        ConnectionMachine machine(limits_of(kLimit, 1), ValuesReply{});
        Conversation talk(machine);
        talk.feed(begin(1) + params(1, std::string(65535, 'x')) + params(1, std::string(size - 65535, 'y')) +
                  params(1, ""));
        if (size <= kLimit) {
            EXPECT_FALSE(talk.stopped());
            EXPECT_EQ(machine.params(1).size(), size);
        } else {
            EXPECT_EQ(talk.events().back(), "error parameters too large");
        }
    }
}

TEST(ConnectionMachine, limits_management_bodies_to_the_byte)
{
    for (const std::size_t size : {kMaxManagementBytes - 2, kMaxManagementBytes, kMaxManagementBytes + 2}) {
        ConnectionMachine machine = machine_of(1);
        const Step step = machine.step(record(RecordType::get_values, 0, std::string(size, '\0')));
        EXPECT_EQ(step.kind, size <= kMaxManagementBytes ? StepKind::reply : StepKind::error);
    }
}

TEST(ConnectionMachine, answers_get_values)
{
    ConnectionMachine machine({}, ValuesReply{123, 4567, true});
    const std::string question = pair("FCGI_MPXS_CONNS", "") + pair("NO_SUCH_NAME", "") +
                                 pair("FCGI_MAX_REQS", "ignored") + pair("FCGI_MAX_CONNS", "") +
                                 pair("FCGI_MAX_REQS", "");
    const std::string answer =
        pair("FCGI_MPXS_CONNS", "1") + pair("FCGI_MAX_REQS", "4567") + pair("FCGI_MAX_CONNS", "123");
    std::string expected = record(RecordType::get_values_result, 0, answer, padding_for(answer.size()));
    std::replace(expected.end() - padding_for(answer.size()), expected.end(), 'P', '\0');

    const std::string input = record(RecordType::get_values, 0, question, 3);
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
        Step step = machine.step(std::string_view(input).substr(0, cut));
        if (step.kind == StepKind::need_more) {
            ASSERT_EQ(step.consumed, cut);
            step = machine.step(std::string_view(input).substr(cut));
        }
        ASSERT_EQ(step.kind, StepKind::reply);
        EXPECT_EQ(step.data, expected);
        EXPECT_FALSE(step.close_after);
        machine.reset();
    }
    // Nothing known was asked.
    EXPECT_EQ(machine.step(record(RecordType::get_values, 0, "")).data, record(RecordType::get_values_result, 0, ""));
    machine.set_values({1, 1, false});
    EXPECT_EQ(machine.step(record(RecordType::get_values, 0, pair("FCGI_MPXS_CONNS", ""))).data.substr(8, 18),
              pair("FCGI_MPXS_CONNS", "0"));
}

TEST(ConnectionMachine, goes_on_after_a_blocked_request_may_begin)
{
    const std::string input = get_request(1, "one") + get_request(2, "two") + get_request(2, "three");
    const Events expected = {"begin 1 role 1 keep", "params 1 one",   "whole 1", "blocked 2",
                             "begin 2 role 1 keep", "params 2 two",   "whole 2", "blocked 2",
                             "begin 2 role 1 keep", "params 2 three", "whole 2"};
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        ConnectionMachine machine = machine_of(1);
        Conversation talk(machine);
        talk.end_when_blocked();
        talk.feed(input, piece);
        ASSERT_EQ(talk.events(), expected);
    }
}

TEST(ConnectionMachine, stays_blocked_and_takes_nothing_more)
{
    ConnectionMachine machine = machine_of(1);
    Conversation talk(machine);
    const std::string second = begin(2);
    talk.feed(get_request(1, "") + second);
    EXPECT_EQ(talk.unread(), kBeginBodyBytes);
    for (int i = 0; i < 3; ++i) {
        const Step step = machine.step(std::string_view(second).substr(kHeaderBytes));
        EXPECT_EQ(step.kind, StepKind::blocked);
        EXPECT_EQ(step.consumed, 0U);
    }
    EXPECT_FALSE(machine.idle());
    machine.request_ended(1);
    EXPECT_FALSE(machine.idle());
    EXPECT_EQ(machine.step(std::string_view(second).substr(kHeaderBytes)).kind, StepKind::request_begin);
}

TEST(ConnectionMachine, is_idle_only_between_requests)
{
    ConnectionMachine machine = machine_of(1);
    EXPECT_TRUE(machine.idle());
    const std::string input = begin(1) + params(1, "") + std_in(1, "", 3);
    Conversation talk(machine);
    for (const char c : input) {
        talk.feed({&c, 1});
        EXPECT_FALSE(machine.idle());
    }
    EXPECT_TRUE(machine.at_record_boundary());
    machine.request_ended(1);
    EXPECT_TRUE(machine.idle());
    machine.request_ended(1);
    EXPECT_TRUE(machine.idle());
    EXPECT_EQ(machine.open_requests(), 0U);
}

TEST(ConnectionMachine, takes_padding_with_the_event_it_follows)
{
    ConnectionMachine machine = machine_of(1);
    const std::string input = begin(1, true, 1, 200);
    EXPECT_EQ(machine.step(input).consumed, input.size());
    EXPECT_TRUE(machine.at_record_boundary());
}

TEST(ConnectionMachine, skips_the_rest_of_a_request_that_ended_early)
{
    const std::string head = begin(1) + params(1, "xx");
    const std::string rest = params(1, "yy") + params(1, "") + std_in(1, "body") + std_in(1, "");
    const std::string next = get_request(1, "next");
    for (std::size_t cut = 0; cut <= head.size() + rest.size(); ++cut) {
        const std::string input = head + rest;
        ConnectionMachine machine = machine_of(1);
        Conversation talk(machine);
        talk.feed(std::string_view(input).substr(0, cut));
        const bool began = !talk.events().empty();
        machine.request_ended(1);
        const std::size_t before = talk.events().size();
        talk.feed(std::string_view(input).substr(cut));
        if (began) {
            ASSERT_EQ(talk.events().size(), before) << "cut at " << cut;
            EXPECT_TRUE(machine.idle());
            talk.feed(next);
            EXPECT_EQ(talk.events().back(), "whole 1");
            EXPECT_EQ(machine.params(1), "next");
        }
    }
}

TEST(ConnectionMachine, hands_out_parameters_once_or_as_a_view)
{
    ConnectionMachine machine = machine_of(2);
    Conversation talk(machine);
    talk.feed(begin(1) + params(1, "abc") + params(1, ""));
    EXPECT_EQ(machine.params(2), "");
    EXPECT_EQ(machine.take_params(2), "");
    EXPECT_EQ(machine.params(1), "abc");
    EXPECT_EQ(machine.take_params(1), "abc");
    EXPECT_EQ(machine.params(1), "");
}

TEST(ConnectionMachine, keeps_memory_for_the_next_request_of_its_size)
{
    ConnectionMachine machine = machine_of(1);
    const std::string input = get_request(1, std::string(900, 'x'));
    const char* memory = nullptr;
    for (int i = 0; i < 3; ++i) {
        Conversation talk(machine);
        talk.feed(input);
        if (memory != nullptr) {
            EXPECT_EQ(machine.params(1).data(), memory);
        }
        memory = machine.params(1).data();
        if (i == 1) {
            machine.reset();
        } else {
            machine.request_ended(1);
        }
    }
    machine.trim();
    Conversation talk(machine);
    talk.feed(input);
    EXPECT_EQ(machine.params(1).size(), 900U);
    machine.trim();
    EXPECT_EQ(machine.params(1).size(), 900U) << "an open request loses nothing";
}

TEST(ConnectionMachine, carries_large_bodies_without_keeping_them)
{
    ConnectionMachine machine = machine_of(1);
    Conversation talk(machine);
    talk.feed(begin(1) + params(1, ""));
    std::size_t total = 0;
    for (int i = 0; i < 100; ++i) {
        const std::string input = std_in(1, std::string(65535, 'b'), 1);
        const Step step = machine.step(input);
        ASSERT_EQ(step.kind, StepKind::stdin_data);
        EXPECT_EQ(step.data.data(), input.data() + kHeaderBytes) << "a view into the input";
        total += step.data.size();
    }
    EXPECT_EQ(total, 6553500U);
    EXPECT_LT(machine.save().size(), 100U);
}

TEST(ConnectionMachine, refuses_damaged_state)
{
    ConnectionMachine machine = machine_of(2);
    Conversation talk(machine);
    talk.feed(begin(1) + params(1, "some") + begin(2) + params(2, "") + std_in(2, "x").substr(0, 8));
    const std::string saved = machine.save();
    ConnectionMachine other = machine_of(2);
    ASSERT_TRUE(ConnectionMachine::restore(saved, other));
    for (std::size_t size = 0; size < saved.size(); ++size) {
        EXPECT_FALSE(ConnectionMachine::restore(std::string_view(saved).substr(0, size), other)) << size;
        EXPECT_TRUE(other.idle());
    }
    EXPECT_FALSE(ConnectionMachine::restore(saved + "x", other));

    std::string unknown_version = saved;
    unknown_version[0] = 2;
    EXPECT_FALSE(ConnectionMachine::restore(unknown_version, other));

    ConnectionMachine one_request = machine_of(1);
    EXPECT_FALSE(ConnectionMachine::restore(saved, one_request));
    ConnectionMachine small(limits_of(3, 2), ValuesReply{});
    EXPECT_FALSE(ConnectionMachine::restore(saved, small));

    // Any single damaged byte is refused or harmless: the machine goes on without a fault.
    for (std::size_t i = 0; i < saved.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = saved;
            damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
            if (ConnectionMachine::restore(damaged, other)) {
                Conversation on(other);
                on.feed("x" + get_request(3, ""));
            }
        }
    }
}

}  // namespace
}  // namespace ftm::fcgi::testing
