// Hosts as the master sees them: messages, generations, deaths.
#include "master/master_process.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "master/child_exit.hpp"
#include "master/slowlog.hpp"
#include "master/systemd.hpp"
#include "observe/log.hpp"

namespace ftm::master {

using namespace std::chrono_literals;
using observe::Level;
using observe::log;
using State = HostProcess::State;

void Master::read_host(Pool& pool, HostProcess& host)
{
    while (host.channel.valid()) {
        Message message;
        const Channel::Receive got = host.channel.receive(message);
        if (got == Channel::Receive::nothing) {
            return;
        }
        if (got == Channel::Receive::closed) {
            host.channel.close();
            return;
        }
        on_host_message(pool, host, message);
    }
}

void Master::on_host_message(Pool& pool, HostProcess& host, Message& message)
{
    switch (message.kind) {
        case Message::Kind::engine_started: {
            on_php_started(pool);
            if (host.state == State::starting) { // PHP has started, preloading included
                host.deadline = Clock::now() + kReadyTimeout +
                                (pool.config != nullptr && pool.config->worker_script ? pool.config->worker_boot_timeout : 0s);
            }
            EngineRecord record;
            record.started = Clock::now();
            record.contexts = pool.config != nullptr && !pool.config->asks_for_contexts ? pool.config->pm_max_children : 1;
            if (message.fds.size() == 2) {
                record.output.out = std::move(message.fds[0]);
                record.output.err = std::move(message.fds[1]);
                for (const UniqueFd* fd : {&record.output.out, &record.output.err}) {
                    ::fcntl(fd->get(), F_SETFL, O_RDONLY | O_NONBLOCK);
                }
            }
            const auto pid = static_cast<pid_t>(message.args[0]);
            const bool quiet = message.args[1] != 0 || (host.asked && host.engines.empty()) || emergency_due_;
            const Level level = host.state == State::serving && !quiet ? Level::notice : Level::debug;
            host.engines[pid] = std::move(record);
            log(level, "[pool %s] child %d started", pool.name.c_str(), pid);
            break;
        }
        case Message::Kind::engine_ready:
            on_php_started(pool);
            if (host.state == State::starting) {
                on_generation_ready(pool, host);
            }
            break;
        case Message::Kind::engine_exited: {
            const auto pid = static_cast<pid_t>(message.args[0]);
            on_log(pool);
            if (auto it = host.engines.find(pid); it != host.engines.end()) {
                read_output(pool, pid, it->second.output);
                host.engines.erase(it);
            }
            host.asked = host.asked && !host.engines.empty();
            const bool quiet = message.args[3] != 0 || phase_ != Phase::running || host.state == State::draining;
            log_child_exit(pool.name, pid, static_cast<int>(message.args[1]), std::chrono::microseconds(message.args[2]),
                           quiet);
            emergency_due_ |= emergency_.child_ended(
                static_cast<int>(message.args[1]),
                std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()));
            break;
        }
        case Message::Kind::want_contexts:
            on_want_contexts(host, message);
            break;
        case Message::Kind::slow_trace:
            if (pool.config != nullptr && pool.config->slowlog) {
                on_log(pool); // "executing too slow" comes first
                write_slow_trace(*pool.config, static_cast<pid_t>(message.args[0]), message.text);
            }
            break;
        case Message::Kind::want_generation:
            if (host.state == State::serving && !pool.wants_generation) {
                pool.wants_generation = true;
                pool.reason = observe::RestartReason::opcache;
                log(Level::notice, "[pool %s] opcache asked for a restart: a new generation starts", pool.name.c_str());
            }
            break;
        case Message::Kind::left_listeners:
            host.leaves_by.reset();
            maybe_announce();
            break;
        case Message::Kind::failed:
            on_generation_failed(pool, host, message.text);
            break;
        default:
            break;
    }
}

void Master::on_generation_ready(Pool& pool, HostProcess& fresh)
{
    fresh.state = State::serving;
    fresh.deadline.reset();
    pool.failures = 0;
    pool.ready_once = true;
    for (HostProcess& old : pool.hosts) {
        if (&old == &fresh || old.state != State::serving) {
            continue;
        }
        if (!old.hands_over) { // RULES 21
            drain(pool, old, {});
            continue;
        }
        if (old.engines.empty()) { // ondemand, and nobody is there
            drain(pool, old, {});
            continue;
        }
        auto [for_new, for_old] = Channel::make();
        fresh.channel.send(Message::Kind::take_over, {}, {}, {for_new.fd()});
        drain(pool, old, for_old.release());
    }
    maybe_announce();
}

void Master::drain(Pool& pool, HostProcess& old, UniqueFd successor)
{
    std::vector<int> fds;
    if (successor.valid()) {
        fds.push_back(successor.get());
    }
    const auto time = drain_time(pool);
    old.state = State::draining;
    old.leaves_by = Clock::now() + kLeaveTime;
    old.deadline = Clock::now() + time + kDrainMargin;
    old.channel.send(Message::Kind::drain, {time.count()}, {}, fds);
}

