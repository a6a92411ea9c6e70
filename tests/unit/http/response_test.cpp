// From what a script prints to what an HTTP client gets.
#include "http/response.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ftm::http {
namespace {

constexpr Asked kKept = kHttp | kKeepAlive;

std::string head_of(Asked asked, std::string_view cgi, std::optional<std::uint64_t> whole = std::nullopt, bool close = false)
{
    Response response;
    response.begin(asked);
    std::string_view data = cgi;
    EXPECT_TRUE(response.take_head(data));
    std::string out;
    response.write_head(out, whole, "NOW", close);
    return out;
}

TEST(Response, knows_the_length_or_sends_chunks)
{
    EXPECT_EQ(head_of(kKept, "Content-Type: a/b\r\n\r\n", 5),
              "HTTP/1.1 200 OK\r\nDate: NOW\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(head_of(kKept, "Status: 404 Not Found\r\n\r\n"),
              "HTTP/1.1 404 Not Found\r\nDate: NOW\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(head_of(kHttp, "X: y\r\n\r\n"), "HTTP/1.1 200 OK\r\nDate: NOW\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head_of(kKept, "X: y\r\n\r\n", 1, true),
              "HTTP/1.1 200 OK\r\nDate: NOW\r\nX: y\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
}

TEST(Response, an_old_client_gets_no_chunks)
{
    EXPECT_EQ(head_of(kKept | kHttp10, "\r\n"), "HTTP/1.1 200 OK\r\nDate: NOW\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head_of(kKept | kHttp10, "\r\n", 3), "HTTP/1.1 200 OK\r\nDate: NOW\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n");
}

TEST(Response, bodies_where_there_are_none)
{
    EXPECT_EQ(whole_answer(kKept, "Status: 204 No Content\r\nContent-Length: 3\r\n\r\nabc", "NOW", false),
              "HTTP/1.1 204 No Content\r\nDate: NOW\r\n\r\n");
    EXPECT_EQ(whole_answer(kKept, "Status: 304 Not Modified\r\n\r\nabc", "NOW", false), "HTTP/1.1 304 Not Modified\r\nDate: NOW\r\n\r\n");
    EXPECT_EQ(whole_answer(kKept | kHead, "Content-Length: 3\r\n\r\nabc", "NOW", false), "HTTP/1.1 200 OK\r\nDate: NOW\r\nContent-Length: 3\r\n\r\n");
}

TEST(Response, what_speaks_about_the_connection_is_dropped)
{
    EXPECT_EQ(head_of(kKept, "Connection: keep-alive, X\r\nKeep-Alive: 3\r\nTransfer-Encoding: chunked\r\nTE: x\r\nTrailer: x\r\n"
                             "Upgrade: x\r\nProxy-Connection: x\r\nA: b\r\n\r\n", 0),
              "HTTP/1.1 200 OK\r\nDate: NOW\r\nA: b\r\nContent-Length: 0\r\n\r\n");
    EXPECT_NE(head_of(kKept, "Connection: close\r\n\r\n", 0).find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_EQ(head_of(kKept, "Date: mine\r\n\r\n", 0), "HTTP/1.1 200 OK\r\nDate: mine\r\nContent-Length: 0\r\n\r\n");
}

TEST(Response, nothing_can_be_injected)
{
    EXPECT_EQ(head_of(kKept, std::string("A b: c\r\nno colon\r\n: x\r\nN: a") + '\0' + "b\r\nR: a\rb\r\nOK: 1\r\n\r\n", 0),
              "HTTP/1.1 200 OK\r\nDate: NOW\r\nOK: 1\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(head_of(kKept, "Status: 103 Early Hints\r\n\r\n", 0).substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_EQ(head_of(kKept, "Content-Length: 5x\r\n\r\n", 3), "HTTP/1.1 200 OK\r\nDate: NOW\r\nContent-Length: 3\r\n\r\n");
}

TEST(Response, a_head_in_pieces)
{
    const std::string cgi = "Status: 201 Made\r\nA: b\r\n\r\nbody";
    for (std::size_t cut = 1; cut < cgi.size(); ++cut) {
        Response response;
        response.begin(kKept);
        std::string_view first = std::string_view(cgi).substr(0, cut);
        std::string_view second = std::string_view(cgi).substr(cut);
        std::string body;
        if (response.take_head(first)) {
            body += first;
        }
        ASSERT_TRUE(response.take_head(second)) << cut;
        body += second;
        EXPECT_EQ(body, "body") << cut;
        EXPECT_EQ(response.status(), 201) << cut;
    }
}

TEST(Response, no_more_and_no_less_than_announced)
{
    Response response;
    response.begin(kKept);
    std::string_view data = "Content-Length: 5\r\n\r\n";
    response.take_head(data);
    std::string out;
    response.write_head(out, std::nullopt, "NOW", false);
    EXPECT_EQ(response.framing(), Response::Framing::length);
    EXPECT_EQ(response.admit(3), 3u);
    EXPECT_FALSE(response.keeps_connection());
    EXPECT_EQ(response.admit(3), 2u);
    EXPECT_TRUE(response.keeps_connection());
    EXPECT_EQ(response.admit(3), 0u);
}

TEST(Response, chunks_interim_answers_and_dates)
{
    std::string out;
    append_chunk_size(out, 0x1a2);
    EXPECT_EQ(out, "1a2\r\n");
    EXPECT_EQ(interim_answer("Status: 103 Early Hints\r\nlink: </a>\r\n\r\n"), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    EXPECT_EQ(interim_answer("Status: 104\r\n\r\n"), "HTTP/1.1 104 \r\n\r\n");
    EXPECT_EQ(interim_answer("X: y\r\n\r\n"), "");
    EXPECT_EQ(date_text(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(error_answer(kHttp, 503, "NOW"), "HTTP/1.1 503 Service Unavailable\r\nDate: NOW\r\nContent-Type: text/plain\r\n"
                                               "Retry-After: 1\r\nContent-Length: 20\r\nConnection: close\r\n\r\nService Unavailable\n");
}

}  // namespace
}  // namespace ftm::http
