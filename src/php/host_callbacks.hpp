// The noexcept leaves that C calls: the only C++ reachable from libphp (docs/ARCHITECTURE.md, "the wall").
#pragma once

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

}  // namespace ftm::php
