// What a web server sends, and what the machine makes of it, as text to compare. Also used by the fuzzers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fcgi/connection_machine.hpp"
#include "fcgi/params.hpp"
#include "fcgi/writer.hpp"

namespace ftm::fcgi::testing {

inline std::string record(std::uint8_t type, std::uint16_t id, std::string_view content, std::uint8_t padding = 0)
{
    std::string out(kHeaderBytes, '\0');
    write_header(out.data(), static_cast<RecordType>(type), id, static_cast<std::uint16_t>(content.size()), padding);
    out.append(content);
    out.append(padding, 'P');
    return out;
}

inline std::string record(RecordType type, std::uint16_t id, std::string_view content, std::uint8_t padding = 0)
{
    return record(static_cast<std::uint8_t>(type), id, content, padding);
}

inline std::string begin(std::uint16_t id, bool keep_conn = false, std::uint16_t role = 1, std::uint8_t padding = 0)
{
    const std::string body = {static_cast<char>(role >> 8),
                              static_cast<char>(role & 0xff),
                              static_cast<char>(keep_conn ? 1 : 0),
                              0,
                              0,
                              0,
                              0,
                              0};
    return record(RecordType::begin_request, id, body, padding);
}

inline std::string params(std::uint16_t id, std::string_view content, std::uint8_t padding = 0)
{
    return record(RecordType::params, id, content, padding);
}

inline std::string std_in(std::uint16_t id, std::string_view content, std::uint8_t padding = 0)
{
    return record(RecordType::std_in, id, content, padding);
}

inline std::string pair(std::string_view name, std::string_view value)
{
    std::string out;
    append_pair(out, name, value);
    return out;
}

// A whole request without a body.
inline std::string get_request(std::uint16_t id, std::string_view block, bool keep_conn = true)
{
    return begin(id, keep_conn) + params(id, block) + params(id, "") + std_in(id, "");
}

inline std::string hex(std::string_view bytes)
{
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return out;
}

inline std::string to_text(const Step& step, const ConnectionMachine& machine)
{
    const std::string id = std::to_string(step.request_id);
    switch (step.kind) {
        case StepKind::need_more:
            return "need_more";
        case StepKind::request_begin:
            return "begin " + id + " role " + std::to_string(static_cast<int>(step.role)) +
                   (step.keep_conn ? " keep" : "");
        case StepKind::params_end:
            return "params " + id + " " + std::string(machine.params(step.request_id));
        case StepKind::stdin_data:
            return "data " + id + " " + std::string(step.data);
        case StepKind::stdin_end:
            return "whole " + id;
        case StepKind::abort:
            return "abort " + id;
        case StepKind::reply:
            return "reply " + hex(step.data) + (step.close_after ? " close" : "");
        case StepKind::blocked:
            return "blocked " + id;
        case StepKind::error:
            return "error " + std::string(to_string(step.error));
    }
    return "?";
}

// Drives a machine and collects its events; pieces of one body are joined. A request ends when the next one is
// blocked by it (end_when_blocked), the oldest open one first, or as soon as it is whole, as a pattern says of each.
class Conversation {
public:
    explicit Conversation(ConnectionMachine& machine) : machine_(&machine) {}

    void use(ConnectionMachine& machine) { machine_ = &machine; }
    void end_when_blocked() { end_when_blocked_ = true; }
    // Bit n: the request that is the n-th (of eight) to become whole ends at once.
    void end_when_whole(std::uint8_t pattern) { ends_ = pattern; }

    // Feeds all of input in pieces of at most `piece` bytes; stops at an error, or where it is blocked.
    void feed(std::string_view input, std::size_t piece = static_cast<std::size_t>(-1))
    {
        while (!stopped_) {
            const std::string_view now = input.substr(0, piece);
            drain(now);
            input.remove_prefix(now.size());
            if (input.empty()) {
                return;
            }
        }
    }

    [[nodiscard]] const std::vector<std::string>& events() const { return events_; }
    [[nodiscard]] bool stopped() const { return stopped_; }
    [[nodiscard]] std::size_t unread() const { return unread_; }

private:
    void drain(std::string_view input)
    {
        for (;;) {
            const Step step = machine_->step(input);
            input.remove_prefix(step.consumed);
            if (step.kind == StepKind::need_more) {
                unread_ = input.size();
                return;
            }
            add(step);
            if (step.kind == StepKind::stdin_end && (ends_ >> (wholes_++ % 8) & 1) != 0) {
                machine_->request_ended(step.request_id);
                std::erase(open_, step.request_id);
            }
            if (step.kind == StepKind::blocked && end_when_blocked_) {
                machine_->request_ended(open_.front());
                open_.erase(open_.begin());
                continue;
            }
            if (step.kind == StepKind::error || step.kind == StepKind::blocked) {
                stopped_ = true;
                unread_ = input.size();
                return;
            }
        }
    }

    void add(const Step& step)
    {
        if (step.kind == StepKind::request_begin) {
            open_.push_back(step.request_id);
        }
        if (step.kind == StepKind::stdin_data && last_ == StepKind::stdin_data && last_id_ == step.request_id) {
            events_.back().append(step.data);
        } else {
            events_.push_back(to_text(step, *machine_));
        }
        last_ = step.kind;
        last_id_ = step.request_id;
    }

    ConnectionMachine* machine_;
    bool end_when_blocked_ = false;
    bool stopped_ = false;
    std::uint8_t ends_ = 0;
    unsigned wholes_ = 0;
    std::size_t unread_ = 0;
    StepKind last_ = StepKind::need_more;
    std::uint16_t last_id_ = 0;
    std::vector<std::uint16_t> open_;
    std::vector<std::string> events_;
};

}  // namespace ftm::fcgi::testing
