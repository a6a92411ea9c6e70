#include "sched/process_manager.hpp"

#include <algorithm>

namespace ftm::sched {
namespace {

constexpr int kBusySpawnRate = 8;

std::string number(int value) { return std::to_string(value); }

}  // namespace

int ProcessManager::at_start() const
{
    switch (settings_.manager) {
        case Manager::dynamic:
            return std::max(settings_.start_servers, 1);
        case Manager::ondemand:
            return 1;
        case Manager::static_:
            break;
    }
    return settings_.max_children;
}

// Once until contexts can be started again.
void ProcessManager::reach_max(Step& step, const char* directive)
{
    if (!warned_max_) {
        warned_max_ = true;
        step.max_reached = true;
        step.notes.push_back({true, std::string("server reached ") + directive + " setting (" +
                                        number(settings_.max_children) + "), consider raising it"});
    }
}

ProcessManager::Step ProcessManager::every_second(const PoolLoad& load)
{
    Step step;
    const int active = load.running - load.idle;
    if (settings_.manager == Manager::ondemand) {
        step.notes.push_back({false, "currently " + number(active) + " active children, " + number(load.idle) +
                                         " spare children"});
        step.retire = load.idle > 0 && load.idle_for_s > settings_.idle_timeout_s;
        return step;
    }
    if (settings_.manager != Manager::dynamic) {
        return step;
    }
    step.notes.push_back({false, "currently " + number(active) + " active children, " + number(load.idle) +
                                     " spare children, " + number(load.running) + " running children. Spawning rate " +
                                     number(spawn_rate_)});
    if (load.idle > settings_.max_spare_servers) {
        step.retire = true;
        spawn_rate_ = 1;
        return step;
    }
    if (load.idle >= settings_.min_spare_servers) {
        spawn_rate_ = 1;
        return step;
    }
    if (load.running >= settings_.max_children) {
        reach_max(step, "pm.max_children");
        spawn_rate_ = 1;
        return step;
    }
    if (spawn_rate_ >= kBusySpawnRate) {
        step.notes.push_back({true, "seems busy (you may need to increase pm.start_servers, or pm.min/max_spare_servers), "
                                    "spawning " + number(spawn_rate_) + " children, there are " + number(load.idle) +
                                        " idle, and " + number(load.running) + " total children"});
    }
    step.start = std::min({spawn_rate_, settings_.min_spare_servers - load.idle, settings_.max_children - load.running});
    warned_max_ = false;
    step.notes.push_back({false, number(step.start) + " child(ren) have been created dynamically"});
    if (spawn_rate_ < settings_.max_spawn_rate) {
        spawn_rate_ *= 2;
    }
    return step;
}

ProcessManager::Step ProcessManager::on_demand(const PoolLoad& load, int waiting, int starting)
{
    Step step;
    if (settings_.manager == Manager::static_ || waiting <= starting) {
        return step;
    }
    step.start = std::max(std::min(waiting - starting, settings_.max_children - load.running), 0);
    if (settings_.manager == Manager::ondemand) {
        if (step.start == 0) {
            reach_max(step, "max_children");
        } else {
            warned_max_ = false;
            step.notes.push_back({false, "got accept without idle child available .... I forked"});
        }
    }
    return step;
}

}  // namespace ftm::sched
