// A worker: a context whose script stays booted and serves requests from inside frankenphp_handle_request(). This object
// is where those requests come from, and it decides what a script's end means: recycled, crashed, or never booted.
// The context's thread only.
#pragma once

#include <cstdint>

#include "engine/boot_output.hpp"
#include "engine/core.hpp"
#include "php/worker_run.hpp"

namespace ftm::engine {

class Context;

class Worker final : public php::WorkerSource {
public:
    Worker(Core& core, Context& context) : core_(core), context_(context), output_(core) {}

    // Boots the script, again and again, until the context is to leave or (renew) to start anew. Returns a job that it must
    // not run any more.
    Job* run(bool& renew);

    php::WorkerRequest wait() noexcept override;
    void done() noexcept override;

private:
    void boot();
    void judge(const php::WorkerEnd& end);
    void back_off();
    [[nodiscard]] bool stopping() const;

    Core& core_;
    Context& context_;
    BootOutput output_;
    request::Request boot_;
    Job* job_ = nullptr;   // being served
    Job* next_ = nullptr;  // has arrived behind it
    bool booted_ = false;
    std::uint64_t served_ = 0;  // since the script was booted
    std::uint64_t limit_ = 0;   // of these; 0: none
    unsigned failures_ = 0;     // boots in a row
};

}  // namespace ftm::engine
