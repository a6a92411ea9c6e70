#include "engine/http_responder.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "engine/clock.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr std::string_view kBetweenMessages = "; ";  // of a STDERR stream (sapi/ftm_log.c)

}  // namespace

void HttpResponder::begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script)
{
    RequestResponder::begin(job, slot, script);
    discard();
    response_.begin(job.open->http_asked.load(std::memory_order_relaxed));
    head_written_ = false;
    if (const char* client = job.request.params.value_z("REMOTE_ADDR"); client != nullptr && core_.settings.access_log != nullptr) {
        peer_ = client; // whom a trusted proxy speaks for
    }
}

void HttpResponder::discard() noexcept
{
    body_.clear();
    out_.clear();
    if (body_.capacity() > 2 * kBuffer) {
        body_ = std::string();
    }
    if (out_.capacity() > 2 * kBuffer) {
        out_ = std::string();
    }
}

void HttpResponder::open_answer(std::optional<std::uint64_t> whole) noexcept
{
    const bool leaving = core_.draining.load(std::memory_order_relaxed) && core_.leaves_nobody_behind();
    response_.write_head(out_, whole, date_.at(std::time(nullptr)), leaving || !keep_);
    head_written_ = true;
}

bool HttpResponder::send_out() noexcept
{
    if (gone()) {
        out_.clear();
        return false;
    }
    if (out_.empty()) {
        return true;
    }
    const iovec part{out_.data(), out_.size()};
    const bool delivered = deliver({&part, 1});
    out_.clear();
    return delivered;
}

// body_ and `more` leave as one chunk, or as they are.
bool HttpResponder::send_body(std::string_view more) noexcept
{
    const std::size_t from_body = response_.admit(body_.size());
    const std::size_t from_more = response_.admit(more.size());
    const bool chunked = response_.framing() == http::Response::Framing::chunked && from_body + from_more != 0;
    if (chunked) {
        http::append_chunk_size(out_, from_body + from_more);
    }
    const std::string_view tail = chunked ? "\r\n" : "";
    const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
    const std::array<iovec, 4> parts{part(out_), part(std::string_view(body_).substr(0, from_body)), part(more.substr(0, from_more)),
                                     part(tail)};
    const bool any = out_.size() + from_body + from_more != 0;
    const bool delivered = !gone() && (!any || deliver(parts));
    out_.clear();
    body_.clear();
    return delivered;
}

// There is no STDERR stream, whose messages php-fpm's front would write to its error log. With catch_workers_output they are
// in ours already.
void HttpResponder::log_message(std::string_view text) noexcept
{
    if (core_.settings.pool->catch_workers_output || text == kBetweenMessages) {
        return;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    if (!text.empty()) {
        observe::log(observe::Level::notice, "[pool %s] %.*s", core_.settings.pool->name.c_str(), static_cast<int>(text.size()), text.data());
    }
}

bool HttpResponder::write(ftm_stream stream, std::string_view data) noexcept
{
    if (stream != FTM_STDOUT) {
        log_message(data);
        return true;
    }
    if (finished_) {
        return true;
    }
    if (gone()) {
        return false;
    }
    if (!response_.take_head(data) || data.empty()) {
        return true;
    }
    if (body_.size() + data.size() <= kBuffer) {
        body_.append(data);
        return true;
    }
    if (!head_written_) {
        open_answer(std::nullopt);
    }
    return send_body(data);
}

bool HttpResponder::flush() noexcept
{
    if (finished_ || !response_.has_head()) {
        return finished_ || !gone();
    }
    if (!head_written_) {
        open_answer(std::nullopt);
    }
    return send_body({});
}

// Every client that speaks HTTP/1.1 knows interim answers (sapi/ asks nothing for one of HTTP/1.0), but for nginx before
// 1.29, which takes them for the answer: behind a proxy the administrator says that it relays them.
bool HttpResponder::request_allows_interim() const noexcept
{
    constexpr std::array kOfProxies{"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
                                    "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA"};
    return std::ranges::none_of(kOfProxies, [&](const char* name) { return job_->request.params.value_z(name) != nullptr; });
}

bool HttpResponder::send_interim(std::string_view block) noexcept
{
    if (finished_ || gone() || head_written_ || !sends_interim()) {
        return false;
    }
    out_ = http::interim_answer(block);
    if (out_.empty()) {
        return false;
    }
    const bool before = sent_;
    const bool delivered = send_out();
    sent_ = before;
    return delivered;
}

void HttpResponder::send_end() noexcept
{
    if (!response_.has_head()) { // nothing was printed, not even headers: it was not run
        keep_ = false;
        return;
    }
    if (!head_written_) {
        open_answer(body_.size());
    }
    const std::size_t size = response_.admit(body_.size());
    if (response_.framing() == http::Response::Framing::chunked) {
        if (size != 0) {
            http::append_chunk_size(out_, size);
            out_.append(body_).append("\r\n");
        }
        out_.append(http::kLastChunk);
    } else {
        out_.append(body_, 0, size);
    }
    body_.clear();
    send_out();
    keep_ = keep_ && response_.keeps_connection();
    const std::int64_t timeout = core_.settings.http != nullptr ? core_.settings.http->keepalive_timeout_us : 0;
    session_->http_deadline_us.store(timeout != 0 ? now_us() + timeout : 0, std::memory_order_relaxed);
}

}  // namespace ftm::engine
