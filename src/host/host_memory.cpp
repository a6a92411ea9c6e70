// pm.max_memory: an engine that has more for itself than that is replaced (RULES 18). Its successor starts first; what it
// is doing, it finishes.
#include "host/host_process.hpp"

#include <cstdio>
#include <cstring>
#include <list>
#include <memory>

#include "observe/log.hpp"

namespace ftm::host {
namespace {

// RssAnon of /proc/PID/status: without opcache's shared memory and what files share. Bytes; 0: not known.
std::int64_t private_memory(pid_t pid)
{
    const std::string path = "/proc/" + std::to_string(pid) + "/status";
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
    char line[256];
    long long kibibytes = 0;
    while (file != nullptr && std::fgets(line, sizeof line, file.get()) != nullptr) {
        if (std::sscanf(line, "RssAnon: %lld kB", &kibibytes) == 1) {
            break;
        }
    }
    return kibibytes * 1024;
}

}  // namespace

void Host::look_at_memory(Clock::time_point now)
{
    memory_look_ = now + kMemoryLook;
    if (draining_ || (memory_exceeded_ && now < *memory_exceeded_ + kMemoryInterval)) {
        return;
    }
    for (EngineProcess& engine : engines_) {
        if (engine.state != EngineProcess::State::ready || engine.expected_to_exit) {
            continue;
        }
        const std::int64_t used = private_memory(engine.pid);
        if (used > pool_.pm_max_memory) {
            memory_exceeded_ = now;
            observe::log(observe::Level::notice, "[pool %s] child %d has %lld MiB of private memory (pm.max_memory = %lld MiB), replacing it",
                         pool_.name.c_str(), engine.pid, static_cast<long long>(used >> 20),
                         static_cast<long long>(pool_.pm_max_memory >> 20));
            replace(engine, observe::RestartReason::max_memory);
            return;
        }
    }
}

}  // namespace ftm::host
