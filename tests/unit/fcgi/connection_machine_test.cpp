#include "fcgi/connection_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "conversations.hpp"

namespace ftm::fcgi::testing {
namespace {

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

// A connection that is to be handed over: nothing new begins unless nothing is open, or what is open needs its records.
TEST(ConnectionMachine, holds_new_requests_while_others_are_answered)
{
    ConnectionMachine machine = machine_of(8);
    machine.hold_new(true);
    Conversation talk(machine);
    talk.feed(get_request(1, "one") + get_request(3, "two"));
    EXPECT_EQ(talk.events(), (Events{"begin 1 role 1 keep", "params 1 one", "whole 1", "blocked 3"}));
    machine.request_ended(1);
    EXPECT_EQ(machine.step(get_request(3, "two").substr(kHeaderBytes)).kind, StepKind::request_begin);
}

TEST(ConnectionMachine, holds_nothing_that_others_which_arrive_stand_behind)
{
    ConnectionMachine machine = machine_of(8);
    machine.hold_new(true);
    Conversation talk(machine);
    talk.feed(begin(1, true) + get_request(3, "two") + std_in(1, "") + begin(5, true));
    EXPECT_EQ(talk.events(), (Events{"begin 1 role 1 keep", "begin 3 role 1 keep", "params 3 two", "whole 3", "params 1 ",
                                     "whole 1", "blocked 5"}));
    machine.reset();
    EXPECT_EQ(machine.step(get_request(1, "")).kind, StepKind::request_begin);
}

// Eight requests record by record in turn, each whole in another order than it began, all ids used a second time.
TEST(ConnectionMachine, keeps_interleaved_requests_apart)
{
    std::string input;
    for (int round = 0; round < 2; ++round) {
        for (std::uint16_t id = 1; id <= 8; ++id) {
            input += begin(id, true);
        }
        for (int part = 0; part < 5; ++part) {
            for (std::uint16_t id = 8; id >= 1; --id) {
                input += params(id, std::string(id, static_cast<char>('a' + part)), static_cast<std::uint8_t>(part));
            }
        }
        for (std::uint16_t id = 1; id <= 8; ++id) {
            input += params(id, "");
        }
        for (std::uint16_t id = 8; id >= 1; --id) {
            input += std_in(id, std::to_string(id * 11), static_cast<std::uint8_t>(id)) + std_in(id, "");
        }
    }
    ConnectionMachine whole_machine = machine_of(8);
    Conversation whole(whole_machine);
    whole.end_when_whole(0xff);
    whole.feed(input);
    EXPECT_EQ(whole.events().size(), 2U * 8 * 4);
    for (std::uint16_t id = 1; id <= 8; ++id) {
        std::string block;
        for (int part = 0; part < 5; ++part) {
            block += std::string(id, static_cast<char>('a' + part));
        }
        const std::string name = std::to_string(id);
        for (const std::string& event : {"params " + name + " " + block, "data " + name + " " + std::to_string(id * 11), "whole " + name}) {
            EXPECT_EQ(std::count(whole.events().begin(), whole.events().end(), event), 2) << event;
        }
    }
    for (std::size_t piece = 1; piece <= 64; ++piece) {
        ConnectionMachine machine = machine_of(8);
        Conversation cut(machine);
        cut.end_when_whole(0xff);
        cut.feed(input, piece);
        ASSERT_EQ(cut.events(), whole.events()) << piece;
    }
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

}  // namespace
}  // namespace ftm::fcgi::testing
