#include "engine/fcgi_responder.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace ftm::engine {

FcgiResponder::FcgiResponder(Core& core, Reader& reader, RequestWatch& watch, std::uint32_t holder)
    : RequestResponder(core, reader, watch, holder), buffer_(std::make_unique<char[]>(kBuffer))
{
}

void FcgiResponder::begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script)
{
    discard();
    RequestResponder::begin(job, slot, script);
}

void FcgiResponder::discard() noexcept
{
    used_ = 0;
    record_open_ = false;
    record_size_ = 0;
}

void FcgiResponder::open_record(fcgi::RecordType type) noexcept
{
    record_type_ = type;
    record_size_ = 0;
    record_open_ = true;
}

void FcgiResponder::close_record() noexcept
{
    if (record_open_ && record_size_ > 0) {
        used_ += fcgi::frame_in_place(buffer_.get() + used_, record_type_, job_->request.id, record_size_);
    }
    record_open_ = false;
    record_size_ = 0;
}

bool FcgiResponder::send_buffer() noexcept
{
    close_record();
    if (used_ == 0) {
        return !gone();
    }
    const iovec part{buffer_.get(), used_};
    used_ = 0;
    return !gone() && deliver({&part, 1});
}

bool FcgiResponder::send_direct(fcgi::RecordType type, std::string_view data) noexcept
{
    static constexpr char kPadding[8] = {};
    close_record();
    while (!data.empty()) {
        const std::string_view content = data.substr(0, fcgi::kMaxSentContentBytes);
        data.remove_prefix(content.size());
        const std::uint8_t padding = fcgi::padding_for(content.size());
        char header[fcgi::kHeaderBytes];
        fcgi::write_header(header, type, job_->request.id, static_cast<std::uint16_t>(content.size()), padding);
        const std::array<iovec, 4> parts{{{buffer_.get(), used_},
                                          {header, sizeof header},
                                          {const_cast<char*>(content.data()), content.size()},
                                          {const_cast<char*>(kPadding), padding}}};
        used_ = 0;
        if (gone() || !deliver(parts)) {
            return false;
        }
    }
    return true;
}

bool FcgiResponder::write(ftm_stream stream, std::string_view data) noexcept
{
    if (finished_) {
        return true;
    }
    if (gone()) {
        return false;
    }
    const fcgi::RecordType type = stream == FTM_STDOUT ? fcgi::RecordType::std_out : fcgi::RecordType::std_err;
    if (data.size() >= kDirect) {
        return send_direct(type, data);
    }
    if (record_open_ && record_type_ != type) {
        close_record();
    }
    while (!data.empty()) {
        const std::size_t taken = used_ + fcgi::kHeaderBytes + (record_open_ ? record_size_ : 0);
        const std::size_t room = taken + 8 < fcgi::framed_capacity(kContent) ? fcgi::framed_capacity(kContent) - taken - 8 : 0;
        if (room == 0) {
            if (!send_buffer()) {
                return false;
            }
            continue;
        }
        if (!record_open_) {
            open_record(type);
        }
        const std::size_t n = std::min(room, data.size());
        std::memcpy(buffer_.get() + used_ + fcgi::kHeaderBytes + record_size_, data.data(), n);
        record_size_ += n;
        data.remove_prefix(n);
    }
    return true;
}

bool FcgiResponder::request_allows_interim() const noexcept
{
    const char* declared = job_->request.params.value_z("FTM_EARLY_HINTS");
    return declared != nullptr && std::string_view(declared) == "1";
}

// A record of its own, unpadded: lighttpd's HTTP/2 wants the former, nginx' cache the latter.
bool FcgiResponder::send_interim(std::string_view block) noexcept
{
    if (finished_ || gone() || !sends_interim() || block.size() > fcgi::kMaxSentContentBytes) {
        return false;
    }
    close_record(); // a message for STDERR may wait
    char header[fcgi::kHeaderBytes];
    fcgi::write_header(header, fcgi::RecordType::std_out, job_->request.id, static_cast<std::uint16_t>(block.size()), 0);
    const std::array<iovec, 3> parts{{{buffer_.get(), used_},
                                      {header, sizeof header},
                                      {const_cast<char*>(block.data()), block.size()}}};
    used_ = 0;
    const bool before = sent_;
    const bool delivered = deliver(parts);
    sent_ = before;
    return delivered;
}

bool FcgiResponder::flush() noexcept { return finished_ || send_buffer(); }

void FcgiResponder::send_end() noexcept
{
    close_record();
    const auto end = fcgi::end_request_record(job_->request.id, 0, fcgi::ProtocolStatus::request_complete);
    std::memcpy(buffer_.get() + used_, end.data(), end.size());
    used_ += end.size();
    const iovec part{buffer_.get(), used_};
    used_ = 0;
    const OpenRequest& open = *abandoned_request();
    if (open.aborted.load(std::memory_order_relaxed)) {
        session_->output.discard(job_->request.id); // nobody waits for what has not left yet
    }
    if (!session_->output.gone() && !open.cut.load(std::memory_order_relaxed)) {
        deliver({&part, 1});
    }
}

}  // namespace ftm::engine
