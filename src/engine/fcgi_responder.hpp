// A running request's answer: STDOUT and STDERR records gathered in one buffer, sent whole, END_REQUEST in the same
// write as the last of them. One per context; the context's thread only.
#pragma once

#include <atomic>
#include <memory>

#include "engine/core.hpp"
#include "engine/reader.hpp"
#include "engine/request_log.hpp"
#include "engine/request_watch.hpp"
#include "engine/session.hpp"
#include "engine/status_export.hpp"
#include "fcgi/writer.hpp"
#include "php/responder.hpp"

namespace ftm::engine {

class FcgiResponder final : public php::Responder {
public:
    FcgiResponder(Core& core, Reader& reader, RequestWatch& watch, std::uint32_t holder);

    // `script` as resolved, nullptr if it will not run. Both live until finish() and the end of the run.
    void begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script);

    bool write(ftm_stream stream, std::string_view data) noexcept override;
    bool flush() noexcept override;
    bool send_interim(std::string_view block) noexcept override;
    void finish(bool script_goes_on) noexcept override;
    [[nodiscard]] bool finished() const noexcept override { return finished_; }
    void stage(ftm_stage stage) noexcept override;
    bool script_ended(const ftm_script_end& end) noexcept override;
    [[nodiscard]] unsigned interrupted(int& depth) noexcept override;
    void traced(std::string_view backtrace) noexcept override { core_.report_slow(backtrace); }
    void cut() noexcept override;
    bool pool_status(ftm_pool_status& out) noexcept override { return status_.pool(core_, out); }
    bool process_status(unsigned index, ftm_process_status& out) noexcept override { return status_.process(index, out); }

    // For the standby thread, once this context has crashed and is parked.
    [[nodiscard]] bool anything_sent() const noexcept { return sent_; }
    [[nodiscard]] Session* abandoned_session() const noexcept { return session_; }
    // This too while the connection cannot be given back (RequestWatch::cut).
    [[nodiscard]] OpenRequest* abandoned_request() const noexcept { return open_.load(std::memory_order_relaxed); }
    // After finish(): hands the connection back to its reader, once. Returns its next job if that is already here.
    Job* release_session() noexcept;

private:
    static constexpr std::size_t kContent = 32u << 10;
    static constexpr std::size_t kBuffer = fcgi::framed_capacity(kContent) + fcgi::kEndRecordBytes + 64;
    static constexpr std::size_t kDirect = 16u << 10;  // larger writes are not copied

    [[nodiscard]] bool gone() const noexcept;
    [[nodiscard]] bool front_relays_interim() const noexcept;
    void open_record(fcgi::RecordType type) noexcept;
    void close_record() noexcept;
    bool send_buffer() noexcept;
    bool send_direct(fcgi::RecordType type, std::string_view data) noexcept;
    bool deliver(std::span<const iovec> parts) noexcept;

    Core& core_;
    Reader& reader_;
    RequestWatch& watch_;
    const std::uint32_t holder_;
    std::unique_ptr<char[]> buffer_;
    std::size_t used_ = 0;          // bytes of buffer_ that are complete records
    std::size_t record_size_ = 0;   // content bytes of the open record behind them
    fcgi::RecordType record_type_ = fcgi::RecordType::std_out;
    bool record_open_ = false;
    bool finished_ = false;
    bool sent_ = false;             // of the final answer
    bool keep_ = false;
    Job* job_ = nullptr;
    Session* session_ = nullptr;
    std::atomic<OpenRequest*> open_{nullptr};  // the standby thread may look
    observe::Slot* slot_ = nullptr;
    const php::ResolvedScript* script_ = nullptr;
    ThreadCpu cpu_before_;                // with %C in access.format
    std::string peer_;                    // with %R
    StatusForScript status_;
};

}  // namespace ftm::engine
