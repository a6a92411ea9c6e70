// The head of one HTTP/1.1 request (RFC 9112, sections 2-7): where it ends, what it says, and whether it may be believed.
// Boost.Beast's parser reads it; what requests are smuggled with is refused here, whatever that parser makes of it.
// No I/O. Threads: one at a time. Errors: an HTTP status, after which the connection must be closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ftm::http {

struct Limits {
    std::size_t max_line = std::size_t{16} << 10;  // bytes of the request line: 414 beyond
    std::size_t max_head = std::size_t{64} << 10;  // bytes of the whole head: 431 beyond
    std::size_t max_fields = 200;                  // 431 beyond
    std::uint64_t max_body = UINT64_MAX;           // bytes: 413 beyond
};

struct Field {
    std::string_view name;
    std::string_view value;
};

// Views into the bytes that were parsed.
struct Head {
    std::string_view method;
    std::string_view target;  // in origin-form: from the path on, as it was sent
    std::string_view host;    // of the Host field; empty with HTTP/1.0 perhaps
    bool http10 = false;
    bool keep_alive = false;
    bool expects_continue = false;
    bool chunked = false;
    std::optional<std::uint64_t> content_length;
    std::vector<Field> fields;  // in order of arrival

    void clear() noexcept;
};

// Finds the empty line, byte by byte if need be.
class HeadScan {
public:
    enum class Result : std::uint8_t { need_more, complete, blank, refused };

    // `bytes`: of the head, all that have come so far. blank: they begin with an empty line, which may be skipped once.
    [[nodiscard]] Result scan(std::string_view bytes, const Limits& limits) noexcept;
    // complete: how many of the bytes are the head's.
    [[nodiscard]] std::size_t size() const noexcept { return line_; }
    // refused: the status.
    [[nodiscard]] int status() const noexcept { return status_; }
    void reset() noexcept { *this = HeadScan(); }

private:
    Result refuse(int status) noexcept;

    std::size_t line_ = 0;    // where the line being read begins
    std::size_t seen_ = 0;    // bytes that hold no further end of line
    std::size_t fields_ = 0;
    bool first_ = true;
    int status_ = 0;
};

// A complete head, its empty line included, as HeadScan has found it. 0, or the status of the refusal.
[[nodiscard]] int parse_head(std::string_view bytes, const Limits& limits, Head& head);

}  // namespace ftm::http