void Master::on_generation_failed(Pool& pool, HostProcess& failed, const std::string& why)
{
    failed.deadline.reset();
    log(Level::error, "[pool %s] %s", pool.name.c_str(), why.c_str());
    if (is_first_start(pool, failed)) {
        give_up_start();
    }
}

// Nobody serves this pool yet: where php-fpm's start would fail, ours does.
bool Master::is_first_start(const Pool& pool, const HostProcess& host) const
{
    const bool others = std::any_of(pool.hosts.begin(), pool.hosts.end(),
                                    [&](const auto& h) { return &h != &host && h.state == State::serving; });
    return !others && !pool.ready_once && !announced_ && start_.inherited.hosts.empty();
}

void Master::give_up_start()
{
    log(Level::error, "FPM initialization failed");
    tell_parent(false);
    exit_code_ = kExitSoftware;
    begin_stop(SIGTERM);
}

void Master::on_php_started(Pool& pool)
{
    pool.php_started = true;
    if (std::all_of(pools_.begin(), pools_.end(), [](const Pool& p) { return p.config == nullptr || p.php_started; })) {
        tell_parent(true);
    }
}

void Master::maybe_announce()
{
    if (announced_ || phase_ != Phase::running) {
        return;
    }
    const bool all = std::all_of(pools_.begin(), pools_.end(),
                                 [](const Pool& pool) { return pool.config == nullptr || pool.ready_once; });
    const auto now = Clock::now();
    const bool old_ones_accept = std::any_of(pools_.begin(), pools_.end(), [&](const Pool& pool) {
        return std::any_of(pool.hosts.begin(), pool.hosts.end(),
                           [&](const HostProcess& host) { return host.alive && host.leaves_by && now < *host.leaves_by; });
    });
    if (all && !old_ones_accept) {
        announced_ = true;
        log(Level::notice, "ready to handle connections");
        notify_ready();
        release_output();
        const auto interval = start_.config.global.systemd_interval.value_or(0ms);
        if (interval > 0ms) {
            heartbeat_at_ = Clock::now() + interval;
            log(Level::notice, "systemd monitor interval set to %dms", static_cast<int>(interval.count()));
        } else {
            log(Level::notice, "systemd monitor disabled");
        }
    }
}

void Master::heartbeat()
{
    const config::Global& global = start_.config.global;
    Heartbeat told;
    told.interval = *global.systemd_interval;
    told.watchdog = global.systemd_watchdog;
    for (Pool& pool : pools_) {
        if (pool.board.valid()) {
            const observe::PoolFigures figures = pool.board.figures();
            told.active += figures.active;
            told.idle += figures.idle;
            told.requests += pool.board.counters().accepted.load();
            told.slow += pool.board.counters().slow_requests.load();
        }
    }
    told.new_requests = told.requests - std::exchange(requests_told_, told.requests);
    notify_status(told);
    heartbeat_at_ = Clock::now() + told.interval;
}

void Master::reap()
{
    int status = 0;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        bool known = false;
        for (Pool& pool : pools_) {
            for (HostProcess& host : pool.hosts) {
                if (host.pid == pid && host.alive) {
                    known = true;
                    read_host(pool, host);
                    on_log(pool);
                    host.alive = false;
                    on_host_exit(pool, host, status);
                } else if (const auto it = pool.orphans.find(pid); !known && it != pool.orphans.end()) {
                    known = true;
                    const auto lifetime = Clock::now() - it->second.started;
                    on_log(pool);
                    read_output(pool, pid, it->second.output);
                    pool.orphans.erase(it);
                    pool.board.valid() ? pool.board.release_pid(pid) : void();
                    log_child_exit(pool.name, pid, status,
                                   std::chrono::duration_cast<std::chrono::microseconds>(lifetime), phase_ != Phase::running);
                }
            }
        }
        if (!known) {
            log_unknown_exit(pid, status, children_before_.erase(pid) == 0);
        }
    }
}

void Master::on_host_exit(Pool& pool, HostProcess& host, int status)
{
    for (auto& [engine, record] : host.engines) {
        pool.orphans[engine] = std::move(record);
    }
    if (phase_ != Phase::running || host.state == State::draining) {
        return;
    }
    log_host_exit(pool.name, host.pid, status,
                  std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - host.started));
    if (pool.config == nullptr) {
        return;
    }
    if (host.state == State::starting && !pool.php_started && WIFEXITED(status) && is_first_start(pool, host)) {
        give_up_start(); // PHP has ended the process itself, as it ends php-fpm's: it would do so again
    } else if (host.state == State::starting) {
        const auto back_off = std::min<std::chrono::seconds>(kMaxBackOff, std::chrono::seconds(1 << std::min(pool.failures, 5u)));
        ++pool.failures;
        pool.start_again = Clock::now() + back_off;
    } else {
        pool.start_again = Clock::now();
        pool.reason = observe::RestartReason::crash;
    }
}

}  // namespace ftm::master
