// Wounded engines and opcache's wish to restart.
#include "host/host_process.hpp"

#include <fcntl.h>
#include <list>
#include <signal.h>
#include <unistd.h>

#include "engine/crash_handler.hpp"
#include "observe/log.hpp"

namespace ftm::host {

using observe::Level;
using observe::log;
using State = EngineProcess::State;

void Host::on_crash()
{
    engine::CrashNote note;
    while (::read(crash_.read.get(), &note, sizeof note) == static_cast<ssize_t>(sizeof note)) {
        EngineProcess* engine = find(note.pid);
        if (engine == nullptr || engine->state == State::wounded) {
            continue;
        }
        engine->state = State::wounded;
        const auto now = Clock::now();
        engine->deadline = now + pool_.pm_drain_timeout;
        if (opcache_lock_ >= 0) {
            engine->lock_watch_ends = now + kLockWatch;
            engine->lock_always_held = true;
        }
        limit_wounded(now);
        if (!draining_ && !is_serving()) {
            start_engine(observe::RestartReason::crash);
        }
    }
}

// Each wounded engine, and each with a stuck context, keeps its threads until its neighbours' requests end. A script
// that crashes or gets stuck again and again must not fill the machine with them: beyond this many the oldest goes at
// once.
void Host::limit_wounded(Clock::time_point now)
{
    constexpr int kMaxWounded = 4;
    int wounded = 0;
    for (auto engine = engines_.rbegin(); engine != engines_.rend(); ++engine) {
        if ((engine->state == State::wounded || engine->stuck) && !engine->gave_up && ++wounded > kMaxWounded) {
            engine->deadline = now;
        }
    }
}

// RULES 15: a healthy neighbour may hold the write lock for an instant, a dead thread holds it for ever.
void Host::watch_lock(EngineProcess& engine, Clock::time_point now)
{
    struct flock probe{};
    probe.l_type = F_WRLCK;
    probe.l_whence = SEEK_SET;
    probe.l_start = 0;
    probe.l_len = 1;
    const bool held = ::fcntl(opcache_lock_, F_GETLK, &probe) == 0 && probe.l_type != F_UNLCK && probe.l_pid == engine.pid;
    engine.lock_always_held = engine.lock_always_held && held;
    if (!engine.lock_always_held) {
        engine.lock_watch_ends.reset();
    } else if (now >= *engine.lock_watch_ends) {
        engine.lock_watch_ends.reset();
        log(Level::warning, "[pool %s] child %d crashed while it wrote to opcache, terminating", pool_.name.c_str(),
            engine.pid);
        ::kill(engine.pid, SIGKILL);
    }
}

void Host::on_opcache()
{
    char bytes[64];
    while (::read(opcache_.read.get(), bytes, sizeof bytes) > 0) {
    }
    if (!draining_) {
        master_.send(Message::Kind::want_generation);
    }
}

}  // namespace ftm::host
