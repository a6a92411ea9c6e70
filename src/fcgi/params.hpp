// Name-value pairs of FCGI_PARAMS and FCGI_GET_VALUES (FastCGI Specification 3.4): each length is one byte below
// 128, otherwise four bytes, big-endian, with the top bit set; then the name, then the value.
// Pure functions on borrowed bytes: names and values are views into the block. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ftm::fcgi {

enum class PairStatus : std::uint8_t {
    pair,       // name and value are set, rest has moved behind them
    end,        // rest is empty
    malformed,  // a length or its bytes are cut off; rest, name and value are unchanged
};

// Takes the next pair off the front of rest.
[[nodiscard]] PairStatus next_pair(std::string_view& rest, std::string_view& name, std::string_view& value) noexcept;

// Calls sink(name, value) for each pair in order of arrival. False: malformed; the pairs before it were delivered.
template <class Sink>
[[nodiscard]] bool decode_params(std::string_view block, Sink&& sink)
{
    std::string_view name;
    std::string_view value;
    for (;;) {
        switch (next_pair(block, name, value)) {
            case PairStatus::pair:
                sink(name, value);
                break;
            case PairStatus::end:
                return true;
            case PairStatus::malformed:
                return false;
        }
    }
}

// Appends one encoded pair. Each of the two may have up to 2^31 - 1 bytes.
void append_pair(std::string& out, std::string_view name, std::string_view value);

}  // namespace ftm::fcgi
