// Engines of a host: fork, readiness, replacement, exit.
#include "host/host_process.hpp"

#include <algorithm>
#include <fcntl.h>
#include <list>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.hpp"
#include "engine/engine.hpp"
#include "observe/log.hpp"

namespace ftm::host {

using State = EngineProcess::State;

void Host::start_engine(observe::RestartReason reason, bool quietly)
{
    reason_ = reason; // also of the next one, should this one never become ready
    auto [ours, theirs] = Channel::make();
    UniqueFd out_read, out_write, err_read, err_write;
    if (pool_.catch_workers_output) {
        for (auto [read, write] : {std::pair{&out_read, &out_write}, std::pair{&err_read, &err_write}}) {
            int fds[2];
            FTM_CHECK(::pipe2(fds, O_CLOEXEC) == 0);
            read->reset(fds[0]);
            write->reset(fds[1]);
        }
    } else {
        out_write.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        err_write.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        ours.close();
        out_read.reset();
        err_read.reset();
        become_engine(reason, std::move(theirs), std::move(out_write), std::move(err_write));
    }
    if (pid < 0) {
        observe::log_syserror("[pool %s] fork() failed", pool_.name.c_str());
        start_again_ = Clock::now() + kStartBackOff;
        return;
    }
    EngineProcess engine;
    engine.pid = pid;
    engine.channel = std::move(ours);
    engine.started = Clock::now();
    engine.deadline = engine.started + ready_timeout();
    engine.out_read = std::move(out_read);
    engine.err_read = std::move(err_read);
    engines_.push_back(std::move(engine));
    report_started(engines_.back(), quietly);
}

void Host::report_started(const EngineProcess& engine, bool quietly)
{
    std::vector<int> fds;
    if (engine.out_read.valid()) {
        fds = {engine.out_read.get(), engine.err_read.get()};
    }
    master_.send(Message::Kind::engine_started, {engine.pid, quietly ? 1 : 0}, {}, fds);
}

void Host::become_engine(observe::RestartReason reason, Channel to_host, UniqueFd out, UniqueFd err)
{
    engine::EngineStart start;
    start.pool = &pool_;
    start.listeners = std::move(listeners_);
    start.host = std::move(to_host);
    start.board = &board_;
    start.crash_pipe = crash_.write.get();
    start.page_headers = page_headers_;
    start.access_log = access_log_.get();
    start.master = master_pid_;
    start.reason = reason;
    start.may_do_without_workers =
        (first_generation_ || reported_ready_) && std::none_of(engines_.begin(), engines_.end(), [](const EngineProcess& engine) {
            return engine.state == State::ready;
        });
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(err.get(), STDERR_FILENO);
    out.reset();
    err.reset();
    engines_.clear();
    master_.close();
    signals_.reset();
    crash_.read.reset();
    opcache_.read.reset();
    pending_take_over_.clear();
    ::_exit(engine::run_engine(std::move(start)));
}

void Host::on_engine_message(EngineProcess& engine, Message& message)
{
    if (message.kind == Message::Kind::engine_ready) {
        on_ready(engine);
    } else if (message.kind == Message::Kind::want_successor) {
        engine.stuck = engine.stuck || message.args[0] == 1;
        engine.quits = engine.quits || message.args[0] == 2;
        if (!draining_ && engine.state == State::ready && !engine.expected_to_exit) {
            replace(engine, engine.stuck ? observe::RestartReason::timeout : observe::RestartReason::reload);
        }
        if (engine.stuck) {
            limit_wounded(Clock::now());
        }
    } else if (message.kind == Message::Kind::left_listeners) {
        engine.accepts = false;
        report_left();
    } else if (message.kind == Message::Kind::want_contexts) {
        master_.send(Message::Kind::want_contexts, message.args);
    } else if (message.kind == Message::Kind::slow_trace) {
        master_.send(Message::Kind::slow_trace, {engine.pid}, message.text);
    } else if (message.kind == Message::Kind::engine_idle && engine.state == State::ready && !draining_) {
        const auto time = std::chrono::milliseconds(pool_.pm_drain_timeout);
        engine.state = State::draining;
        engine.expected_to_exit = true;
        engine.hands_over = true;
        engine.deadline = Clock::now() + time + kKillAfterGiveUp;
        engine.channel.send(Message::Kind::drain, {time.count()});
    }
}

// The master waits for it before it says that the next generation is ready: from then on no answer is of the old code.
void Host::report_left()
{
    const bool accepts = std::any_of(engines_.begin(), engines_.end(), [](const EngineProcess& engine) {
        return engine.accepts && engine.state != State::wounded;
    });
    if (draining_ && !accepts && !reported_left_) {
        reported_left_ = true;
        master_.send(Message::Kind::left_listeners, {});
    }
}

void Host::report_ready(pid_t engine)
{
    if (!reported_ready_) {
        reported_ready_ = true;
        master_.send(Message::Kind::engine_ready, {engine});
    }
}

void Host::on_ready(EngineProcess& engine)
{
    if (engine.state == State::wounded) { // it accepts before it says so: its first request may have crashed it by now
        return;
    }
    if (engine.state == State::starting) { // else it is being drained, but connections may come to it on their way
        engine.state = State::ready;
        engine.deadline.reset();
    }
    report_ready(engine.pid);
    for (const UniqueFd& predecessor : pending_take_over_) {
        engine.channel.send(Message::Kind::take_over, {}, {}, {predecessor.get()});
    }
    pending_take_over_.clear();
    if (!draining_) {
        succeed_others(engine);
    }
}

// Whoever shall leave, and has nobody to leave its connections to, leaves them to this one.
void Host::succeed_others(EngineProcess& engine)
{
    for (EngineProcess& old : engines_) {
        if (&old != &engine && (old.state == State::wounded || old.expected_to_exit) && !old.hands_over) {
            auto [for_new, for_old] = Channel::make();
            old.hands_over = true;
            old.successor = engine.pid;
            if (old.state != State::wounded) {
                old.deadline = Clock::now() + pool_.pm_drain_timeout + ready_timeout();
            }
            engine.channel.send(Message::Kind::take_over, {}, {}, {for_new.fd()});
            old.channel.send(Message::Kind::drain, {std::chrono::milliseconds(pool_.pm_drain_timeout).count()}, {},
                             {for_old.fd()});
        }
    }
}

void Host::replace(EngineProcess& old, observe::RestartReason reason)
{
    old.expected_to_exit = true; // serves on until its successor can
    start_engine(reason);
}

void Host::on_exit(EngineProcess& engine, int status)
{
    const auto lifetime = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - engine.started);
    board_.release_pid(engine.pid);
    const bool expected = draining_ || (engine.expected_to_exit && !engine.stuck && !engine.quits);
    master_.send(Message::Kind::engine_exited, {engine.pid, status, lifetime.count(), expected ? 1 : 0});
    const bool never_ready = engine.state == State::starting;
    const auto why = engine.stuck ? observe::RestartReason::timeout : observe::RestartReason::crash;
    const bool nobody_came = is_ondemand() && engine.expected_to_exit && pending_take_over_.empty();
    for (EngineProcess& other : engines_) { // what they have not sent it yet is for the next one
        if (other.successor == engine.pid) {
            other.hands_over = false;
            other.successor = -1;
        }
    }
    engines_.remove_if([&](const EngineProcess& e) { return &e == &engine; });
    report_left();
    if (EngineProcess* const serving = find_serving(); serving != nullptr && !draining_) {
        succeed_others(*serving);
    }
    if (draining_ || is_serving() || start_again_ || nobody_came) {
        return;
    }
    if (never_ready) {
        start_again_ = Clock::now() + kStartBackOff;
    } else {
        start_engine(why);
    }
}

void Host::reap()
{
    int status = 0;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (EngineProcess* engine = find(pid)) {
            Message message; // a crash note or a last word may still be on its way
            while (engine->channel.valid() && engine->channel.receive(message) == Channel::Receive::message) {
                on_engine_message(*engine, message);
            }
            on_crash();
            on_exit(*engine, status);
        }
    }
}

void Host::on_signal()
{
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        switch (info.ssi_signo) {
            case SIGCHLD:
                reap();
                break;
            case SIGQUIT:
                drain_all(pool_.pm_drain_timeout, {});
                break;
            default: // TERM, INT: as php-fpm's children, at once
                draining_ = true;
                for (const EngineProcess& engine : engines_) {
                    ::kill(engine.pid, SIGTERM);
                }
        }
    }
}

}  // namespace ftm::host
