// pm = dynamic and ondemand: contexts come and go as sched/process_manager.hpp says. An ondemand engine that has neither
// contexts nor connections left goes away altogether (RULES 24).
#include "engine/standby.hpp"

#include <unistd.h>

#include <algorithm>

#include "engine/clock.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;

constexpr auto kMaintenance = 1s;  // FPM_IDLE_SERVER_MAINTENANCE_HEARTBEAT
constexpr std::int64_t kSecondUs = 1'000'000;

}  // namespace

void Standby::schedule_maintenance()
{
    maintenance_timer_.expires_after(kMaintenance);
    maintenance_timer_.async_wait([this](const ErrorCode& error) {
        if (!error && !stopping_ && !core_.draining.load()) {
            maintain();
            schedule_maintenance();
        }
    });
}

sched::PoolLoad Standby::load() const
{
    sched::PoolLoad load;
    load.idle = static_cast<int>(core_.idle_of(false).idle_contexts());
    const std::int64_t now = now_us();
    for (const auto& context : contexts_) {
        if (context->is_worker()) {
            continue;
        }
        load.running += context->alive() ? 1 : 0;
        if (context->alive() && context->attached() && context->running() == 0) {
            load.idle_for_s = std::max(load.idle_for_s, now / kSecondUs - context->last_active_us() / kSecondUs);
        }
    }
    return load;
}

void Standby::maintain()
{
    if (!told_ready_ || wounded_ || asleep_) {
        return;
    }
    core_.idle_of(false).forget_leaving(); // the wish of a second ago, if nobody was idle then
    tell_of_contexts(0);
    manage(manager_.every_second(load()));
    maybe_go_to_sleep();
}

// A request that waits does not wait for the next second while contexts may still be added.
void Standby::start_on_demand()
{
    Idle& idle = core_.idle_of(false);
    if (!manager_.grows_and_shrinks() || wounded_ || idle.queued() == 0 || !idle.every_context_is_busy() ||
        asked_for_ != 0 || now_us() < ask_again_us_) {
        return;
    }
    const auto starting = std::count_if(contexts_.begin(), contexts_.end(), [](const auto& context) {
        return !context->is_worker() && context->alive() && !context->settled();
    });
    manage(manager_.on_demand(load(), static_cast<int>(idle.queued()), static_cast<int>(starting)));
}

// Of a worker that has served enough. When all worker contexts are alive, one of them is about to end, which calls again.
void Standby::start_successor()
{
    if (!core_.succession.wanted() || wounded_ || core_.draining.load()) {
        return;
    }
    const auto free = std::find_if(contexts_.begin(), contexts_.end(), [](const auto& context) {
        return context->is_worker() && !context->alive();
    });
    if (free == contexts_.end()) {
        return;
    }
    if (const auto history = core_.succession.begin((*free)->number())) {
        (*free)->history() = *history;
        if (!(*free)->start()) {
            core_.succession.refuse();
        }
    }
}

void Standby::manage(const sched::ProcessManager::Step& step)
{
    const char* pool = core_.settings.pool->name.c_str();
    if (step.max_reached) {
        core_.board.counters().max_children_reached.fetch_add(1);
    }
    if (!core_.settings.pool->asks_for_contexts || core_.draining.load()) {
        start_contexts(step.start);
    } else if (step.start > 0 && asked_for_ == 0) {
        tell_of_contexts(step.start);
    }
    for (const sched::ProcessManager::Note& note : step.notes) {
        observe::log(note.warning ? observe::Level::warning : observe::Level::debug, "[pool %s] %s", pool,
                     note.text.c_str());
    }
    if (step.retire) {
        core_.wake(core_.idle_of(false).let_one_leave());
    }
}

void Standby::start_contexts(int count)
{
    for (const auto& context : contexts_) {
        if (count > 0 && !context->is_worker() && !context->alive()) {
            if (!context->start()) {
                observe::log(observe::Level::error, "[pool %s] context %u cannot be started: no thread",
                             core_.settings.pool->name.c_str(), context->number());
                break;
            }
            --count;
        }
    }
}

// With process.max the master keeps count.
void Standby::tell_of_contexts(int wanted)
{
    const int now = static_cast<int>(core_.live_contexts.load());
    if (core_.settings.pool->asks_for_contexts && asked_for_ == 0 && (wanted != 0 || now != told_contexts_)) {
        told_contexts_ = now;
        asked_for_ = wanted;
        core_.host.send(Message::Kind::want_contexts, {::getpid(), now, wanted});
    }
}

// The host answers with an order to drain, behind whatever it has sent before. New connections wait in the listener's
// backlog: the master sees them as soon as it knows that this engine has gone.
void Standby::maybe_go_to_sleep()
{
    if (core_.settings.manager.manager != sched::Manager::ondemand || asleep_ || wounded_ || !told_ready_ ||
        core_.draining.load() || core_.live_contexts.load() != 0 || core_.sessions.open() != 0 ||
        core_.queued() != 0 || !predecessors_.empty()) {
        return;
    }
    asleep_ = true;
    leave_listeners(false);
    core_.host.send(Message::Kind::engine_idle, {});
}

}  // namespace ftm::engine
