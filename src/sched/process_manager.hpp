// pm = static, dynamic, ondemand as a state machine: fpm_pctl_perform_idle_server_maintenance() and
// fpm_pctl_on_socket_accept() with contexts instead of children. One thing is added: a dynamic pool does not let a
// request wait for the next second while it may still grow, because here, unlike there, starting is cheap and known to
// be needed. No I/O, no clock; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ftm::sched {

enum class Manager { static_, dynamic, ondemand };

struct ManagerSettings {
    Manager manager = Manager::static_;
    int max_children = 1;
    int start_servers = 0;
    int min_spare_servers = 0;
    int max_spare_servers = 0;
    int max_spawn_rate = 32;
    std::int64_t idle_timeout_s = 10;
};

struct PoolLoad {
    int running = 0;             // contexts that exist, also those that are starting
    int idle = 0;                // of these
    std::int64_t idle_for_s = 0; // the longest time one of them has had nothing to do
};

class ProcessManager {
public:
    struct Note {
        bool warning = false;  // else for debugging
        std::string text;      // what follows "[pool www] "
    };
    struct Step {
        int start = 0;             // contexts to start
        bool retire = false;       // ask an idle one to leave
        bool max_reached = false;  // counts as "max children reached"
        std::vector<Note> notes;
    };

    explicit ProcessManager(const ManagerSettings& settings) : settings_(settings) {}

    [[nodiscard]] bool grows_and_shrinks() const { return settings_.manager != Manager::static_; }
    // Contexts of a fresh engine. That of an ondemand pool is started because somebody has come.
    [[nodiscard]] int at_start() const;
    [[nodiscard]] Step every_second(const PoolLoad& load);
    // `waiting` requests are queued, nobody is idle, and `starting` contexts will take one each.
    [[nodiscard]] Step on_demand(const PoolLoad& load, int waiting, int starting);

private:
    void reach_max(Step& step, const char* directive);

    ManagerSettings settings_;
    int spawn_rate_ = 1;
    bool warned_max_ = false;
};

}  // namespace ftm::sched
