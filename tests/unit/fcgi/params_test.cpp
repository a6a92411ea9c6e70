#include "fcgi/params.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ftm::fcgi {
namespace {

using namespace std::string_literals;
using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Decoded {
    bool ok;
    Pairs pairs;
};

Decoded decode(std::string_view block)
{
    Decoded out;
    out.ok = decode_params(block,
                           [&](std::string_view name, std::string_view value) { out.pairs.emplace_back(name, value); });
    return out;
}

TEST(Params, decodes_both_forms_of_lengths)
{
    const std::string long_value(128, 'v');
    const struct {
        std::string block;
        Pairs pairs;
    } rows[] = {
        {"", {}},
        {"\0\0"s, {{"", ""}}},
        {"\1\0A"s, {{"A", ""}}},
        {"\0\1v"s, {{"", "v"}}},
        {"\1\2Avw"s, {{"A", "vw"}}},
        {"\1\1Av\1\1Bw"s, {{"A", "v"}, {"B", "w"}}},
        {"\x80\0\0\1\x80\0\0\1Av"s, {{"A", "v"}}},
        {"\1\x80\0\0\x80"s + "A" + long_value, {{"A", long_value}}},
        {"\1\x80\0\0\0A"s, {{"A", ""}}},
        {"\0\x80\0\0\0"s, {{"", ""}}},  // php-fpm calls this one malformed
    };
    for (const auto& row : rows) {
        const Decoded decoded = decode(row.block);
        EXPECT_TRUE(decoded.ok);
        EXPECT_EQ(decoded.pairs, row.pairs);
    }
}

TEST(Params, finds_cut_off_blocks)
{
    const std::string rows[] = {"\1"s,
                                "\x80"s,
                                "\x80\0\0"s,
                                "\x80\0\0\1"s,
                                "\1\x80"s,
                                "\1\x80\0\0"s,
                                "\1\1"s,
                                "\1\1A"s,
                                "\0\1"s,
                                "\1\0"s,
                                "\x7f\x7f"s,
                                "\xff\xff\xff\xff\xff\xff\xff\xff"s,
                                "\xff\xff\xff\xff\0"s};
    for (const std::string& row : rows) {
        EXPECT_FALSE(decode(row).ok);
        std::string_view rest = row;
        std::string_view name = "n";
        std::string_view value = "v";
        EXPECT_EQ(next_pair(rest, name, value), PairStatus::malformed);
        EXPECT_EQ(rest, row);
        EXPECT_EQ(name, "n");
        EXPECT_EQ(value, "v");
        const Decoded after_a_good_one = decode("\1\1Av" + row);
        EXPECT_FALSE(after_a_good_one.ok);
        EXPECT_EQ(after_a_good_one.pairs, (Pairs{{"A", "v"}}));
    }
}

TEST(Params, every_prefix_is_whole_pairs_or_malformed)
{
    std::string block;
    std::vector<std::size_t> ends = {0};
    for (const std::size_t size : {0, 1, 127, 128, 300}) {
        append_pair(block, std::string(size, 'n'), std::string(size / 2, 'v'));
        ends.push_back(block.size());
    }
    for (std::size_t size = 0; size <= block.size(); ++size) {
        const bool whole = std::find(ends.begin(), ends.end(), size) != ends.end();
        EXPECT_EQ(decode(std::string_view(block).substr(0, size)).ok, whole) << size;
    }
}

TEST(Params, encodes_what_it_decodes)
{
    for (const std::size_t name_size : {0U, 1U, 127U, 128U, 65536U}) {
        for (const std::size_t value_size : {0U, 127U, 128U, 70000U, 17000000U}) {
            const std::string name(name_size, 'n');
            const std::string value(value_size, 'v');
            std::string block;
            append_pair(block, name, value);
            EXPECT_EQ(block.size(), name_size + value_size + (name_size < 128 ? 1 : 4) + (value_size < 128 ? 1 : 4));
            const Decoded decoded = decode(block);
            ASSERT_TRUE(decoded.ok);
            EXPECT_TRUE(decoded.pairs == (Pairs{{name, value}}));
        }
    }
}

}  // namespace
}  // namespace ftm::fcgi
