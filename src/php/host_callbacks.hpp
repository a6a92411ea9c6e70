// The noexcept leaves that C calls: the only C++ reachable from libphp (docs/ARCHITECTURE.md, "the wall").
#pragma once

#include "ftm_engine.h"
#include "ftm_host.h"
#include "php/classic_run.hpp"

namespace ftm::php {

// What `void* request` points to in every ftm_host callback. Lives on the stack of run_classic().
struct RunningRequest {
    request::Request& request;
    Responder& responder;
    const PoolScripts& pool;
};

const ftm_host& host_callbacks() noexcept;

// Pointers into both.
ftm_request_info request_info(const request::Request& request, const ResolvedScript& script) noexcept;

RunResult run_result(ftm_run_result result) noexcept;

// worker_run.cpp
void* worker_wait(void* boot, ftm_request_info* info) noexcept;
void worker_done(void* boot, std::size_t heap_bytes) noexcept;

}  // namespace ftm::php
