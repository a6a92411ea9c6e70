// What the answers to running requests have in common, whatever the protocol: the way into the connection's output, the
// waiting for slow readers, what the scoreboard, the access log and the watch are told. The protocols' own are derived
// from it: engine/fcgi_responder, engine/http_responder. One of each per context; the context's thread only.
#pragma once

#include <atomic>
#include <span>
#include <string>

#include "engine/core.hpp"
#include "engine/reader.hpp"
#include "engine/request_log.hpp"
#include "engine/request_watch.hpp"
#include "engine/session.hpp"
#include "engine/status_export.hpp"
#include "php/responder.hpp"

namespace ftm::engine {

class RequestResponder : public php::Responder {
public:
    RequestResponder(Core& core, Reader& reader, RequestWatch& watch, std::uint32_t holder)
        : core_(core), reader_(reader), watch_(watch), holder_(holder)
    {
    }
    RequestResponder(const RequestResponder&) = delete;
    RequestResponder& operator=(const RequestResponder&) = delete;

    // `script` as resolved, nullptr if it will not run. Both live until finish() and the end of the run.
    virtual void begin(Job& job, observe::Slot* slot, const php::ResolvedScript* script);

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
    [[nodiscard]] bool connection_stays() const noexcept { return keep_; }
    [[nodiscard]] Session* abandoned_session() const noexcept { return session_; }
    // This too while the connection cannot be given back (RequestWatch::cut).
    [[nodiscard]] OpenRequest* abandoned_request() const noexcept { return open_.load(std::memory_order_relaxed); }
    // After finish(): hands the connection back to its reader, once. Returns its next job if that is already here.
    Job* release_session() noexcept;

protected:
    ~RequestResponder() = default;

    [[nodiscard]] bool gone() const noexcept;
    bool deliver(std::span<const iovec> parts) noexcept;
    // Whether an interim answer may be sent: early_hints of the pool, and with `param` what the request says.
    [[nodiscard]] bool sends_interim() const noexcept;
    [[nodiscard]] virtual bool request_allows_interim() const noexcept = 0;
    // Everything that is still to be sent, and what says that nothing follows. `finished_` is set already.
    virtual void send_end() noexcept = 0;
    // What has not been sent is lost.
    virtual void discard() noexcept = 0;

    Core& core_;
    Reader& reader_;
    RequestWatch& watch_;
    const std::uint32_t holder_;
    bool finished_ = false;
    bool sent_ = false;  // of the final answer
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
