#include "http/head.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <charconv>

#include "http/text.hpp"

namespace ftm::http {
namespace {

namespace beast = boost::beast::http;
using BeastText = boost::beast::string_view;
using BeastError = boost::beast::error_code;

constexpr int kBadRequest = 400;
constexpr int kMethodNotAllowed = 405;
constexpr int kContentTooLarge = 413;
constexpr int kUriTooLong = 414;
constexpr int kExpectationFailed = 417;
constexpr int kFieldsTooLarge = 431;
constexpr int kNotImplemented = 501;
constexpr int kVersionNotSupported = 505;

std::string_view view(BeastText text) { return {text.data(), text.size()}; }

class HeadParser final : public beast::basic_parser<true> {
public:
    HeadParser(Head& head, const Limits& limits) : head_(head)
    {
        header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(limits.max_head + 4, UINT32_MAX)));
        body_limit(UINT64_MAX); // 413 is said elsewhere
    }

private:
    void on_request_impl(beast::verb, BeastText method, BeastText target, int version, BeastError& error) override
    {
        error = {};
        head_.method = view(method);
        head_.target = view(target);
        head_.http10 = version < 11;
    }
    void on_field_impl(beast::field, BeastText name, BeastText value, BeastError& error) override
    {
        error = {};
        head_.fields.push_back({view(name), view(value)});
    }
    void on_response_impl(int, BeastText, int, BeastError& error) override { error = {}; }
    void on_header_impl(BeastError& error) override { error = {}; }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError& error) override { error = {}; }
    std::size_t on_body_impl(BeastText body, BeastError& error) override
    {
        error = {};
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t, BeastText, BeastError& error) override { error = {}; }
    std::size_t on_chunk_body_impl(std::uint64_t, BeastText body, BeastError& error) override
    {
        error = {};
        return body.size();
    }
    void on_finish_impl(BeastError& error) override { error = {}; }

    Head& head_;
};

// http://HOST/PATH becomes /PATH. HOST must be the Host field's (RFC 9112, 3.2.2 lets it win: two front ends might not).
int to_origin_form(Head& head)
{
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (head.target.size() > scheme.size() && equal_ignoring_case(head.target.substr(0, scheme.size()), scheme)) {
            std::string_view rest = head.target.substr(scheme.size());
            const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
            const std::string_view authority = rest.substr(0, end);
            rest.remove_prefix(end);
            if (!is_host(authority) || (!head.host.empty() && !equal_ignoring_case(authority, head.host))) {
                return kBadRequest;
            }
            head.host = authority;
            head.target = rest.empty() ? std::string_view("/") : rest;
            break;
        }
    }
    const bool sound = head.target.starts_with('/') && head.target.find('#') == std::string_view::npos;
    return sound ? 0 : kBadRequest;
}

int check_method(const Head& head)
{
    const bool sound = std::all_of(head.method.begin(), head.method.end(),
                                   [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
    if (!sound) {
        return kBadRequest;
    }
    return head.method == "TRACE" || head.method == "CONNECT" ? kMethodNotAllowed : 0;
}

int check_host(Head& head, bool& any)
{
    for (const Field& field : head.fields) {
        if (equal_ignoring_case(field.name, "host")) {
            if (any || !is_host(field.value)) {
                return kBadRequest;
            }
            any = true;
            head.host = field.value;
        }
    }
    return any || head.http10 ? 0 : kBadRequest;
}

bool parse_length(std::string_view text, std::uint64_t& length)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    return error == std::errc() && end == text.data() + text.size() && !text.empty() && is_digit(text[0]);
}

// RFC 9112, 6: two that disagree are how a second request is hidden in the body of the first.
int check_body(Head& head, const Limits& limits)
{
    bool coded = false;
    for (const Field& field : head.fields) {
        if (equal_ignoring_case(field.name, "content-length")) {
            std::uint64_t length = 0;
            if (head.content_length || !parse_length(field.value, length)) {
                return kBadRequest;
            }
            head.content_length = length;
        } else if (equal_ignoring_case(field.name, "transfer-encoding")) {
            if (coded || head.http10) {
                return kBadRequest;
            }
            coded = true;
            head.chunked = equal_ignoring_case(field.value, "chunked");
        }
    }
    if (coded && head.content_length) {
        return kBadRequest;
    }
    if (coded && !head.chunked) {
        return kNotImplemented;
    }
    return head.content_length.value_or(0) > limits.max_body ? kContentTooLarge : 0;
}

int check_connection(Head& head)
{
    head.keep_alive = !head.http10;
    for (const Field& field : head.fields) {
        if (equal_ignoring_case(field.name, "connection")) {
            if (has_token(field.value, "close")) {
                head.keep_alive = false;
                return 0;
            }
            head.keep_alive = head.keep_alive || has_token(field.value, "keep-alive");
        }
    }
    return 0;
}

int check_expectation(Head& head)
{
    for (const Field& field : head.fields) {
        if (!head.http10 && equal_ignoring_case(field.name, "expect")) {
            if (!equal_ignoring_case(field.value, "100-continue")) {
                return kExpectationFailed;
            }
            head.expects_continue = true;
        }
    }
    return 0;
}

}  // namespace

void Head::clear() noexcept
{
    fields.clear();
    method = target = host = {};
    http10 = keep_alive = expects_continue = chunked = false;
    content_length.reset();
}

HeadScan::Result HeadScan::refuse(int status) noexcept
{
    status_ = status;
    return Result::refused;
}

HeadScan::Result HeadScan::scan(std::string_view bytes, const Limits& limits) noexcept
{
    for (;;) {
        const std::size_t end = bytes.find('\n', std::max(line_, seen_));
        const std::size_t so_far = (end == std::string_view::npos ? bytes.size() : end) - line_;
        if (first_ && so_far > limits.max_line) {
            return refuse(kUriTooLong);
        }
        if (line_ + so_far > limits.max_head) {
            return refuse(kFieldsTooLarge);
        }
        if (end == std::string_view::npos) {
            seen_ = bytes.size();
            return Result::need_more;
        }
        if (so_far == 0 || bytes[end - 1] != '\r') {
            return refuse(kBadRequest); // a bare LF
        }
        const std::string_view line = bytes.substr(line_, so_far - 1);
        line_ = end + 1;
        if (line.empty()) {
            return first_ ? Result::blank : Result::complete;
        }
        const bool continues = line[0] == ' ' || line[0] == '\t'; // obs-fold
        if (continues || std::any_of(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; })) {
            return refuse(kBadRequest);
        }
        if (!first_ && ++fields_ > limits.max_fields) {
            return refuse(kFieldsTooLarge);
        }
        first_ = false;
    }
}

int parse_head(std::string_view bytes, const Limits& limits, Head& head)
{
    head.clear();
    HeadParser parser(head, limits);
    BeastError error;
    parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    if (error == beast::error::bad_version && bytes.substr(0, bytes.find('\r')).find(" HTTP/") != std::string_view::npos) {
        return kVersionNotSupported;
    }
    if (error && error != beast::error::bad_transfer_encoding) {
        return kBadRequest;
    }
    bool any_host = false;
    for (const int status : {check_method(head), check_host(head, any_host), to_origin_form(head), check_body(head, limits),
                             check_connection(head), check_expectation(head)}) {
        if (status != 0) {
            return status;
        }
    }
    return error ? kBadRequest : 0;
}

}  // namespace ftm::http
