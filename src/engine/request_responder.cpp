#include "engine/request_responder.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/clock.hpp"
#include "fcgi/writer.hpp"

namespace ftm::engine {
namespace {

constexpr int kWaitMs = 200;  // then it looks whether the request shall end

}  // namespace

void RequestResponder::begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script)
{
    job_ = &job;
    session_ = job.session;
    open_.store(job.open, std::memory_order_relaxed);
    slot_ = slot;
    finished_ = false;
    sent_ = false;
    keep_ = job.request.keep_conn;
    script_ = script;
    if (core_.settings.access_log != nullptr && script != nullptr) {
        cpu_before_ = thread_cpu_for_log(core_);
        peer_ = peer_for_log(core_, *session_); // later it may be somebody else's connection
    }
}

bool RequestResponder::gone() const noexcept
{
    const OpenRequest& open = *abandoned_request();
    return session_->output.gone() || open.aborted.load(std::memory_order_relaxed) ||
           open.cut.load(std::memory_order_relaxed);
}

bool RequestResponder::sends_interim() const noexcept
{
    const config::EarlyHints hints = core_.settings.pool->early_hints;
    return hints == config::EarlyHints::on || (hints == config::EarlyHints::param && request_allows_interim());
}

bool RequestResponder::deliver(std::span<const iovec> parts) noexcept
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

void RequestResponder::finish(bool script_goes_on) noexcept
{
    if (finished_) {
        return;
    }
    finished_ = true;
    send_end();
    if (script_goes_on) {
        if (!keep_) { // php-fpm's stage changes when the connection is closed, and with KEEP_CONN it is not
            stage(FTM_STAGE_FINISHING);
        }
        reader_.queue(release_session());
    }
}

Job* RequestResponder::release_session() noexcept
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
void RequestResponder::cut() noexcept
{
    if (finished_) {
        return;
    }
    discard();
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

unsigned RequestResponder::interrupted(int& depth) noexcept
{
    depth = core_.settings.pool->request_slowlog_trace_depth;
    return (watch_.shall_end() ? FTM_INTERRUPT_END : 0u) |
           (watch_.shall_trace() && watch_.take_trace(watch_.sequence()) ? FTM_INTERRUPT_TRACE : 0u);
}

void RequestResponder::stage(ftm_stage stage) noexcept
{
    watch_.stage(stage == FTM_STAGE_EXECUTING  ? sched::RunStage::executing
                 : stage > FTM_STAGE_EXECUTING ? sched::RunStage::finished
                                               : sched::RunStage::preparing);
    if (slot_ != nullptr) {
        slot_->state.store(static_cast<std::uint32_t>(stage), std::memory_order_relaxed);
    }
}

bool RequestResponder::script_ended(const ftm_script_end& end) noexcept
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
