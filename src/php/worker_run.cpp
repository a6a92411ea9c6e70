#include "php/worker_run.hpp"

#include <optional>

#include "ftm_engine.h"
#include "php/host_callbacks.hpp"

namespace ftm::php {
namespace {

struct BootRequest : RunningRequest {
    WorkerSource& source;
    std::optional<RunningRequest> current;
};

BootRequest& boot_request(void* boot) noexcept
{
    return static_cast<BootRequest&>(*static_cast<RunningRequest*>(boot));
}

}  // namespace

void* worker_wait(void* boot, ftm_request_info* info) noexcept
{
    BootRequest& self = boot_request(boot);
    const WorkerRequest next = self.source.wait();
    if (next.request == nullptr) {
        return nullptr;
    }
    *info = request_info(*next.request, next.script);
    return &self.current.emplace(RunningRequest{*next.request, *next.responder, self.pool});
}

void worker_done(void* boot, std::size_t heap_bytes) noexcept
{
    BootRequest& self = boot_request(boot);
    self.current.reset();
    self.source.done(heap_bytes);
}

WorkerEnd run_worker(request::Request& boot, const ResolvedScript& script, const PoolScripts& pool,
                     Responder& boot_output, WorkerSource& source) noexcept
{
    BootRequest running{{boot, boot_output, pool}, source, std::nullopt};
    const ftm_request_info info = request_info(boot, script);
    ftm_worker_end end{};
    WorkerEnd result;
    result.result = run_result(ftm_run_worker(static_cast<RunningRequest*>(&running), &info, &end));
    result.booted = end.booted != 0;
    result.in_request = end.in_request != 0;
    result.exit_status = end.exit_status;
    return result;
}

}  // namespace ftm::php
