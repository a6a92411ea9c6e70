// The pool's status with what only its engine knows, for the status page and for fpm_get_status(). Any thread.
#pragma once

#include "engine/core.hpp"
#include "ftm_host.h"
#include "observe/pool_status.hpp"

namespace ftm::engine {

// Our own queue plus the kernel's backlog of the pool's listener.
[[nodiscard]] observe::QueueStatus queue_status(const Core& core);

[[nodiscard]] observe::PoolStatus pool_status(Core& core, bool with_processes);

void export_pool(const observe::PoolStatus& status, ftm_pool_status& out) noexcept;
void export_process(const observe::ProcessStatus& process, ftm_process_status& out) noexcept;

}  // namespace ftm::engine
