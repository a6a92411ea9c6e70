#include "engine/fcgi_responder.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/clock.hpp"

namespace ftm::engine {
namespace {

constexpr int kWaitMs = 200;  // then it looks whether the request shall end

}  // namespace

FcgiResponder::FcgiResponder(Core& core, Reader& reader, RequestWatch& watch, std::uint32_t holder)
    : core_(core), reader_(reader), watch_(watch), holder_(holder), buffer_(std::make_unique<char[]>(kBuffer))
{
}

void FcgiResponder::begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script)
{
    job_ = &job;
    session_ = job.session;
    open_.store(job.open, std::memory_order_relaxed);
    slot_ = slot;
    used_ = 0;
    record_size_ = 0;
    record_open_ = false;
    finished_ = false;
    sent_ = false;
    keep_ = job.request.keep_conn;
    script_ = script;
    if (core_.settings.access_log != nullptr && script != nullptr) {
        cpu_before_ = thread_cpu_for_log(core_);
        peer_ = peer_for_log(core_, *session_); // later it may be somebody else's connection
    }
}

bool FcgiResponder::gone() const noexcept
{
    const OpenRequest& open = *abandoned_request();
    return session_->output.gone() || open.aborted.load(std::memory_order_relaxed) ||
           open.cut.load(std::memory_order_relaxed);
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

bool FcgiResponder::deliver(std::span<const iovec> parts) noexcept
{
    sent_ = true;
    net::Output& output = session_->output;
    const std::uint16_t lane = job_->request.id;
    const net::SendResult result = output.send(session_->fd.get(), parts, holder_, lane);
    if (result == net::SendResult::passed) {
        core_.watch_writes(*session_);
    }
    if (result == net::SendResult::passed || result == net::SendResult::queued) {
        // Unsent output a request may leave behind before its script waits for the client.
        std::size_t limit = core_.settings.output_spool_limit;
        if (const int error = output.disk_error(); error != 0) {
            limit = std::min(limit, net::Output::kMemory);
            core_.log_disk_error(error);
        }
        if (!finished_ && output.pending_bytes() > limit && output.queued_in(lane) > limit) {
            while (!output.wait_below(limit / 2, kWaitMs, lane)) {
                if (gone() || watch_.shall_end()) {
                    return false;
                }
            }
        }
    }
    return result != net::SendResult::gone;
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

bool FcgiResponder::front_relays_interim() const noexcept
{
    switch (core_.settings.pool->early_hints) {
        case config::EarlyHints::off:
            return false;
        case config::EarlyHints::on:
            return true;
        case config::EarlyHints::param:
            break;
    }
    const char* declared = job_->request.params.value_z("FTM_EARLY_HINTS");
    return declared != nullptr && std::string_view(declared) == "1";
}

// A record of its own, unpadded: lighttpd's HTTP/2 wants the former, nginx' cache the latter.
bool FcgiResponder::send_interim(std::string_view block) noexcept
{
    if (finished_ || gone() || !front_relays_interim() || block.size() > fcgi::kMaxSentContentBytes) {
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

void FcgiResponder::finish(bool script_goes_on) noexcept
{
    if (finished_) {
        return;
    }
    close_record();
    const auto end = fcgi::end_request_record(job_->request.id, 0, fcgi::ProtocolStatus::request_complete);
    std::memcpy(buffer_.get() + used_, end.data(), end.size());
    used_ += end.size();
    finished_ = true;
    const iovec part{buffer_.get(), used_};
    used_ = 0;
    const OpenRequest& open = *abandoned_request();
    if (open.aborted.load(std::memory_order_relaxed)) {
        session_->output.discard(job_->request.id); // nobody waits for what has not left yet
    }
    if (!session_->output.gone() && !open.cut.load(std::memory_order_relaxed)) {
        deliver({&part, 1});
    }
    if (script_goes_on) {
        if (!keep_) { // php-fpm's stage changes when the connection is closed, and with KEEP_CONN it is not
            stage(FTM_STAGE_FINISHING);
        }
        reader_.queue(release_session());
    }
}

Job* FcgiResponder::release_session() noexcept
{
    if (session_ == nullptr) {
        return nullptr;
    }
    watch_.release();
    Session& session = *std::exchange(session_, nullptr);
    return reader_.request_ended(session, *abandoned_request(), keep_);
}

// The request's time is over: what has not been sent is lost and END_REQUEST does not come, as when php-fpm kills the
// child. On a connection that others share it comes (RULES 17).
void FcgiResponder::cut() noexcept
{
    if (finished_) {
        return;
    }
    used_ = 0;
    record_open_ = false;
    record_size_ = 0;
    finished_ = true;
    if (session_->shared.load(std::memory_order_relaxed)) {
        session_->output.discard(job_->request.id);
        const auto end = fcgi::end_request_record(job_->request.id, 0, fcgi::ProtocolStatus::request_complete);
        const iovec part{const_cast<char*>(end.data()), end.size()};
        if (!abandoned_request()->cut.load()) {
            deliver({&part, 1});
        }
        return;
    }
    keep_ = false;
    session_->output.set_gone();
    ::shutdown(session_->fd.get(), SHUT_RDWR);
}

unsigned FcgiResponder::interrupted(int& depth) noexcept
{
    depth = core_.settings.pool->request_slowlog_trace_depth;
    return (watch_.shall_end() ? FTM_INTERRUPT_END : 0u) |
           (watch_.shall_trace() && watch_.take_trace(watch_.sequence()) ? FTM_INTERRUPT_TRACE : 0u);
}

void FcgiResponder::stage(ftm_stage stage) noexcept
{
    watch_.stage(stage == FTM_STAGE_EXECUTING  ? sched::RunStage::executing
                 : stage > FTM_STAGE_EXECUTING ? sched::RunStage::finished
                                               : sched::RunStage::preparing);
    if (slot_ != nullptr) {
        slot_->state.store(static_cast<std::uint32_t>(stage), std::memory_order_relaxed);
    }
}

bool FcgiResponder::script_ended(const ftm_script_end& end) noexcept
{
    stage(FTM_STAGE_FINISHING); // shutdown functions and destructors run in php-fpm's stage "Finishing", too
    if (slot_ != nullptr) {
        slot_->memory_peak.store(end.peak_memory_bytes, std::memory_order_relaxed);
        slot_->duration_us.store(now_us() - slot_->accepted_us.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    observe::raise_to(core_.board.counters().memory_peak, end.peak_memory_bytes);
    if (core_.settings.access_log == nullptr || script_ == nullptr) {
        return true;
    }
    std::vector<std::string_view> headers;
    for (std::size_t i = 0; i < end.header_count; ++i) {
        headers.emplace_back(end.headers[i].line, end.headers[i].size);
    }
    const ThreadCpu cpu = thread_cpu_for_log(core_);
    RequestOutcome outcome;
    outcome.status = end.http_status;
    outcome.memory = end.peak_memory_bytes;
    outcome.cpu = {cpu.all_us - cpu_before_.all_us, cpu.user_us - cpu_before_.user_us, cpu.system_us - cpu_before_.system_us};
    outcome.headers = headers;
    outcome.peer = peer_;
    return log_request(core_, *job_, *script_, outcome);
}

}  // namespace ftm::engine
