// Name-value blocks under hostile bytes: decoding never reads outside the block, and what it yields encodes to a
// block that decodes to the same pairs; a parameter table filled from it agrees with a map.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "fcgi/params.hpp"
#include "request/param_table.hpp"

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

void require(bool condition, const char* what)
{
    if (!condition) {
        std::cerr << what << "\n";
        std::abort();
    }
}

bool decode(std::string_view block, Pairs& pairs)
{
    return ftm::fcgi::decode_params(block, [&](std::string_view name, std::string_view value) {
        const char* end = block.data() + block.size();
        require(name.data() >= block.data() && name.data() + name.size() <= end, "name outside the block");
        require(value.data() >= block.data() && value.data() + value.size() <= end, "value outside the block");
        pairs.emplace_back(name, value);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view block(reinterpret_cast<const char*>(data), size);
    Pairs pairs;
    const bool whole = decode(block, pairs);

    std::string encoded;
    std::map<std::string, std::string> expected;
    ftm::request::ParamTable table;
    table.reserve(block.size());
    for (const auto& [name, value] : pairs) {
        ftm::fcgi::append_pair(encoded, name, value);
        table.set(name, value);
        expected[name] = value;
    }
    require(!whole || encoded.size() <= block.size(), "encoding is not the shortest");
    Pairs again;
    require(decode(encoded, again) && again == pairs, "does not decode to what was encoded");

    Pairs visited;
    table.for_each([&](std::string_view name, std::string_view value) { visited.emplace_back(name, value); });
    require(table.size() == expected.size() && visited.size() == expected.size(), "wrong number of entries");
    for (const auto& [name, value] : expected) {
        require(table.get(name) != nullptr && *table.get(name) == value, "wrong value");
    }
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
        table.erase(pairs[i].first);
        expected.erase(pairs[i].first);
    }
    require(table.size() == expected.size(), "wrong number of entries after erasing");
    table.clear();
    require(table.empty(), "not empty after clear");
    return 0;
}
