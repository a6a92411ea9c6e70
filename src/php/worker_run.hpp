// A worker's script: booted once, then called back for each request from inside frankenphp_handle_request().
// Threads: an attached context (php/runtime.hpp). Owner of everything passed in: the caller, until the call returns.
#pragma once

#include "php/classic_run.hpp"
#include "php/responder.hpp"
#include "request/request.hpp"

namespace ftm::php {

// A request that a worker is to serve; `request` and what `script` points to live until done().
struct WorkerRequest {
    request::Request* request = nullptr;  // nullptr: leave the loop
    ResolvedScript script;
    Responder* responder = nullptr;
};

// Where a worker's requests come from. Called from the middle of libphp: noexcept, and never back into PHP.
class WorkerSource {
public:
    // Blocks until there is one.
    virtual WorkerRequest wait() noexcept = 0;
    // The last one has been answered. heap_bytes: what the script's heap has of the system.
    virtual void done(std::size_t heap_bytes) noexcept = 0;

protected:
    ~WorkerSource() = default;
};

struct WorkerEnd {
    RunResult result = RunResult::ok;
    bool booted = false;      // it has asked for a request
    bool in_request = false;  // it ended while serving one; done() has not been called for that
    int exit_status = 0;
};

// `boot` is the request as which the script itself runs, `boot_output` where its own output goes.
WorkerEnd run_worker(request::Request& boot, const ResolvedScript& script, const PoolScripts& pool,
                     Responder& boot_output, WorkerSource& source) noexcept;

}  // namespace ftm::php
