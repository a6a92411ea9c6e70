// Signals to the master: stop, escalation, reload, reopened logs.
#include "master/master_process.hpp"

#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "master/reload.hpp"
#include "master/systemd.hpp"
#include "observe/log.hpp"

namespace ftm::master {

using namespace std::chrono_literals;
using observe::Level;
using observe::log;
using State = HostProcess::State;

void Master::on_signals()
{
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        switch (info.ssi_signo) {
            case SIGTERM:
            case SIGINT:
                log(Level::notice, "Terminating ..."); // also if that is so already, as php-fpm
                if (stop_signal_ != SIGTERM) {
                    begin_stop(SIGTERM);
                }
                break;
            case SIGQUIT:
                log(Level::notice, "Finishing ...");
                if (stop_signal_ == 0) {
                    begin_stop(SIGQUIT);
                }
                break;
            case SIGUSR1:
                reopen_logs();
                reopen_access_logs();
                break;
            case SIGUSR2:
            case SIGHUP: // Debian's patch 0021 of php-fpm
                log(Level::notice, "Reloading in progress ...");
                if (phase_ == Phase::running) {
                    reload();
                }
                break;
            case SIGCHLD:
                reap();
                break;
            default:
                break;
        }
    }
}

void Master::begin_stop(int signal)
{
    phase_ = Phase::stopping;
    stop_signal_ = signal;
    notify_stopping(start_.config.global.process_control_timeout);
    heartbeat_at_.reset();
    release_output();
    for (Pool& pool : pools_) {
        for (HostProcess& host : pool.hosts) {
            host.channel.send(Message::Kind::stop, {signal});
        }
    }
    // php-fpm's escalation: the next signal after process_control_timeout, then every second (research 3.4).
    escalate_at_ = Clock::now() + start_.config.global.process_control_timeout;
}

void Master::escalate()
{
    const int next = stop_signal_ == SIGQUIT ? SIGTERM : SIGKILL;
    // SIGTERM with the default timeout of 0 must not become SIGKILL in the same instant: hosts need a moment to end.
    if (next == SIGKILL && start_.config.global.process_control_timeout == 0s && stop_signal_ == SIGTERM && !escalated_) {
        escalated_ = true;
        escalate_at_ = Clock::now() + kEscalation;
        return;
    }
    stop_signal_ = next == SIGKILL ? stop_signal_ : next;
    for (Pool& pool : pools_) {
        for (HostProcess& host : pool.hosts) {
            if (next == SIGKILL) {
                for (const auto& [engine, record] : host.engines) {
                    ::kill(engine, SIGKILL);
                }
                ::kill(host.pid, SIGKILL);
            } else {
                host.channel.send(Message::Kind::stop, {next});
            }
        }
        if (next == SIGKILL) {
            for (const auto& [engine, record] : pool.orphans) {
                ::kill(engine, SIGKILL);
            }
        }
    }
    escalate_at_ = Clock::now() + kEscalation;
}

void Master::await_end(const HostProcess& host)
{
    const auto end = Clock::now() + kLastMoments;
    for (reap(); host.alive && Clock::now() < end; reap()) {
        ::poll(nullptr, 0, 5);
    }
}

void Master::reload()
{
    sockets_.export_all(); // the test opens what is not among them
    const BinaryTest test = test_binary(start_.arguments);
    if (!test.refusal.empty()) {
        log(Level::error, "reload refused, the running configuration stays: %s", test.refusal.c_str());
        return;
    }
    notify_reloading();
    ReloadState state;
    state.daemonized = start_.daemonized;
    for (Pool& pool : pools_) {
        on_log(pool);
        for (HostProcess& host : pool.hosts) {
            read_host(pool, host);
            if (host.alive && !host.channel.valid()) { // about to end: the next image would not know who that was
                await_end(host);
            }
        }
    }
    // From here on nobody is reaped: the next image would wait for ever for the end of a host that it cannot see.
    for (Pool& pool : pools_) {
        for (HostProcess& host : pool.hosts) {
            if (!host.alive) {
                continue;
            }
            if (host.state == State::starting && host.engines.empty()) {
                ::kill(host.pid, SIGKILL); // has accepted nothing yet, and the next image starts another
                continue;
            }
            if (!test.takes_over) { // php-fpm accepts as soon as it runs, and would not know these children
                host.channel.send(Message::Kind::drain, {drain_time(pool).count(), 1});
                continue;
            }
            host.channel.send(Message::Kind::reloading);
            state.hosts.push_back({pool.name, host.pid, host.channel.fd(), host.log_read,
                                   host.state == State::draining || !host.channel.valid()});
        }
    }
    if (saved_stderr_.valid()) {
        ::dup2(saved_stderr_.get(), STDERR_FILENO);
    }
    execute(start_.arguments, test.takes_over ? &state : nullptr); // returns only if it failed
    exit_code_ = kExitSoftware;
    begin_stop(SIGTERM);
}

void Master::finish()
{
    reap();
    log(Level::notice, "exiting, bye-bye!");
    pid_file_.remove();
    sockets_.unlink_all();
}

}  // namespace ftm::master
