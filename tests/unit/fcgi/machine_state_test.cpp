#include <gtest/gtest.h>

#include "conversations.hpp"

namespace ftm::fcgi::testing {
namespace {

TEST(MachineState, moves_to_another_process_at_every_byte)
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

TEST(MachineState, refuses_damaged_state)
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
