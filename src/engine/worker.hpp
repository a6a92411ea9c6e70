// A worker: a context whose script stays booted and serves requests from inside frankenphp_handle_request(). This object
// is where those requests come from (worker.cpp), and it decides what a script's end means: recycled, crashed, or never
// booted (worker_ends.cpp).
// The context's thread only.
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/boot_output.hpp"
#include "engine/core.hpp"
#include "php/worker_run.hpp"

namespace ftm::engine {

class Context;

class Worker final : public php::WorkerSource {
public:
    Worker(Core& core, Context& context);

    // Boots the script, again and again, until the context is to leave or (renew) to start anew. Returns a job that it must
    // not run any more.
    Job* run(bool& renew);

    php::WorkerRequest wait() noexcept override;
    void done(std::size_t heap_bytes) noexcept override;

private:
    using Clock = std::chrono::steady_clock;

    // worker.cpp
    bool await_request();
    void boot();
    void on_booted();
    [[nodiscard]] observe::RestartReason worn() const;
    bool is_to_leave();
    [[nodiscard]] bool stopping() const;
    void show(observe::WorkerState state) noexcept;

    // worker_ends.cpp
    [[nodiscard]] observe::RestartReason reason_of(const php::WorkerEnd& end) const;
    void judge(const php::WorkerEnd& end);
    void did_not_boot(const php::WorkerEnd& end);
    void back_off(std::chrono::milliseconds pause);

    Core& core_;
    Context& context_;
    const bool debug_;  // worker.debug: the script boots when a request is there, for this one only
    BootOutput output_;
    request::Request boot_;
    Job* job_ = nullptr;   // being served
    Job* next_ = nullptr;  // has arrived behind it
    bool booted_ = false;
    Clock::time_point boot_began_;
    std::uint64_t served_ = 0;  // since the script was booted
    std::uint64_t limit_ = 0;   // of these; 0: none
    std::size_t heap_ = 0;      // bytes, after the last of these
    bool asked_ = false;        // for a successor
    observe::RestartReason told_ = observe::RestartReason::none;  // why the script has been told to leave its loop
    unsigned failures_ = 0;     // boots in a row
};

}  // namespace ftm::engine
