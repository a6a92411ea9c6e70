// HTTP connections under hostile bytes: whole or in pieces, straight through or handed over to another process on the way,
// a RequestMachine reports the same requests; its views lie in its input; and what its reports say is encoded again as a
// plain request is read the same, so that nothing is hidden in it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "http/proxy_header.hpp"
#include "http/request_machine.hpp"
#include "http/response.hpp"
#include "http/target.hpp"

namespace {

using ftm::http::RequestMachine;
using ftm::http::Step;
using ftm::http::StepKind;

void require(bool condition, const char* what)
{
    if (!condition) {
        std::cerr << what << "\n";
        std::abort();
    }
}

struct Request {
    std::string head;
    std::string body;
    bool whole = false;
    bool operator==(const Request&) const = default;
};

struct Seen {
    std::vector<Request> requests;
    int error = 0;
    bool operator==(const Seen&) const = default;
};

void note_head(const RequestMachine& machine, Seen& seen)
{
    const ftm::http::Head& head = machine.head();
    std::string text = std::string(head.method) + " " + std::string(head.target) + (head.http10 ? " 1.0" : " 1.1");
    for (const ftm::http::Field& field : head.fields) {
        require(!field.name.empty() && field.value.find_first_of("\r\n") == std::string_view::npos, "a field that is none");
        text.append("\n").append(field.name).append(": ").append(field.value);
    }
    require(!(head.chunked && head.content_length), "two lengths");
    require(head.target.starts_with('/'), "a target that is no path");
    ftm::http::Target target;
    if (ftm::http::parse_target(head.target, target)) {
        require(target.path.starts_with('/') && (target.path + "/").find("/../") == std::string::npos &&
                    target.path.find('\0') == std::string::npos, "a path that leads elsewhere");
    }
    seen.requests.push_back({std::move(text), "", false});
}

Seen feed(std::string_view input, std::size_t piece, std::size_t hand_over_every)
{
    Seen seen;
    RequestMachine machines[2];
    int which = 0;
    const ftm::http::Limits limits{.max_line = 300, .max_head = 2000, .max_fields = 20, .max_body = 5000};
    for (RequestMachine& machine : machines) {
        machine.set_limits(limits);
    }
    std::size_t pieces = 0;
    for (std::size_t at = 0; at < input.size(); at += piece) {
        if (hand_over_every != 0 && ++pieces % hand_over_every == 0) {
            require(machines[1 - which].restore(machines[which].save()), "what was saved is not restored");
            which = 1 - which;
        }
        RequestMachine& machine = machines[which];
        std::string_view rest = input.substr(at, piece);
        for (bool more = true; more;) {
            const Step step = machine.step(rest);
            require(step.consumed <= rest.size(), "consumed more than there was");
            if (!step.data.empty()) {
                require(step.data.data() >= rest.data() && step.data.data() + step.data.size() <= rest.data() + rest.size(), "a view elsewhere");
            }
            rest.remove_prefix(step.consumed);
            switch (step.kind) {
                case StepKind::need_more:
                    require(rest.empty(), "stopped before the end");
                    more = false;
                    break;
                case StepKind::head:
                    note_head(machine, seen);
                    break;
                case StepKind::data:
                    require(!step.data.empty(), "empty data");
                    seen.requests.back().body += step.data;
                    require(seen.requests.back().body.size() <= limits.max_body, "a body beyond the limit");
                    break;
                case StepKind::end:
                    seen.requests.back().whole = true;
                    require(machine.open() && !machine.idle(), "whole, but not open");
                    machine.request_ended();
                    require(machine.idle(), "not idle between two requests");
                    break;
                case StepKind::blocked:
                    require(false, "blocked without a request");
                    break;
                case StepKind::error:
                    require(step.status >= 400 && step.status <= 599, "a status that is no error");
                    require(seen.error == 0, "an error twice");
                    seen.error = step.status;
                    break;
            }
        }
    }
    return seen;
}

// A body that was too large in one piece may have been reported in part.
void normalize(Seen& seen)
{
    if (seen.error != 0 && !seen.requests.empty() && !seen.requests.back().whole) {
        seen.requests.back().body.clear();
    }
}

void answer(std::string_view cgi)
{
    for (const unsigned asked : {1u, 3u, 5u, 9u, 13u}) {
        const std::string out = ftm::http::whole_answer(static_cast<ftm::http::Asked>(asked), cgi, "D", false);
        const std::size_t end = out.find("\r\n\r\n");
        require(out.starts_with("HTTP/1.1 ") && end != std::string::npos, "no answer");
        const std::string_view head = std::string_view(out).substr(0, end);
        for (std::size_t at = 0; (at = head.find_first_of("\r\n", at)) != std::string_view::npos; at += 2) {
            require(head.substr(at, 2) == "\r\n", "a bare line end in an answer");
        }
        require(head.find('\0') == std::string_view::npos, "a NUL in an answer");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) {
        return 0;
    }
    const unsigned plan = data[0];
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    Seen whole = feed(input, input.size() + 1, 0);
    Seen pieces = feed(input, 1 + plan % 13, 1 + plan / 13 % 5);
    normalize(whole);
    normalize(pieces);
    require(whole == pieces, "in pieces something else is seen");
    static_cast<void>(ftm::http::parse_proxy_header(input));
    answer(input);
    return 0;
}
