// The pool's status with what only its engine knows, for the status page and for fpm_get_status(). Any thread.
#pragma once

#include "engine/core.hpp"
#include "ftm_host.h"
#include "observe/pool_status.hpp"

namespace ftm::engine {

// Our own queue plus the kernel's backlog of the pool's listener.
[[nodiscard]] observe::QueueStatus queue_status(const Core& core);

[[nodiscard]] observe::PoolStatus pool_status(Core& core, bool with_processes);

// What one fpm_get_status() reads: pool() first, then its processes. One thread.
class StatusForScript {
public:
    bool pool(Core& core, ftm_pool_status& out) noexcept;
    // False: there is no such one.
    bool process(unsigned index, ftm_process_status& out) const noexcept;

private:
    observe::PoolStatus status_;
};

}  // namespace ftm::engine
