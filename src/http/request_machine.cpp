#include "http/request_machine.hpp"

#include <algorithm>
#include <cstring>

namespace ftm::http {
namespace {

constexpr std::size_t kKept = 4096;  // capacity that an idle connection keeps

}  // namespace

struct RequestMachine::Saved {
    std::uint8_t version = 1;
    Phase phase = Phase::head;
    std::uint8_t skipped_blank = 0;
    std::uint8_t reserved = 0;
    ChunkedBody::State chunks;
    std::uint64_t left = 0;
    std::uint64_t received = 0;
};

Step RequestMachine::step(std::string_view input)
{
    if (stale_head_) {
        partial_.clear();
        if (partial_.capacity() > kKept) {
            partial_ = std::string();
        }
        stale_head_ = false;
    }
    switch (phase_) {
        case Phase::head:
            return head_step(input);
        case Phase::fixed:
            return fixed_step(input);
        case Phase::chunked:
            return chunked_step(input);
        case Phase::whole:
            return {.kind = input.empty() ? StepKind::need_more : StepKind::blocked};
        case Phase::failed:
            break;
    }
    return {.consumed = input.size()};
}

Step RequestMachine::error(int status, std::size_t consumed) noexcept
{
    phase_ = Phase::failed;
    partial_.clear();
    return {.kind = StepKind::error, .status = status, .consumed = consumed};
}

Step RequestMachine::head_step(std::string_view input)
{
    if (input.empty()) {
        return {};
    }
    // A head that comes whole, as nearly all do, is not copied.
    std::size_t before = partial_.size();
    std::size_t skipped = 0;
    if (before != 0) {
        const std::size_t room = limits_.max_head + 4 - std::min(before, limits_.max_head + 4);
        partial_.append(input.substr(0, std::max<std::size_t>(room, 1)));
    }
    std::string_view bytes = before != 0 ? std::string_view(partial_) : input;
    HeadScan::Result result = scan_.scan(bytes, limits_);
    if (result == HeadScan::Result::blank && !skipped_blank_) { // RFC 9112, 2.2
        skipped_blank_ = true;
        skipped = scan_.size();
        scan_.reset();
        bytes.remove_prefix(skipped);
        result = scan_.scan(bytes, limits_);
    }
    switch (result) {
        case HeadScan::Result::complete:
            return head_complete(bytes.substr(0, scan_.size()), skipped + scan_.size() - before);
        case HeadScan::Result::need_more:
            break;
        case HeadScan::Result::blank:
            return error(400, input.size());
        case HeadScan::Result::refused:
            return error(scan_.status(), input.size());
    }
    if (before == 0) {
        partial_.assign(bytes);
    } else if (skipped != 0) {
        partial_.erase(0, skipped);
    }
    return {.consumed = input.size()};
}

Step RequestMachine::head_complete(std::string_view bytes, std::size_t consumed)
{
    scan_.reset();
    skipped_blank_ = false;
    stale_head_ = !partial_.empty();
    if (const int status = parse_head(bytes, limits_, head_); status != 0) {
        return error(status, consumed);
    }
    if (head_.chunked) {
        phase_ = Phase::chunked;
        chunks_ = ChunkedBody();
        received_ = 0;
    } else {
        phase_ = Phase::fixed;
        left_ = head_.content_length.value_or(0);
    }
    return {.kind = StepKind::head, .consumed = consumed};
}

Step RequestMachine::fixed_step(std::string_view input) noexcept
{
    if (left_ == 0) {
        phase_ = Phase::whole;
        return {.kind = StepKind::end};
    }
    if (input.empty()) {
        return {};
    }
    const std::string_view data = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
    left_ -= data.size();
    return {.kind = StepKind::data, .data = data, .consumed = data.size()};
}

Step RequestMachine::chunked_step(std::string_view input) noexcept
{
    std::string_view rest = input;
    Step step;
    const ChunkedBody::Event event = chunks_.step(rest, step.data);
    step.consumed = input.size() - rest.size();
    switch (event) {
        case ChunkedBody::Event::need_more:
            break;
        case ChunkedBody::Event::data:
            received_ += step.data.size();
            if (received_ > limits_.max_body) {
                return error(413, input.size());
            }
            step.kind = StepKind::data;
            break;
        case ChunkedBody::Event::end:
            phase_ = Phase::whole;
            step.kind = StepKind::end;
            break;
        case ChunkedBody::Event::error:
            return error(400, input.size());
    }
    return step;
}

void RequestMachine::request_ended() noexcept
{
    if (phase_ != Phase::failed) {
        phase_ = Phase::head;
    }
}

std::string RequestMachine::save() const
{
    Saved saved{};
    saved.phase = phase_;
    saved.skipped_blank = skipped_blank_ ? 1 : 0;
    saved.chunks = chunks_.state();
    saved.left = left_;
    saved.received = received_;
    std::string out(reinterpret_cast<const char*>(&saved), sizeof saved);
    return phase_ == Phase::head && !stale_head_ ? out + partial_ : out;
}

bool RequestMachine::restore(std::string_view bytes)
{
    Saved saved;
    reset();
    if (bytes.size() < sizeof saved) {
        return false;
    }
    std::memcpy(&saved, bytes.data(), sizeof saved);
    bytes.remove_prefix(sizeof saved);
    if (saved.version != Saved().version || saved.phase > Phase::failed || bytes.size() > limits_.max_head + 4 ||
        !chunks_.restore(saved.chunks)) {
        return false;
    }
    phase_ = saved.phase;
    skipped_blank_ = saved.skipped_blank != 0;
    left_ = saved.left;
    received_ = saved.received;
    partial_ = bytes;
    return true;
}

void RequestMachine::reset() noexcept
{
    phase_ = Phase::head;
    skipped_blank_ = false;
    stale_head_ = false;
    left_ = 0;
    received_ = 0;
    chunks_ = ChunkedBody();
    scan_.reset();
    partial_.clear();
    if (partial_.capacity() > kKept) {
        partial_ = std::string();
    }
    head_.clear();
}

}  // namespace ftm::http
