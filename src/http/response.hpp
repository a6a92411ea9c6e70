// An answer in CGI form, as PHP writes it, becomes an HTTP/1.1 answer (RFC 9110, RFC 9112): the status line, the headers
// that may pass, and how the client is told where the body ends. No I/O, no clock. Owner: whoever answers; one thread.
// What a script prints cannot begin another answer: lines that are no header field are dropped, and so are fields that
// speak about the connection, which is ours.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace ftm::http {

// What of the request the answer depends on, as bits.
using Asked = std::uint8_t;
inline constexpr Asked kHttp = 1;        // it came over HTTP at all
inline constexpr Asked kHead = 2;        // the method is HEAD
inline constexpr Asked kHttp10 = 4;      // the version is 1.0
inline constexpr Asked kKeepAlive = 8;   // the client wants to keep the connection

class Response {
public:
    enum class Framing : std::uint8_t { none, length, chunked, close };

    void begin(Asked asked) noexcept;

    // Takes what belongs to the CGI head off the front of data. True once the head is complete.
    bool take_head(std::string_view& data);
    [[nodiscard]] bool has_head() const noexcept { return has_head_; }

    // Appends the HTTP head. `whole`: the size of the body, if it is known already. `date`: for the Date header.
    // `close`: the connection is to end.
    void write_head(std::string& out, std::optional<std::uint64_t> whole, std::string_view date, bool close);

    // After write_head(). How many of the next n bytes of the body may be sent: none to a HEAD, no more than announced.
    [[nodiscard]] std::size_t admit(std::size_t n) noexcept;
    [[nodiscard]] Framing framing() const noexcept { return framing_; }
    // When nothing more comes: the connection can take another request.
    [[nodiscard]] bool keeps_connection() const noexcept { return keep_ && (framing_ != Framing::length || left_ == 0); }
    [[nodiscard]] int status() const noexcept { return status_; }

private:
    void read_line(std::string_view line);

    Asked asked_ = 0;
    bool has_head_ = false;
    bool has_date_ = false;
    bool keep_ = false;
    int status_ = 200;
    Framing framing_ = Framing::none;
    std::optional<std::uint64_t> length_;  // as the script says
    std::uint64_t left_ = 0;               // of an announced length
    std::string raw_;                      // a head in pieces
    std::string reason_;
    std::string fields_;                   // as they will be sent
};

// The size line in front of a chunk; CRLF goes behind it.
void append_chunk_size(std::string& out, std::size_t size);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// A whole answer from its CGI form.
[[nodiscard]] std::string whole_answer(Asked asked, std::string_view cgi, std::string_view date, bool close);
// An error in a line of text. Closes the connection.
[[nodiscard]] std::string error_answer(Asked asked, int status, std::string_view date);
// A 1xx from its CGI form; empty if it is none.
[[nodiscard]] std::string interim_answer(std::string_view cgi);

[[nodiscard]] std::string_view reason_of(int status) noexcept;

// IMF-fixdate (RFC 9110, 5.6.7), made anew once per second.
class Date {
public:
    [[nodiscard]] std::string_view at(std::time_t now);

private:
    std::time_t at_ = -1;
    std::string text_;
};
[[nodiscard]] std::string date_text(std::time_t at);

}  // namespace ftm::http
