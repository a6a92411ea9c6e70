// Counts this program's allocations: a request like the one before must cost none.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "conversations.hpp"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size)
{
    ++allocations;
    if (void* memory = std::malloc(size != 0 ? size : 1)) {
        return memory;
    }
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}

namespace ftm::fcgi::testing {
namespace {

std::size_t allocations_of_one_request(ConnectionMachine& machine, std::string_view input)
{
    const std::size_t before = allocations;
    Step step;
    while (step.kind != StepKind::stdin_end) {
        step = machine.step(input);
        input.remove_prefix(step.consumed);
    }
    machine.request_ended(step.request_id);
    return allocations - before;
}

TEST(ConnectionMachine, allocates_nothing_for_a_request_like_the_one_before)
{
    const std::string input =
        begin(1, true) + params(1, std::string(900, 'x')) + params(1, "") + std_in(1, "body") + std_in(1, "");
    ConnectionMachine machine = machine_of(1);
    EXPECT_GT(allocations_of_one_request(machine, input), 0U);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(allocations_of_one_request(machine, input), 0U);
    }
    machine.reset();
    EXPECT_EQ(allocations_of_one_request(machine, input), 0U);
}

}  // namespace
}  // namespace ftm::fcgi::testing
