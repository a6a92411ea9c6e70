// A running request's answer over FastCGI: STDOUT and STDERR records gathered in one buffer, sent whole, END_REQUEST in
// the same write as the last of them. One per context; the context's thread only.
#pragma once

#include <memory>

#include "engine/request_responder.hpp"
#include "fcgi/writer.hpp"

namespace ftm::engine {

class FcgiResponder final : public RequestResponder {
public:
    FcgiResponder(Core& core, Reader& reader, RequestWatch& watch, std::uint32_t holder);

    void begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script) override;
    bool write(ftm_stream stream, std::string_view data) noexcept override;
    bool flush() noexcept override;
    bool send_interim(std::string_view block) noexcept override;

private:
    static constexpr std::size_t kContent = 32u << 10;
    static constexpr std::size_t kBuffer = fcgi::framed_capacity(kContent) + fcgi::kEndRecordBytes + 64;
    static constexpr std::size_t kDirect = 16u << 10;  // larger writes are not copied

    [[nodiscard]] bool request_allows_interim() const noexcept override;
    void open_record(fcgi::RecordType type) noexcept;
    void close_record() noexcept;
    bool send_buffer() noexcept;
    bool send_direct(fcgi::RecordType type, std::string_view data) noexcept;
    void send_end() noexcept override;
    void discard() noexcept override;

    std::unique_ptr<char[]> buffer_;
    std::size_t used_ = 0;          // bytes of buffer_ that are complete records
    std::size_t record_size_ = 0;   // content bytes of the open record behind them
    fcgi::RecordType record_type_ = fcgi::RecordType::std_out;
    bool record_open_ = false;
};

}  // namespace ftm::engine
