// Deadlines of a host and of its engines.
#include "host/host_process.hpp"

#include <algorithm>
#include <list>
#include <signal.h>

#include "observe/log.hpp"

namespace ftm::host {

using observe::Level;
using observe::log;
using State = EngineProcess::State;

// RULES 20
std::chrono::seconds Host::ready_timeout() const
{
    return pool_.worker_script ? pool_.worker_boot_timeout : std::chrono::seconds(kReadyTimeout);
}

int Host::timeout_ms() const
{
    std::optional<Clock::time_point> next;
    const auto consider = [&](const std::optional<Clock::time_point>& when) {
        if (when && (!next || *when < *next)) {
            next = when;
        }
    };
    consider(unclaimed_);
    consider(start_again_);
    consider(memory_look_);
    bool polling = false;
    for (const EngineProcess& engine : engines_) {
        consider(engine.deadline);
        polling = polling || engine.lock_watch_ends.has_value();
    }
    if (polling) {
        return 5;
    }
    if (!next) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
    return static_cast<int>(std::clamp<long>(left, 0, 60'000));
}

void Host::on_time()
{
    const auto now = Clock::now();
    if (unclaimed_ && now >= *unclaimed_) {
        unclaimed_.reset();
        for (EngineProcess& engine : engines_) { // nobody will read them: EPIPE, not a full pipe
            engine.out_read.reset();
            engine.err_read.reset();
        }
        drain_all(pool_.pm_drain_timeout, {}, true);
    }
    if (start_again_ && now >= *start_again_) {
        start_again_.reset();
        if (!draining_ && !is_serving()) {
            start_engine(reason_);
        }
    }
    if (memory_look_ && now >= *memory_look_) {
        look_at_memory(now);
    }
    for (EngineProcess& engine : engines_) {
        if (engine.lock_watch_ends) {
            watch_lock(engine, now);
        }
        if (!engine.deadline || now < *engine.deadline) {
            continue;
        }
        if (engine.state == State::wounded && !engine.gave_up) {
            engine.gave_up = true;
            engine.channel.send(Message::Kind::give_up);
            engine.deadline = now + kKillAfterGiveUp;
            continue;
        }
        if (engine.state == State::starting) {
            log(Level::error, "[pool %s] child %d did not become ready within %d seconds", pool_.name.c_str(), engine.pid,
                static_cast<int>(ready_timeout().count()));
        }
        ::kill(engine.pid, SIGKILL);
        engine.deadline.reset();
    }
}

}  // namespace ftm::host
