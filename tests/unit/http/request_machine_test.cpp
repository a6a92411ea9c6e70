// Requests as they come, in one piece and byte by byte, and those that must not be believed.
#include "http/request_machine.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace ftm::http {
namespace {

struct Seen {
    std::vector<std::string> events;  // "GET /a", "body:…", "end", "error 400"
    bool failed = false;
};

// Feeds pieces of `size` bytes; a request that is whole is answered at once.
Seen feed(RequestMachine& machine, std::string_view input, std::size_t size)
{
    Seen seen;
    std::string body;
    std::string rest;
    for (std::size_t at = 0; at < input.size() || !rest.empty(); at += size) {
        rest.append(input.substr(std::min(at, input.size()), size));
        std::string_view bytes = rest;
        for (bool more = true; more;) {
            const Step step = machine.step(bytes);
            bytes.remove_prefix(step.consumed);
            switch (step.kind) {
                case StepKind::need_more:
                    more = false;
                    break;
                case StepKind::head:
                    seen.events.push_back(std::string(machine.head().method) + " " + std::string(machine.head().target));
                    body.clear();
                    break;
                case StepKind::data:
                    EXPECT_FALSE(step.data.empty());
                    body += step.data;
                    break;
                case StepKind::end:
                    if (!body.empty()) {
                        seen.events.push_back("body:" + body);
                    }
                    seen.events.emplace_back("end");
                    machine.request_ended();
                    break;
                case StepKind::blocked:
                    ADD_FAILURE() << "blocked without an open request";
                    return seen;
                case StepKind::error:
                    seen.events.push_back("error " + std::to_string(step.status));
                    seen.failed = true;
                    return seen;
            }
        }
        EXPECT_TRUE(bytes.empty());
        rest.clear();
    }
    return seen;
}

Seen feed(std::string_view input, std::size_t size, const Limits& limits = {})
{
    RequestMachine machine;
    machine.set_limits(limits);
    return feed(machine, input, size);
}

std::vector<std::string> events(std::string_view input, const Limits& limits = {})
{
    const Seen whole = feed(input, input.size(), limits);
    for (const std::size_t size : {1u, 2u, 3u, 7u}) {
        EXPECT_EQ(feed(input, size, limits).events, whole.events) << "in pieces of " << size;
    }
    return whole.events;
}

using Events = std::vector<std::string>;

TEST(RequestMachine, reads_requests_one_after_the_other)
{
    EXPECT_EQ(events("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nhost: x:80\r\n\r\n"),
              (Events{"GET /a?b", "end", "HEAD /", "end"}));
    EXPECT_EQ(events("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
              (Events{"POST /", "body:hello", "end", "GET /", "end"}));
    EXPECT_EQ(events("\r\nGET / HTTP/1.0\r\n\r\n"), (Events{"GET /", "end"}));
}

TEST(RequestMachine, reads_chunks)
{
    EXPECT_EQ(events("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
                     "5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
              (Events{"POST /", "body:hello0123456789", "end", "GET /", "end"}));
    EXPECT_EQ(events("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), (Events{"PUT /", "end"}));
}

TEST(RequestMachine, holds_what_is_behind_a_whole_request)
{
    RequestMachine machine;
    const std::string_view next = "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string input = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(next);
    Step step = machine.step(input);
    ASSERT_EQ(step.kind, StepKind::head);
    EXPECT_EQ(machine.step(next).kind, StepKind::end);
    EXPECT_EQ(machine.step(next).kind, StepKind::blocked);
    EXPECT_EQ(machine.step("").kind, StepKind::need_more);
    EXPECT_TRUE(machine.open());
    machine.request_ended();
    EXPECT_TRUE(machine.idle());
    EXPECT_EQ(machine.step(next).kind, StepKind::head);
    EXPECT_EQ(machine.head().target, "/2");
}

TEST(RequestMachine, says_what_the_head_says)
{
    RequestMachine machine;
    ASSERT_EQ(machine.step("POST /x HTTP/1.1\r\nHost: a.example\r\nExpect: 100-Continue\r\nConnection: foo, CLOSE\r\n"
                           "Content-Length: 7\r\nX-A:  b c \r\n\r\n").kind, StepKind::head);
    const Head& head = machine.head();
    EXPECT_EQ(head.host, "a.example");
    EXPECT_TRUE(head.expects_continue);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(head.content_length, 7u);
    ASSERT_EQ(head.fields.size(), 5u);
    EXPECT_EQ(head.fields[4].value, "b c");

    RequestMachine old;
    ASSERT_EQ(old.step("GET / HTTP/1.0\r\n\r\n").kind, StepKind::head);
    EXPECT_TRUE(old.head().http10);
    EXPECT_FALSE(old.head().keep_alive);
    RequestMachine kept;
    ASSERT_EQ(kept.step("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").kind, StepKind::head);
    EXPECT_TRUE(kept.head().keep_alive);
}

TEST(RequestMachine, takes_the_absolute_form_only_for_its_own_host)
{
    EXPECT_EQ(events("GET http://x:1/a?b HTTP/1.1\r\nHost: X:1\r\n\r\n"), (Events{"GET /a?b", "end"}));
    EXPECT_EQ(events("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n"), (Events{"GET /", "end"}));
    EXPECT_EQ(events("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n"), (Events{"error 400"}));
    EXPECT_EQ(events("GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n"), (Events{"error 400"}));
}

struct Refused {
    const char* what;
    std::string bytes;
    int status;
};

void PrintTo(const Refused& refused, std::ostream* out)
{
    *out << refused.what;
}

class RefusedRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRequest, however_it_is_cut)
{
    const Events seen = events(GetParam().bytes);
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back(), "error " + std::to_string(GetParam().status));
    for (const std::string& event : seen) {
        EXPECT_EQ(event.find("/smuggled"), std::string::npos);
    }
}

std::string post(const std::string& fields, const std::string& body = "")
{
    return "POST / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
}
const std::string kNext = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    All, RefusedRequest,
    testing::Values(
        Refused{"length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + kNext), 400},
        Refused{"chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + kNext), 400},
        Refused{"two lengths", post("Content-Length: 0\r\nContent-Length: 36\r\n", kNext), 400},
        Refused{"two equal lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
        Refused{"a list of lengths", post("Content-Length: 5, 5\r\n", "hello"), 400},
        Refused{"a signed length", post("Content-Length: +5\r\n", "hello"), 400},
        Refused{"a negative length", post("Content-Length: -5\r\n", "hello"), 400},
        Refused{"a length in hex", post("Content-Length: 0x5\r\n", "hello"), 400},
        Refused{"an empty length", post("Content-Length:\r\n"), 400},
        Refused{"a length beyond 64 bits", post("Content-Length: 18446744073709551617\r\n", "h"), 400},
        Refused{"another coding", post("Transfer-Encoding: gzip\r\n", kNext), 501},
        Refused{"another coding in front", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
        Refused{"identity", post("Transfer-Encoding: identity\r\n", kNext), 501},
        Refused{"a coding that looks like it", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + kNext), 501},
        Refused{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Refused{"chunked with HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Refused{"a folded field", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", 400},
        Refused{"a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400},
        Refused{"a blank before the colon", post("Content-Length : 5\r\n", "hello"), 400},
        Refused{"a blank before the name", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        Refused{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nfoo\r\n\r\n", 400},
        Refused{"no name", "GET / HTTP/1.1\r\nHost: x\r\n: foo\r\n\r\n", 400},
        Refused{"a bare LF", "GET / HTTP/1.1\nHost: x\n\n", 400},
        Refused{"a bare LF in the middle", "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400},
        Refused{"a bare CR", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rContent-Length: 9\r\n\r\n", 400},
        Refused{"a NUL", std::string("GET / HTTP/1.1\r\nHost: x\r\nA: b") + '\0' + "c\r\n\r\n", 400},
        Refused{"a control character", "GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n", 400},
        Refused{"no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
        Refused{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        Refused{"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        Refused{"a host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
        Refused{"a bad chunk size", post("Transfer-Encoding: chunked\r\n", "zz\r\n"), 400},
        Refused{"an empty chunk size", post("Transfer-Encoding: chunked\r\n", "\r\n"), 400},
        Refused{"a chunk size in 0x", post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n"), 400},
        Refused{"a negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\n"), 400},
        Refused{"a chunk size of 17 digits", post("Transfer-Encoding: chunked\r\n", "00000000000000005\r\nhello\r\n"), 400},
        Refused{"a chunk size behind a bare LF", post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"), 400},
        Refused{"an extension with a bare LF", post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\n0\r\n\r\n"), 400},
        Refused{"a chunk that is longer", post("Transfer-Encoding: chunked\r\n", "2\r\nxxx\r\n0\r\n\r\n"), 400},
        Refused{"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 505}, Refused{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
        Refused{"no version", "GET /\r\nHost: x\r\n\r\n", 400},
        Refused{"two blanks", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"a lower-case method", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"no method", " / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        Refused{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405},
        Refused{"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"a relative target", "GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"a fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"another expectation", post("Expect: 200-ok\r\n"), 417},
        Refused{"two blank lines in front", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Refused{"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\n", 11), 400}));

TEST(RequestMachine, has_limits)
{
    const Limits limits{.max_line = 40, .max_head = 200, .max_fields = 3, .max_body = 10};
    EXPECT_EQ(events("GET /" + std::string(60, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", limits), (Events{"error 414"}));
    EXPECT_EQ(events("GET /" + std::string(60, 'a'), limits), (Events{"error 414"}));
    EXPECT_EQ(events("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(300, 'a'), limits), (Events{"error 431"}));
    EXPECT_EQ(events("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits), (Events{"error 431"}));
    EXPECT_EQ(events("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", limits), (Events{"error 413"}));
    EXPECT_EQ(feed("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n", 9, limits)
                  .events.back(), "error 413");
    EXPECT_EQ(events("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789", limits),
              (Events{"POST /", "body:0123456789", "end"}));
}

TEST(RequestMachine, goes_on_in_another_process_at_any_byte)
{
    const std::string input = "\r\nPOST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n"
                              "PUT /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
        RequestMachine first;
        RequestMachine second;
        std::string body;
        std::string targets;
        const auto run = [&](RequestMachine& machine, std::string_view bytes) {
            for (Step step = machine.step(bytes);; step = machine.step(bytes)) {
                bytes.remove_prefix(step.consumed);
                if (step.kind == StepKind::need_more) {
                    return;
                }
                ASSERT_NE(step.kind, StepKind::error) << cut;
                body += step.data;
                if (step.kind == StepKind::head) {
                    targets += machine.head().target;
                } else if (step.kind == StepKind::end) {
                    machine.request_ended();
                }
            }
        };
        run(first, std::string_view(input).substr(0, cut));
        ASSERT_TRUE(second.restore(first.save())) << cut;
        run(second, std::string_view(input).substr(cut));
        EXPECT_EQ(body, "hello!abc") << cut;
        EXPECT_EQ(targets, "//2") << cut;
        EXPECT_TRUE(second.idle()) << cut;
    }
    RequestMachine machine;
    EXPECT_FALSE(machine.restore(""));
    EXPECT_FALSE(machine.restore(std::string(40, '\xff')));
}

TEST(RequestMachine, is_restored_after_a_refusal)
{
    for (const char* body : {"00000000000000001\r\n", "zz\r\n", "1\r\nabc"}) {
        RequestMachine machine;
        std::string input = std::string("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") + body;
        std::string_view rest = input;
        while (!machine.failed()) {
            rest.remove_prefix(machine.step(rest).consumed);
        }
        RequestMachine second;
        EXPECT_TRUE(second.restore(machine.save())) << body;
        EXPECT_TRUE(second.failed()) << body;
    }
}

TEST(RequestMachine, reads_over_what_follows_a_refusal)
{
    RequestMachine machine;
    EXPECT_EQ(machine.step("nonsense\r\n\r\n").kind, StepKind::error);
    const Step step = machine.step(kNext);
    EXPECT_EQ(step.kind, StepKind::need_more);
    EXPECT_EQ(step.consumed, kNext.size());
    EXPECT_TRUE(machine.failed());
}

}  // namespace
}  // namespace ftm::http
