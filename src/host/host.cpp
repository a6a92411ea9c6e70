#include "host/host.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>

#include "base/check.hpp"
#include "base/process_title.hpp"
#include "engine/crash_handler.hpp"
#include "engine/engine.hpp"
#include "ftm_engine.h"
#include "host/engine_process.hpp"
#include "observe/log.hpp"

namespace ftm::host {
namespace {

using namespace std::chrono_literals;
using observe::Level;
using observe::log;
using State = EngineProcess::State;

constexpr int kExitSoftware = 70;
constexpr auto kClaimWindow = 2s;
constexpr auto kReadyTimeout = 10s;
constexpr auto kKillAfterGiveUp = 1s;
constexpr auto kLockWatch = 50ms;  // RULES 15
constexpr auto kStartBackOff = 1s;

int opcache_pipe_write = -1;

// Runs under opcache's lock, in an engine (RULES 13).
void on_opcache_restart(int reason) noexcept
{
    const char byte = static_cast<char>(reason);
    [[maybe_unused]] const ssize_t n = ::write(opcache_pipe_write, &byte, 1);
}

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Pipe make_pipe()
{
    int fds[2];
    FTM_CHECK(::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

class Host {
public:
    explicit Host(HostStart start)
        : pool_(*start.pool),
          runtime_(std::move(start.runtime)),
          listeners_(std::move(start.listeners)),
          master_(std::move(start.master)),
          board_(std::move(start.board)),
          crash_(make_pipe()),
          opcache_(make_pipe())
    {
    }

    int run();

private:
    bool start_php();
    void start_engine();
    [[noreturn]] void become_engine(Channel to_host, UniqueFd out, UniqueFd err);
    void on_signal();
    void reap();
    void on_exit(EngineProcess& engine, int status);
    void on_engine_message(EngineProcess& engine, Message& message);
    void on_ready(EngineProcess& engine);
    void on_master();
    void on_master_message(Message& message);
    void on_crash();
    void on_opcache();
    void on_time();
    void watch_lock(EngineProcess& engine, Clock::time_point now);
    void drain_all(std::chrono::milliseconds deadline, UniqueFd successor);
    void replace(EngineProcess& old);
    [[nodiscard]] int timeout_ms() const;
    [[nodiscard]] EngineProcess* find(pid_t pid);
    [[nodiscard]] bool is_serving() const;

    const config::Pool& pool_;
    php::RuntimeOptions runtime_;
    std::vector<engine::Listener> listeners_;
    Channel master_;
    observe::Scoreboard board_;
    Pipe crash_;
    Pipe opcache_;
    UniqueFd signals_;
    int opcache_lock_ = -1;
    std::string x_powered_by_;

    std::list<EngineProcess> engines_;
    std::vector<UniqueFd> pending_take_over_;  // connections of earlier generations, for the first ready engine
    bool draining_ = false;
    bool reported_ready_ = false;
    std::optional<Clock::time_point> unclaimed_;    // the master is gone or executing: serve until then
    std::optional<Clock::time_point> start_again_;  // back-off after an engine that never became ready
};

EngineProcess* Host::find(pid_t pid)
{
    const auto it = std::find_if(engines_.begin(), engines_.end(), [&](const auto& e) { return e.pid == pid; });
    return it == engines_.end() ? nullptr : &*it;
}

bool Host::is_serving() const
{
    return std::any_of(engines_.begin(), engines_.end(),
                       [](const auto& e) { return e.state == State::ready || e.state == State::starting; });
}

bool Host::start_php()
{
    opcache_pipe_write = opcache_.write.get();
    if (const std::string error = php::start_runtime(runtime_, on_opcache_restart); !error.empty()) {
        master_.send(Message::Kind::failed, {}, error);
        return false;
    }
    opcache_lock_ = php::opcache_lock_fd();
    if (opcache_lock_ >= 0) {
        // Second guard: while this process lives nobody can restart opcache in place (byte 1: usage).
        struct flock usage{};
        usage.l_type = F_RDLCK;
        usage.l_whence = SEEK_SET;
        usage.l_start = 1;
        usage.l_len = 1;
        ::fcntl(opcache_lock_, F_SETLK, &usage);
    }
    ftm_ini_settings settings{};
    ftm_thread_settings(&settings);
    if (settings.expose_php != 0) {
        x_powered_by_ = std::string("X-Powered-By: PHP/") + ftm_php_version() + "\r\n";
    }
    return true;
}

int Host::run()
{
    set_process_title("php-fpm: pool host " + pool_.name);
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        ::sigdelset(&blocked, fault);
    }
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    if (!start_php()) {
        return kExitSoftware;
    }
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT}) {
        ::sigaddset(&handled, signal);
    }
    signals_.reset(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    FTM_CHECK(signals_.valid());
    start_engine();
    while (!draining_ || !engines_.empty()) {
        std::vector<pollfd> fds;
        for (const int fd : {signals_.get(), master_.fd(), crash_.read.get(), opcache_.read.get()}) {
            fds.push_back({fd, POLLIN, 0});
        }
        for (const EngineProcess& engine : engines_) {
            fds.push_back({engine.channel.fd(), POLLIN, 0});
        }
        const int n = ::poll(fds.data(), fds.size(), timeout_ms());
        FTM_CHECK(n >= 0 || errno == EINTR);
        // Engines first: what they said before they died counts.
        std::size_t index = 4;
        for (EngineProcess& engine : engines_) {
            if (index >= fds.size()) {
                break;
            }
            if (fds[index++].revents != 0) {
                Message message;
                Channel::Receive got;
                while ((got = engine.channel.receive(message)) == Channel::Receive::message) {
                    on_engine_message(engine, message);
                }
                if (got == Channel::Receive::closed) {
                    engine.channel.close();
                }
            }
        }
        if (fds[2].revents != 0) {
            on_crash();
        }
        if (fds[3].revents != 0) {
            on_opcache();
        }
        if (fds[0].revents != 0) {
            on_signal();
        }
        if (fds[1].revents != 0) {
            on_master();
        }
        on_time();
    }
    php::stop_runtime();
    return 0;
}

// ----------------------------------------------------------------------------------------------------------- engines

void Host::start_engine()
{
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
        become_engine(std::move(theirs), std::move(out_write), std::move(err_write));
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
    engine.deadline = engine.started + kReadyTimeout;
    engines_.push_back(std::move(engine));
    std::vector<int> fds;
    if (out_read.valid()) {
        fds = {out_read.get(), err_read.get()};
    }
    master_.send(Message::Kind::engine_started, {pid}, {}, fds);
}

void Host::become_engine(Channel to_host, UniqueFd out, UniqueFd err)
{
    engine::EngineStart start;
    start.pool = &pool_;
    start.listeners = std::move(listeners_);
    start.host = std::move(to_host);
    start.board = &board_;
    start.crash_pipe = crash_.write.get();
    start.x_powered_by = x_powered_by_;
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
    } else if (message.kind == Message::Kind::want_successor && !draining_) {
        replace(engine);
    }
}

void Host::on_ready(EngineProcess& engine)
{
    engine.state = State::ready;
    engine.deadline.reset();
    if (!reported_ready_) {
        reported_ready_ = true;
        master_.send(Message::Kind::engine_ready, {engine.pid});
    }
    for (const UniqueFd& predecessor : pending_take_over_) {
        engine.channel.send(Message::Kind::take_over, {}, {}, {predecessor.get()});
    }
    pending_take_over_.clear();
    if (draining_) {
        return;
    }
    for (EngineProcess& old : engines_) {
        if (&old != &engine && (old.state == State::wounded || old.expected_to_exit) && !old.hands_over) {
            auto [for_new, for_old] = Channel::make();
            old.hands_over = true;
            engine.channel.send(Message::Kind::take_over, {}, {}, {for_new.fd()});
            old.channel.send(Message::Kind::drain, {std::chrono::milliseconds(pool_.pm_drain_timeout).count()}, {},
                             {for_old.fd()});
        }
    }
}

void Host::replace(EngineProcess& old)
{
    old.expected_to_exit = true;
    old.deadline = Clock::now() + pool_.pm_drain_timeout + kReadyTimeout;
    start_engine();
}

void Host::on_exit(EngineProcess& engine, int status)
{
    const auto lifetime = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - engine.started);
    board_.release_pid(engine.pid);
    master_.send(Message::Kind::engine_exited,
                 {engine.pid, status, lifetime.count(), engine.expected_to_exit || draining_ ? 1 : 0});
    const bool never_ready = engine.state == State::starting;
    const bool needs_successor = !draining_ && engine.state != State::wounded && !engine.expected_to_exit;
    engines_.remove_if([&](const EngineProcess& e) { return &e == &engine; });
    if (!needs_successor) {
        return;
    }
    if (never_ready) {
        start_again_ = Clock::now() + kStartBackOff;
    } else {
        start_engine();
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

// ------------------------------------------------------------------------------------------------------------ crashes

void Host::on_crash()
{
    engine::CrashNote note;
    while (::read(crash_.read.get(), &note, sizeof note) == static_cast<ssize_t>(sizeof note)) {
        EngineProcess* engine = find(note.pid);
        if (engine == nullptr || engine->state == State::wounded) {
            continue;
        }
        const bool was_leaving = engine->expected_to_exit || engine->state == State::draining;
        engine->state = State::wounded;
        const auto now = Clock::now();
        engine->deadline = now + pool_.pm_drain_timeout;
        if (opcache_lock_ >= 0) {
            engine->lock_watch_ends = now + kLockWatch;
            engine->lock_always_held = true;
        }
        if (!draining_ && !was_leaving) {
            start_engine();
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

// ------------------------------------------------------------------------------------------------------------- master

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
            unclaimed_ = unclaimed_.value_or(Clock::now() + kClaimWindow);
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
                      message.fds.empty() ? UniqueFd() : std::move(message.fds[0]));
            break;
        case Message::Kind::take_over:
            if (!message.fds.empty()) {
                const auto ready = std::find_if(engines_.begin(), engines_.end(),
                                                [](const auto& e) { return e.state == State::ready; });
                if (ready != engines_.end()) {
                    ready->channel.send(Message::Kind::take_over, {}, {}, {message.fds[0].get()});
                } else {
                    pending_take_over_.push_back(std::move(message.fds[0]));
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
            unclaimed_ = Clock::now() + kClaimWindow;
            break;
        case Message::Kind::reopen_logs:
            if (!message.fds.empty()) {
                ::dup2(message.fds[0].get(), STDERR_FILENO);
            }
            break;
        case Message::Kind::claim:
            unclaimed_.reset();
            break;
        default:
            break;
    }
}

void Host::drain_all(std::chrono::milliseconds deadline, UniqueFd successor)
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
        if (!engine.channel.send(Message::Kind::drain, {deadline.count()}, {}, fds)) {
            engine.deadline = Clock::now();
        }
    }
    listeners_.clear();
}

// ---------------------------------------------------------------------------------------------------------------- time

int Host::timeout_ms() const
{
    std::optional<Clock::time_point> next;
    const auto consider = [&](const std::optional<Clock::time_point>& when) {
        if (when && (!next || *when < *next)) {
            next = when;
        }
    };
    consider(unclaimed_);
    consider(start_again_);
    bool polling = false;
    for (const EngineProcess& engine : engines_) {
        consider(engine.deadline);
        polling = polling || engine.lock_watch_ends.has_value();
    }
    if (polling) {
        return 5;
    }
    if (!next) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
    return static_cast<int>(std::clamp<long>(left, 0, 60'000));
}

void Host::on_time()
{
    const auto now = Clock::now();
    if (unclaimed_ && now >= *unclaimed_) {
        unclaimed_.reset();
        drain_all(pool_.pm_drain_timeout, {});
    }
    if (start_again_ && now >= *start_again_) {
        start_again_.reset();
        if (!draining_ && !is_serving()) {
            start_engine();
        }
    }
    for (EngineProcess& engine : engines_) {
        if (engine.lock_watch_ends) {
            watch_lock(engine, now);
        }
        if (!engine.deadline || now < *engine.deadline) {
            continue;
        }
        if (engine.state == State::wounded && !engine.gave_up) {
            engine.gave_up = true;
            engine.channel.send(Message::Kind::give_up);
            engine.deadline = now + kKillAfterGiveUp;
            continue;
        }
        if (engine.state == State::starting) {
            log(Level::error, "[pool %s] child %d did not become ready within %d seconds", pool_.name.c_str(), engine.pid,
                static_cast<int>(kReadyTimeout.count()));
        }
        ::kill(engine.pid, SIGKILL);
        engine.deadline.reset();
    }
}

}  // namespace

int run_host(HostStart start) { return Host(std::move(start)).run(); }

}  // namespace ftm::host
