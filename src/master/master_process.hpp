// The master process as one object: what it owns, and what it does on which event. Its code is in master.cpp (start),
// master_loop.cpp, master_hosts.cpp, master_contexts.cpp,
// master_output.cpp and master_signals.cpp. One thread.
#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <set>
#include <string>

#include "master/emergency_restart.hpp"
#include "master/listening.hpp"
#include "master/master.hpp"
#include "master/pid_file.hpp"
#include "master/pool.hpp"
#include "master/process_limit.hpp"
#include "observe/log.hpp"

namespace ftm::master {

inline constexpr auto kStartTimeout = std::chrono::minutes(10);           // PHP's start in the host, with preloading
inline constexpr auto kReadyTimeout = std::chrono::seconds(12);           // then; the host itself gives an engine 10 s
inline constexpr auto kLeaveTime = std::chrono::seconds(1);               // an old engine leaves its listeners at once
inline constexpr auto kDrainMargin = std::chrono::seconds(5);             // a host's own deadline comes first
inline constexpr auto kGenerationInterval = std::chrono::seconds(2);      // RULES 14
inline constexpr auto kMaxBackOff = std::chrono::seconds(30);
inline constexpr auto kLastMoments = std::chrono::milliseconds(500);      // of a host that has closed its channel
inline constexpr auto kHoldOutput = std::chrono::seconds(2);
inline constexpr auto kEscalation = std::chrono::seconds(1);

inline constexpr int kExitOk = 0;
inline constexpr int kExitSoftware = 70;
inline constexpr int kExitConfig = 78;

class Master {
public:
    explicit Master(MasterStart start)
        : start_(std::move(start)),
          emergency_(start_.config.global.emergency_restart_threshold, start_.config.global.emergency_restart_interval)
    {
    }
    int run();

private:
    enum class Phase { running, stopping, finished };

    bool initialize();
    bool open_further_listeners();
    static bool is_child(pid_t pid);
    void adopt_inherited();
    void tell_parent(bool ok);
    void loop_once();
    void on_signals();
    void on_host_message(Pool& pool, HostProcess& host, Message& message);
    void on_log(Pool& pool);
    void on_worker_message(Pool& pool, const observe::LogDatagram& message);
    void read_output(Pool& pool, pid_t engine, OutputPipes& output);
    void on_output(Pool& pool, pid_t engine, OutputPipes& output, WorkerOutput::From from);
    [[nodiscard]] WorkerOutput worker_output(const Pool& pool, pid_t pid) const;
    void watch_files(Pool& pool);
    void on_changed_files(Pool& pool, const FileWatch::Change& change);
    void on_time();
    void reap();
    void on_host_exit(Pool& pool, HostProcess& host, int status);
    void read_host(Pool& pool, HostProcess& host);

    void start_host(Pool& pool);
    [[noreturn]] void become_host(Pool& pool, Channel to_master);
    void on_want_contexts(HostProcess& host, const Message& message);
    [[nodiscard]] int running_contexts() const;
    static void warn_of_limit();
    void on_generation_ready(Pool& pool, HostProcess& fresh);
    void on_generation_failed(Pool& pool, HostProcess& failed, const std::string& why);
    void on_php_started(Pool& pool);
    [[nodiscard]] bool is_first_start(const Pool& pool, const HostProcess& host) const;
    void give_up_start();
    void drain(Pool& pool, HostProcess& old, UniqueFd successor);
    void maybe_announce();
    void release_output();
    void heartbeat();
    void begin_stop(int signal);
    void escalate();
    void reopen_logs();
    void reopen_access_logs();
    void reload();
    void await_end(const HostProcess& host);
    void finish();
    [[nodiscard]] bool any_host() const;
    [[nodiscard]] bool waits_for_clients(const Pool& pool, const HostProcess& host) const;
    [[nodiscard]] int timeout_ms() const;
    [[nodiscard]] std::chrono::milliseconds drain_time(const Pool& pool) const;

    MasterStart start_;
    ListeningSockets sockets_;
    PidFile pid_file_;
    UniqueFd signals_;
    UniqueFd saved_stderr_;
    std::list<Pool> pools_;
    Phase phase_ = Phase::running;
    bool announced_ = false;
    int exit_code_ = kExitOk;
    std::set<pid_t> children_before_; // of who executed us, so worth a warning when they end
    int stop_signal_ = 0;
    bool escalated_ = false;
    std::optional<Clock::time_point> escalate_at_;
    // What workers say at their start comes after "ready to handle connections", as in php-fpm, but not later than this.
    std::optional<Clock::time_point> hold_output_until_;
    std::optional<Clock::time_point> heartbeat_at_;
    std::uint64_t requests_told_ = 0;  // to systemd
    EmergencyRestart emergency_;
    bool emergency_due_ = false;
    bool fewer_contexts_ = false;  // because of process.max
    ProcessLimit limit_{0, false};
};

}  // namespace ftm::master
