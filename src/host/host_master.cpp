// What the master tells a host.
#include "host/host_process.hpp"

#include <algorithm>
#include <fcntl.h>
#include <list>
#include <signal.h>
#include <unistd.h>

#include "observe/log.hpp"

namespace ftm::host {

using State = EngineProcess::State;

void Host::on_master()
{
    for (;;) {
        Message message;
        const Channel::Receive got = master_.receive(message);
        if (got == Channel::Receive::nothing) {
            return;
        }
        if (got == Channel::Receive::closed) {
            master_.close();
            const auto until = Clock::now() + kClaimWindow;
            unclaimed_ = std::min(unclaimed_.value_or(until), until);
            return;
        }
        on_master_message(message);
    }
}

void Host::on_master_message(Message& message)
{
    switch (message.kind) {
        case Message::Kind::drain:
            drain_all(std::chrono::milliseconds(message.args[0]),
                      message.fds.empty() ? UniqueFd() : std::move(message.fds[0]), message.args[1] != 0);
            break;
        case Message::Kind::take_over:
            if (!message.fds.empty()) {
                if (EngineProcess* const ready = find_serving(); ready != nullptr) {
                    ready->channel.send(Message::Kind::take_over, {}, {}, {message.fds[0].get()});
                } else {
                    pending_take_over_.push_back(std::move(message.fds[0]));
                    if (is_ondemand() && !is_serving() && !draining_) {
                        start_engine(observe::RestartReason::none, true);
                    }
                }
            }
            break;
        case Message::Kind::stop:
            if (message.args[0] == SIGQUIT) {
                drain_all(pool_.pm_drain_timeout, {});
            } else {
                draining_ = true;
                for (const EngineProcess& engine : engines_) {
                    ::kill(engine.pid, static_cast<int>(message.args[0]));
                }
            }
            break;
        case Message::Kind::reloading:
            unclaimed_ = Clock::now() + kReloadWindow;
            break;
        case Message::Kind::reopen_logs:
            if (!message.fds.empty()) {
                ::dup2(message.fds[0].get(), STDERR_FILENO);
            }
            break;
        case Message::Kind::reopen_access_log: // RULES 26: no engine restarts
            if (!message.fds.empty() && access_log_.valid()) {
                ::dup3(message.fds[0].get(), access_log_.get(), O_CLOEXEC);
                for (const EngineProcess& engine : engines_) {
                    engine.channel.send(Message::Kind::reopen_access_log, {}, {}, {message.fds[0].get()});
                }
            }
            break;
        case Message::Kind::start_engine:
            if (!draining_ && !is_serving() && !start_again_) {
                start_engine(observe::RestartReason::none);
            } else { // it was on its way
                for (const EngineProcess& engine : engines_) {
                    report_started(engine, true);
                }
            }
            break;
        case Message::Kind::may_start:
            if (EngineProcess* const engine = find(static_cast<pid_t>(message.args[0])); engine != nullptr) {
                engine->channel.send(Message::Kind::may_start, message.args);
            }
            break;
        case Message::Kind::claim:
            unclaimed_.reset();
            for (const EngineProcess& engine : engines_) { // executing closed the pipes of the master
                report_started(engine, true);
            }
            break;
        default:
            break;
    }
}

void Host::drain_all(std::chrono::milliseconds deadline, UniqueFd successor, bool php_fpm_follows)
{
    if (draining_ && !successor.valid()) {
        return; // it is under way, and may have a successor
    }
    draining_ = true;
    for (EngineProcess& engine : engines_) {
        if (engine.state == State::wounded && engine.hands_over) {
            continue;
        }
        std::vector<int> fds;
        if (successor.valid()) {
            fds.push_back(successor.get());
        }
        engine.expected_to_exit = true;
        engine.hands_over = true;
        if (engine.state != State::wounded) {
            engine.state = State::draining;
        }
        engine.deadline = Clock::now() + deadline + kKillAfterGiveUp;
        if (!engine.channel.send(Message::Kind::drain, {deadline.count(), php_fpm_follows ? 1 : 0}, {}, fds)) {
            engine.deadline = Clock::now();
        }
    }
    listeners_.clear();
    report_left();
}

}  // namespace ftm::host
