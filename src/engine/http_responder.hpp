// A running request's answer over HTTP/1.1: what PHP prints in CGI form becomes an HTTP answer (http/response). A short
// one leaves in one write with its length; a longer or flushed one in chunks. One per context; the context's thread only.
#pragma once

#include <string>

#include "engine/request_responder.hpp"
#include "http/response.hpp"

namespace ftm::engine {

class HttpResponder final : public RequestResponder {
public:
    using RequestResponder::RequestResponder;

    void begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script) override;
    bool write(ftm_stream stream, std::string_view data) noexcept override;
    bool flush() noexcept override;
    bool send_interim(std::string_view block) noexcept override;

private:
    static constexpr std::size_t kBuffer = 32u << 10;

    [[nodiscard]] bool request_allows_interim() const noexcept override;
    bool send_body(std::string_view more) noexcept;
    void open_answer(std::optional<std::uint64_t> whole) noexcept;
    bool send_out() noexcept;
    void log_message(std::string_view text) noexcept;
    void send_end() noexcept override;
    void discard() noexcept override;

    http::Response response_;
    http::Date date_;
    bool head_written_ = false;
    std::string body_;  // not framed yet
    std::string out_;   // framed, not sent yet
};

}  // namespace ftm::engine
