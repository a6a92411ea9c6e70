// The connection machine under hostile bytes. The first bytes of an input choose limits and a seed; the rest is what
// the peer sends. However it is cut, and wherever the machine is saved and restored in another one, the events must be
// those of the whole input in one piece.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

#include "unit/fcgi/conversation.hpp"

namespace {

using namespace ftm::fcgi;
using ftm::fcgi::testing::Conversation;

struct Plan {
    Limits limits;
    std::uint32_t seed = 0;
    bool end_when_blocked = false;
    bool end_when_whole = false;
    bool hold_new = false;
};

Plan take_plan(std::string_view& input)
{
    Plan plan;
    const auto take = [&input]() -> std::uint8_t {
        if (input.empty()) {
            return 0;
        }
        const auto byte = static_cast<std::uint8_t>(input.front());
        input.remove_prefix(1);
        return byte;
    };
    const std::uint8_t choice = take();
    plan.limits.max_requests = 1 + choice % 8;
    plan.hold_new = (choice & 0x08) != 0;
    plan.end_when_whole = (choice & 0x10) != 0;
    plan.end_when_blocked = (choice & 0x40) != 0;
    plan.limits.max_params_bytes = (choice & 0x80) != 0 ? 1U << 20 : 1U + take();
    plan.seed = take();
    return plan;
}

[[noreturn]] void report(const char* what, const Conversation& whole, const Conversation& other)
{
    std::cerr << what << "\n";
    for (const Conversation* talk : {&whole, &other}) {
        std::cerr << "--\n";
        for (const std::string& event : talk->events()) {
            std::cerr << event << "\n";
        }
    }
    std::abort();
}

void check_memory(const ConnectionMachine& machine, const Limits& limits)
{
    const std::size_t allowed = limits.max_requests * (limits.max_params_bytes + 16) + kMaxManagementBytes + 64;
    if (machine.save().size() > allowed || machine.open_requests() > limits.max_requests) {
        std::cerr << "the machine holds more than its limits allow\n";
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input(reinterpret_cast<const char*>(data), size);
    const Plan plan = take_plan(input);
    std::mt19937 random(plan.seed);

    ConnectionMachine machine(plan.limits, ValuesReply{});
    Conversation whole(machine);
    ConnectionMachine cut_machine(plan.limits, ValuesReply{});
    Conversation cut(cut_machine);
    ConnectionMachine movers[2] = {{plan.limits, ValuesReply{}}, {plan.limits, ValuesReply{}}};
    Conversation moved(movers[0]);
    for (Conversation* talk : {&whole, &cut, &moved}) {
        if (plan.end_when_blocked) {
            talk->end_when_blocked();
        }
        if (plan.end_when_whole) {
            talk->end_when_whole(static_cast<std::uint8_t>(plan.seed));
        }
    }
    for (ConnectionMachine* one : {&machine, &cut_machine, &movers[0]}) {
        one->hold_new(plan.hold_new);
    }

    whole.feed(input);
    check_memory(machine, plan.limits);

    std::string_view rest = input;
    int current = 0;
    while (!rest.empty() && !cut.stopped()) {
        const std::size_t most = random() % 4 != 0 ? 12 : 4000;
        const std::string_view piece = rest.substr(0, 1 + random() % most);
        rest.remove_prefix(piece.size());
        cut.feed(piece);
        moved.feed(piece);
        check_memory(cut_machine, plan.limits);
        if (random() % 2 == 0) {
            if (!ConnectionMachine::restore(movers[current].save(), movers[1 - current])) {
                report("refused its own state", whole, moved);
            }
            current = 1 - current;
            movers[current].hold_new(plan.hold_new);
            moved.use(movers[current]);
        }
    }
    if (cut.events() != whole.events()) {
        report("cutting the input changed the events", whole, cut);
    }
    if (moved.events() != whole.events()) {
        report("moving the machine changed the events", whole, moved);
    }

    // The same bytes as a saved state: refused, or the machine works on.
    if (ConnectionMachine::restore(input, machine)) {
        Conversation on(machine);
        on.feed(input);
        check_memory(machine, plan.limits);
    }
    return 0;
}
