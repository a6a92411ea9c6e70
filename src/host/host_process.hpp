// A pool host as one object: what it owns, and what it does on which event. Its code is in host.cpp (start and loop),
// host_engines.cpp, host_crashes.cpp, host_master.cpp and host_time.cpp. One thread.
#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "host/engine_process.hpp"
#include "host/host.hpp"

namespace ftm::host {

inline constexpr auto kClaimWindow = std::chrono::seconds(2);   // after the master has gone
inline constexpr auto kReloadWindow = std::chrono::seconds(10); // while it executes: it may have to come from a busy disk
inline constexpr auto kReadyTimeout = std::chrono::seconds(10);
inline constexpr auto kKillAfterGiveUp = std::chrono::seconds(1);
inline constexpr auto kLockWatch = std::chrono::milliseconds(50);  // RULES 15
inline constexpr auto kStartBackOff = std::chrono::seconds(1);

inline constexpr auto kMemoryLook = std::chrono::seconds(1);      // pm.max_memory
inline constexpr auto kMemoryInterval = std::chrono::seconds(10);  // RULES 18

inline constexpr int kExitSoftware = 70;

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

class Host {
public:
    explicit Host(HostStart start);

    int run();

private:
    bool start_php();
    void read_page_headers();
    void start_engine(observe::RestartReason reason, bool quietly = false);
    void report_started(const EngineProcess& engine, bool quietly);  // told again, or as php-fpm starts on demand
    [[noreturn]] void become_engine(observe::RestartReason reason, Channel to_host, UniqueFd out, UniqueFd err);
    void on_signal();
    void reap();
    void on_exit(EngineProcess& engine, int status);
    void on_engine_message(EngineProcess& engine, Message& message);
    void on_ready(EngineProcess& engine);
    void succeed_others(EngineProcess& engine);
    void report_ready(pid_t engine);
    void report_left();
    void on_master();
    void on_master_message(Message& message);
    void on_crash();
    void limit_wounded(Clock::time_point now);
    void on_opcache();
    void on_time();
    void look_at_memory(Clock::time_point now);
    void watch_lock(EngineProcess& engine, Clock::time_point now);
    void drain_all(std::chrono::milliseconds deadline, UniqueFd successor, bool php_fpm_follows = false);
    void replace(EngineProcess& old, observe::RestartReason reason);
    [[nodiscard]] int timeout_ms() const;
    [[nodiscard]] EngineProcess* find(pid_t pid);
    [[nodiscard]] EngineProcess* find_serving();
    [[nodiscard]] bool is_serving() const;
    [[nodiscard]] std::chrono::seconds ready_timeout() const;
    [[nodiscard]] bool is_ondemand() const { return pool_.pm == config::ProcessManager::ondemand; }

    const config::Pool& pool_;
    php::RuntimeOptions runtime_;
    std::vector<engine::Listener> listeners_;
    Channel master_;
    observe::Scoreboard board_;
    const UniqueFd access_log_;  // its number is known to engines: a reopened file takes its place
    const pid_t master_pid_;
    Pipe crash_;
    Pipe opcache_;
    UniqueFd signals_;
    int opcache_lock_ = -1;
    engine::PageHeaders page_headers_;

    std::list<EngineProcess> engines_;
    std::vector<UniqueFd> pending_take_over_;  // connections of earlier generations, for the first ready engine
    bool first_generation_ = false;  // no earlier one serves
    observe::RestartReason reason_;  // why this generation, and then its next engine, is started
    bool draining_ = false;
    bool reported_ready_ = false;
    bool reported_left_ = false;
    std::optional<Clock::time_point> memory_look_;  // with pm.max_memory
    std::optional<Clock::time_point> memory_exceeded_;  // when an engine was last replaced for it
    std::optional<Clock::time_point> unclaimed_;    // the master is gone or executing: serve until then
    std::optional<Clock::time_point> start_again_;  // back-off after an engine that never became ready
};

}  // namespace ftm::host
