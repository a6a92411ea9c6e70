// A chunked body (RFC 9112, 7.1), taken apart as it comes. Not Boost.Beast's, because its state must fit in a few bytes
// that travel to another process. Line ends are CRLF and nothing else; extensions and trailers are read over.
// No I/O, no memory. Threads: one at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace ftm::http {

class ChunkedBody {
public:
    enum class Event : std::uint8_t { need_more, data, end, error };

    // Takes a prefix of input away. data: `data` is a view into it, never empty.
    [[nodiscard]] Event step(std::string_view& input, std::string_view& data) noexcept;

    // Of a trivially copyable value: what travels.
    struct State {
        enum class Phase : std::uint8_t { size, extension, size_lf, content, content_cr, content_lf, trailer, trailer_lf, done, failed };
        Phase phase = Phase::size;
        std::uint8_t digits = 0;        // of the size
        std::uint16_t line = 0;         // bytes of the extension or the trailer line
        std::uint32_t overhead = 0;     // bytes of extensions and trailers so far
        std::uint64_t left = 0;         // of the chunk
    };
    [[nodiscard]] const State& state() const noexcept { return state_; }
    // False: no state that step() could have left.
    [[nodiscard]] bool restore(const State& state) noexcept;

private:
    // False: an error.
    bool take(char c) noexcept;

    State state_;
};

}  // namespace ftm::http
