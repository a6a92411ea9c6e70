#include "request/param_table.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ftm::request {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs visited(const ParamTable& table)
{
    Pairs out;
    table.for_each([&](std::string_view name, std::string_view value) { out.emplace_back(name, value); });
    Pairs by_cursor;
    std::size_t cursor = 0;
    while (const ParamTable::Entry* entry = table.next(&cursor)) {
        by_cursor.emplace_back(entry->name, entry->value);
    }
    EXPECT_EQ(by_cursor, out);
    EXPECT_EQ(table.size(), out.size());
    EXPECT_EQ(table.empty(), out.empty());
    return out;
}

TEST(ParamTable, visits_newest_first)
{
    ParamTable table;
    EXPECT_EQ(visited(table), Pairs{});
    table.set("A", "1");
    table.set("B", "2");
    table.set("C", "3");
    EXPECT_EQ(visited(table), (Pairs{{"C", "3"}, {"B", "2"}, {"A", "1"}}));
}

TEST(ParamTable, a_repeated_name_keeps_its_place)
{
    ParamTable table;
    table.set("A", "1");
    table.set("B", "2");
    EXPECT_EQ(table.set("A", "three"), "three");
    EXPECT_EQ(visited(table), (Pairs{{"B", "2"}, {"A", "three"}}));
}

TEST(ParamTable, an_erased_name_comes_back_as_newest)
{
    ParamTable table;
    table.set("A", "1");
    table.set("B", "2");
    table.erase("A");
    table.erase("A");
    table.erase("none");
    EXPECT_EQ(table.get("A"), nullptr);
    EXPECT_EQ(visited(table), (Pairs{{"B", "2"}}));
    table.set("A", "3");
    EXPECT_EQ(visited(table), (Pairs{{"A", "3"}, {"B", "2"}}));
}

TEST(ParamTable, finds_exact_names_only)
{
    ParamTable table;
    table.set("SCRIPT_NAME", "x");
    table.set("", "nameless");
    table.set("EMPTY", "");
    EXPECT_EQ(*table.get("SCRIPT_NAME"), "x");
    EXPECT_EQ(*table.get(""), "nameless");
    ASSERT_NE(table.get("EMPTY"), nullptr);
    EXPECT_EQ(*table.get("EMPTY"), "");
    EXPECT_STREQ(table.value_z("EMPTY"), "");
    for (const char* name : {"SCRIPT_NAM", "SCRIPT_NAME ", "script_name", "SCRIPT_NAMF", "E"}) {
        EXPECT_FALSE(table.contains(name)) << name;
        EXPECT_EQ(table.value_z(name), nullptr);
    }
}

TEST(ParamTable, ends_names_and_values_with_nul)
{
    ParamTable table;
    const std::string with_nul("a\0b", 3);
    table.set("NAME_longer", "value");
    table.set(with_nul, with_nul);
    table.for_each([&](std::string_view name, std::string_view value) {
        EXPECT_EQ(name.data()[name.size()], '\0');
        EXPECT_EQ(value.data()[value.size()], '\0');
    });
    EXPECT_EQ(table.get(with_nul)->size(), 3U);
    EXPECT_STREQ(table.value_z(with_nul), "a");
}

TEST(ParamTable, keeps_views_until_clear)
{
    ParamTable table;
    const std::string_view first = table.set("A", "first");
    const char* first_z = table.value_z("A");
    for (int i = 0; i < 1000; ++i) {
        table.set("N" + std::to_string(i), std::string(100, 'x'));
    }
    table.set("A", "second");
    table.erase("A");
    EXPECT_EQ(first, "first");
    EXPECT_STREQ(first_z, "first");
}

TEST(ParamTable, takes_views_into_itself)
{
    ParamTable table;
    std::string_view value = table.set("A", std::string(3000, 'v'));
    for (int i = 0; i < 10; ++i) {
        value = table.set("A", value.substr(1));
    }
    table.set("B", *table.get("A"));
    EXPECT_EQ(*table.get("B"), std::string(2990, 'v'));
}

TEST(ParamTable, one_reserve_is_enough_for_a_block)
{
    ParamTable table;
    constexpr std::size_t kPairs = 5000;
    table.reserve(kPairs * 6);  // two bytes of lengths, four of names
    for (std::size_t i = 0; i < kPairs; ++i) {
        const std::string number = std::to_string(1000 + i);
        const std::string_view value = table.set(number, "");
        EXPECT_EQ(value.data(), table.get("1000")->data() + i * 6);
    }
}

TEST(ParamTable, keeps_ordinary_memory_over_clear)
{
    ParamTable table;
    const char* before = table.set("A", "1").data();
    table.clear();
    EXPECT_EQ(visited(table), Pairs{});
    EXPECT_EQ(table.get("A"), nullptr);
    EXPECT_EQ(table.set("A", "2").data(), before);

    table.set("BIG", std::string(1 << 20, 'x'));
    for (int i = 0; i < 3000; ++i) {
        table.set(std::to_string(i), "y");
    }
    table.clear();
    table.set("A", "3");
    EXPECT_EQ(visited(table), (Pairs{{"A", "3"}}));
}

TEST(ParamTable, moves)
{
    ParamTable table;
    table.set("A", "1");
    ParamTable other(std::move(table));
    EXPECT_EQ(visited(other), (Pairs{{"A", "1"}}));
    ParamTable third;
    third = std::move(other);
    EXPECT_EQ(*third.get("A"), "1");
}

// Against the obvious implementation, around the size where the index starts.
TEST(ParamTable, agrees_with_a_map)
{
    std::mt19937 random(4711);
    for (const unsigned names : {3U, 60U, 70U, 300U, 5000U}) {
        ParamTable table;
        std::map<std::string, std::string> expected;
        for (int i = 0; i < 20000; ++i) {
            const std::string name = "NAME_" + std::to_string(random() % names);
            const unsigned action = random() % 10;
            if (action < 6) {
                const std::string value = std::to_string(random());
                table.set(name, value);
                expected[name] = value;
            } else if (action == 6) {
                table.erase(name);
                expected.erase(name);
            } else {
                const std::string_view* value = table.get(name);
                const auto found = expected.find(name);
                ASSERT_EQ(value != nullptr, found != expected.end());
                if (value != nullptr) {
                    ASSERT_EQ(*value, found->second);
                }
            }
        }
        ASSERT_EQ(table.size(), expected.size());
        const Pairs all = visited(table);
        EXPECT_EQ((std::map<std::string, std::string>(all.begin(), all.end())), expected);
    }
}

// A quadratic table would take minutes.
TEST(ParamTable, bears_a_hostile_number_of_names)
{
    ParamTable table;
    for (int i = 0; i < 300000; ++i) {
        table.set(std::to_string(i), "");
    }
    EXPECT_EQ(table.size(), 300000U);
    EXPECT_TRUE(table.contains("299999"));
}

}  // namespace
}  // namespace ftm::request
