#include "http/chunked_body.hpp"

#include <algorithm>

#include "http/text.hpp"

namespace ftm::http {
namespace {

using Phase = ChunkedBody::State::Phase;

constexpr std::uint8_t kMaxDigits = 15;                // 60 bits
constexpr std::uint32_t kMaxOverhead = 16u << 10;  // bytes of extensions and trailers

}  // namespace

bool ChunkedBody::take(char c) noexcept
{
    State& s = state_;
    switch (s.phase) {
        case Phase::size:
            if (const int digit = hex_digit(c); digit >= 0) {
                s.left = s.left << 4 | static_cast<unsigned>(digit);
                return ++s.digits <= kMaxDigits;
            }
            if (s.digits == 0) {
                return false;
            }
            if (c == '\r') {
                s.phase = Phase::size_lf;
                return true;
            }
            s.phase = Phase::extension;
            return c == ';';
        case Phase::extension:
            if (c == '\r') {
                s.phase = Phase::size_lf;
                return true;
            }
            return ++s.overhead <= kMaxOverhead && (!is_control(c) || c == '\t');
        case Phase::size_lf:
            s.phase = s.left != 0 ? Phase::content : Phase::trailer;
            s.digits = 0;
            s.line = 0;
            return c == '\n';
        case Phase::content_cr:
            s.phase = Phase::content_lf;
            return c == '\r';
        case Phase::content_lf:
            s.phase = Phase::size;
            return c == '\n';
        case Phase::trailer:
            if (c == '\r') {
                s.phase = Phase::trailer_lf;
                return true;
            }
            s.line = 1;
            return ++s.overhead <= kMaxOverhead && (!is_control(c) || c == '\t');
        case Phase::trailer_lf:
            s.phase = s.line == 0 ? Phase::done : Phase::trailer;
            s.line = 0;
            return c == '\n';
        case Phase::content:
        case Phase::done:
        case Phase::failed:
            break;
    }
    return false;
}

ChunkedBody::Event ChunkedBody::step(std::string_view& input, std::string_view& data) noexcept
{
    for (;;) {
        if (state_.phase == Phase::done) {
            return Event::end;
        }
        if (state_.phase == Phase::failed) {
            return Event::error;
        }
        if (input.empty()) {
            return Event::need_more;
        }
        if (state_.phase == Phase::content) {
            data = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(state_.left, input.size())));
            input.remove_prefix(data.size());
            state_.left -= data.size();
            if (state_.left == 0) {
                state_.phase = Phase::content_cr;
            }
            return Event::data;
        }
        const char c = input.front();
        input.remove_prefix(1);
        if (!take(c)) {
            state_ = {.phase = Phase::failed}; // the counts may be beyond what restore() believes
        }
    }
}

bool ChunkedBody::restore(const State& state) noexcept
{
    const bool sound = state.phase <= Phase::failed && state.digits <= kMaxDigits &&
                       state.overhead <= kMaxOverhead && (state.phase != Phase::content || state.left != 0);
    if (sound) {
        state_ = state;
    }
    return sound;
}

}  // namespace ftm::http
