#include "observe/scoreboard.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace ftm::observe {
namespace {

void set_state(Slot& slot, SlotState state) { slot.state.store(static_cast<std::uint32_t>(state)); }

TEST(Scoreboard, is_empty_at_first)
{
    Scoreboard board = Scoreboard::create("www", 4);
    ASSERT_TRUE(board.valid());
    EXPECT_EQ(board.slots(), 4U);
    EXPECT_STREQ(board.header().pool, "www");
    EXPECT_EQ(board.figures().total(), 0U);
    EXPECT_EQ(board.counters().accepted.load(), 0U);
    EXPECT_FALSE(Scoreboard().valid());
}

TEST(Scoreboard, gives_each_context_a_slot_until_none_is_left)
{
    Scoreboard board = Scoreboard::create("www", 3);
    std::set<Slot*> slots;
    for (int i = 0; i < 3; ++i) {
        Slot* slot = board.acquire();
        ASSERT_NE(slot, nullptr);
        EXPECT_EQ(slot->pid.load(), ::getpid());
        EXPECT_EQ(slot->state.load(), static_cast<std::uint32_t>(SlotState::idle));
        slots.insert(slot);
    }
    EXPECT_EQ(slots.size(), 3U);
    EXPECT_EQ(board.acquire(), nullptr);
    Scoreboard::release(**slots.begin());
    EXPECT_EQ(board.acquire(), *slots.begin());
}

TEST(Scoreboard, a_slot_begins_anew)
{
    Scoreboard board = Scoreboard::create("www", 1);
    Slot* slot = board.acquire();
    slot->requests.store(9);
    slot->accepted_us.store(9);
    slot->duration_us.store(9);
    slot->cpu_us.store(9);
    slot->content_length.store(9);
    slot->memory_peak.store(9);
    set_text(*slot, "/uri", "a=b", "GET", "/script.php", "me");
    Scoreboard::release(*slot);
    ASSERT_EQ(board.acquire(), slot);
    EXPECT_EQ(slot->requests.load(), 0U);
    EXPECT_EQ(slot->accepted_us.load(), 0);
    EXPECT_EQ(slot->duration_us.load(), 0);
    EXPECT_STREQ(slot->text.uri, "");
    EXPECT_STREQ(slot->text.script, "");
    EXPECT_EQ(slot->cpu_us.load(), 0);
    EXPECT_EQ(slot->content_length.load(), 0);
    EXPECT_EQ(slot->memory_peak.load(), 0U);
}

TEST(Scoreboard, counts_idle_and_active)
{
    Scoreboard board = Scoreboard::create("www", 8);
    const SlotState states[] = {SlotState::idle,   SlotState::reading_headers, SlotState::info,     SlotState::running,
                                SlotState::ending, SlotState::finishing,       SlotState::crashed, SlotState::idle};
    for (const SlotState state : states) {
        set_state(*board.acquire(), state);
    }
    EXPECT_EQ(board.figures().idle, 2U);
    EXPECT_EQ(board.figures().active, 5U);
    EXPECT_EQ(board.figures().total(), 7U);
}

TEST(Scoreboard, frees_the_slots_of_a_dead_engine_only)
{
    Scoreboard board = Scoreboard::create("www", 3);
    Slot* mine = board.acquire();
    Slot* other = board.acquire();
    other->pid.store(1);
    set_state(*other, SlotState::running);
    board.release_pid(1);
    EXPECT_EQ(board.figures().active, 0U);
    EXPECT_EQ(other->pid.load(), 0);
    EXPECT_EQ(mine->pid.load(), ::getpid());
    board.release_pid(12345678);
    EXPECT_EQ(board.figures().idle, 1U);
}

TEST(Scoreboard, is_seen_through_another_mapping)
{
    Scoreboard board = Scoreboard::create("www", 2);
    board.counters().accepted.store(41);
    Scoreboard other = Scoreboard::map(UniqueFd(::dup(board.fd())));
    ASSERT_TRUE(other.valid());
    EXPECT_EQ(other.slots(), 2U);
    EXPECT_EQ(other.counters().accepted.fetch_add(1), 41U);
    EXPECT_EQ(board.counters().accepted.load(), 42U);
    Slot* slot = other.acquire();
    EXPECT_EQ(board.figures().idle, 1U);
    EXPECT_NE(board.acquire(), &board.slot(0));
    Scoreboard::release(*slot);
    EXPECT_EQ(board.figures().idle, 1U);
    const Scoreboard moved = std::move(other);
    EXPECT_TRUE(moved.valid());
}

TEST(Scoreboard, another_version_is_not_mapped)
{
    Scoreboard board = Scoreboard::create("www", 2);
    board.header().version += 1;
    EXPECT_FALSE(Scoreboard::map(UniqueFd(::dup(board.fd()))).valid());
}

TEST(Scoreboard, what_is_too_short_is_not_mapped)
{
    Scoreboard board = Scoreboard::create("www", 2);
    board.header().slots = 3;
    EXPECT_FALSE(Scoreboard::map(UniqueFd(::dup(board.fd()))).valid());
    board.header().slots = 0xffffffff;
    EXPECT_FALSE(Scoreboard::map(UniqueFd(::dup(board.fd()))).valid());
    const UniqueFd tiny(::memfd_create("tiny", MFD_CLOEXEC));
    EXPECT_FALSE(Scoreboard::map(UniqueFd(::dup(tiny.get()))).valid());
    EXPECT_FALSE(Scoreboard::map(UniqueFd()).valid());
}

TEST(Scoreboard, cuts_long_texts)
{
    Scoreboard board = Scoreboard::create(std::string(100, 'p'), 1);
    EXPECT_EQ(std::string(board.header().pool), std::string(31, 'p'));
    Slot* slot = board.acquire();
    const std::string text(1000, 'x');
    set_text(*slot, text, text, text, text, text);
    EXPECT_EQ(std::string(slot->text.uri).size(), 127U);
    EXPECT_EQ(std::string(slot->text.query).size(), 511U);
    EXPECT_EQ(std::string(slot->text.method).size(), 15U);
    EXPECT_EQ(std::string(slot->text.script).size(), 255U);
    EXPECT_EQ(std::string(slot->text.user).size(), 31U);
    EXPECT_EQ(slot->text_sequence.load() % 2, 0U);
}

TEST(Scoreboard, threads_never_share_a_slot)
{
    Scoreboard board = Scoreboard::create("www", 3);
    std::vector<std::atomic<int>> users(3);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                Slot* slot = board.acquire();
                if (slot == nullptr) {
                    continue;
                }
                auto& user = users[static_cast<std::size_t>(slot - &board.slot(0))];
                EXPECT_EQ(user.fetch_add(1), 0);
                set_text(*slot, "/", "", "GET", "/x.php", "");
                EXPECT_LE(board.figures().total(), 3U);
                user.fetch_sub(1);
                Scoreboard::release(*slot);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(board.figures().total(), 0U);
}

}  // namespace
}  // namespace ftm::observe
