#include "http/response.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "http/text.hpp"

namespace ftm::http {
namespace {

constexpr std::size_t kMaxHead = std::size_t{256} << 10;  // of a script; beyond, it is taken as it is

bool is_about_connection(std::string_view name)
{
    for (const std::string_view one :
         {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade"}) {
        if (equal_ignoring_case(name, one)) {
            return true;
        }
    }
    return false;
}

void append_number(std::string& out, std::uint64_t number)
{
    char text[20];
    out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

// Where the body begins: behind the first empty line, of whatever kind.
std::size_t end_of_head(std::string_view text)
{
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string_view::npos; ++at) {
        const std::string_view rest = text.substr(at + 1);
        if (rest.starts_with("\r\n")) {
            return at + 3;
        }
        if (rest.starts_with('\n')) {
            return at + 2;
        }
    }
    return text.starts_with("\r\n") ? 2 : text.starts_with('\n') ? 1 : std::string_view::npos;
}

}  // namespace

std::string_view reason_of(int status) noexcept
{
    switch (status) {
        case 100: return "Continue";
        case 103: return "Early Hints";
        case 200: return "OK";
        case 201: return "Created";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 206: return "Partial Content";
        case 301: return "Moved Permanently";
        case 302: return "Found";
        case 303: return "See Other";
        case 304: return "Not Modified";
        case 307: return "Temporary Redirect";
        case 308: return "Permanent Redirect";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 410: return "Gone";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 417: return "Expectation Failed";
        case 422: return "Unprocessable Content";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "";
    }
}

void Response::begin(Asked asked) noexcept
{
    asked_ = asked;
    has_head_ = false;
    has_date_ = false;
    keep_ = (asked & kKeepAlive) != 0;
    status_ = 200;
    framing_ = Framing::none;
    length_.reset();
    left_ = 0;
    raw_.clear();
    reason_.clear();
    fields_.clear();
}

void Response::read_line(std::string_view line)
{
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
        return;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
        return;
    }
    if (equal_ignoring_case(name, "status")) {
        int status = 0;
        std::from_chars(value.data(), value.data() + value.size(), status);
        if (status >= 200 && status <= 999) {
            status_ = status;
            reason_ = value.size() > 4 ? value.substr(4) : std::string_view();
        }
        return;
    }
    if (equal_ignoring_case(name, "connection")) {
        keep_ = keep_ && !has_token(value, "close");
    }
    if (is_about_connection(name)) {
        return;
    }
    if (equal_ignoring_case(name, "content-length")) {
        std::uint64_t length = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
        if (error == std::errc() && end == value.data() + value.size()) {
            length_ = length;
        }
        return;
    }
    has_date_ = has_date_ || equal_ignoring_case(name, "date");
    fields_.append(name).append(": ").append(value).append("\r\n");
}

bool Response::take_head(std::string_view& data)
{
    if (has_head_) {
        return true;
    }
    std::string_view text = data;
    const std::size_t before = raw_.size();
    if (before != 0) {
        raw_.append(data);
        text = raw_;
    }
    std::size_t end = end_of_head(text);
    if (end == std::string_view::npos) {
        if (before == 0) {
            raw_.assign(data);
        }
        data = {};
        if (raw_.size() <= kMaxHead) {
            return false;
        }
        text = raw_;
        end = raw_.size();
    } else {
        data.remove_prefix(std::min(end - std::min(before, end), data.size()));
    }
    for (std::string_view head = text.substr(0, end); !head.empty();) {
        const std::size_t line_end = std::min(head.find('\n'), head.size() - 1);
        std::string_view line = head.substr(0, line_end);
        head.remove_prefix(line_end + 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        read_line(line);
    }
    raw_.clear();
    has_head_ = true;
    return true;
}

void Response::write_head(std::string& out, std::optional<std::uint64_t> whole, std::string_view date, bool close)
{
    const bool http10 = (asked_ & kHttp10) != 0;
    const bool bodyless = status_ == 204 || status_ == 304;
    if (bodyless) {
        framing_ = Framing::none;
        length_.reset();
    } else if ((asked_ & kHead) != 0) {
        framing_ = Framing::none; // a length that the script announces is that of the answer to GET
    } else if (length_ || whole) {
        framing_ = Framing::length;
        length_ = length_ ? length_ : whole;
        left_ = *length_;
    } else {
        framing_ = http10 ? Framing::close : Framing::chunked;
    }
    keep_ = keep_ && !close && framing_ != Framing::close;

    out.append("HTTP/1.1 ");
    append_number(out, static_cast<std::uint64_t>(status_));
    out.append(" ").append(reason_.empty() ? reason_of(status_) : std::string_view(reason_)).append("\r\n");
    if (!has_date_) {
        out.append("Date: ").append(date).append("\r\n");
    }
    out.append(fields_);
    if (length_) {
        out.append("Content-Length: ");
        append_number(out, *length_);
        out.append("\r\n");
    }
    if (framing_ == Framing::chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    }
    if (!keep_) {
        out.append("Connection: close\r\n");
    } else if (http10) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("\r\n");
}

std::size_t Response::admit(std::size_t n) noexcept
{
    switch (framing_) {
        case Framing::none:
            return 0;
        case Framing::length: {
            const auto admitted = static_cast<std::size_t>(std::min<std::uint64_t>(n, left_));
            left_ -= admitted;
            return admitted;
        }
        case Framing::chunked:
        case Framing::close:
            break;
    }
    return n;
}

void append_chunk_size(std::string& out, std::size_t size)
{
    char text[20];
    out.append(text, std::to_chars(text, text + sizeof text, size, 16).ptr);
    out.append("\r\n");
}

std::string whole_answer(Asked asked, std::string_view cgi, std::string_view date, bool close)
{
    Response response;
    response.begin(asked);
    std::string_view body = cgi;
    response.take_head(body);
    std::string out;
    response.write_head(out, body.size(), date, close);
    out.append(body.substr(0, response.admit(body.size())));
    return out;
}

std::string error_answer(Asked asked, int status, std::string_view date)
{
    const std::string reason(reason_of(status));
    return whole_answer(asked, "Status: " + std::to_string(status) + " " + reason + "\r\nContent-Type: text/plain\r\n" +
                                   (status == 503 ? "Retry-After: 1\r\n" : "") + "\r\n" + reason + "\n",
                        date, true);
}

std::string interim_answer(std::string_view cgi)
{
    constexpr std::string_view kStatus = "Status: ";
    if (!cgi.starts_with(kStatus) || !cgi.ends_with("\r\n\r\n")) {
        return {};
    }
    cgi.remove_prefix(kStatus.size());
    const std::size_t line_end = cgi.find('\r');
    std::string out = "HTTP/1.1 ";
    out.append(cgi.substr(0, line_end));
    if (line_end == 3) {
        out.append(" "); // behind which the reason may be empty
    }
    out.append(cgi.substr(line_end));
    return out;
}

std::string date_text(std::time_t at)
{
    constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm tm{};
    ::gmtime_r(&at, &tm);
    char text[64];
    const int size = std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[tm.tm_wday], tm.tm_mday,
                                   kMonths[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return {text, static_cast<std::size_t>(size)};
}

std::string_view Date::at(std::time_t now)
{
    if (now != at_) {
        at_ = now;
        text_ = date_text(now);
    }
    return text_;
}

}  // namespace ftm::http
