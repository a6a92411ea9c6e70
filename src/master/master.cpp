#include "master/master.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.hpp"
#include "base/process_title.hpp"
#include "host/host.hpp"
#include "master/child_exit.hpp"
#include "master/close_others.hpp"
#include "master/listening.hpp"
#include "master/pid_file.hpp"
#include "master/pool.hpp"
#include "master/reload.hpp"
#include "master/systemd.hpp"
#include "net/listener.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

using namespace std::chrono_literals;
using observe::Level;
using observe::log;
using State = HostProcess::State;

constexpr int kExitOk = 0;
constexpr int kExitSoftware = 70;
constexpr int kExitConfig = 78;
constexpr auto kReadyTimeout = 12s;           // the host itself gives an engine 10 s
constexpr auto kGenerationInterval = 2s;      // RULES 14
constexpr auto kMaxBackOff = 30s;
constexpr auto kEscalation = 1s;

class Master {
public:
    explicit Master(MasterStart start) : start_(std::move(start)) {}
    int run();

private:
    enum class Phase { running, stopping, finished };

    bool initialize();
    void adopt_inherited();
    void tell_parent(bool ok);
    void loop_once();
    void on_signals();
    void on_host_message(Pool& pool, HostProcess& host, Message& message);
    void on_log(Pool& pool);
    void on_output(Pool& pool, pid_t engine, UniqueFd& fd, WorkerOutput& lines, const char* stream);
    void on_time();
    void reap();
    void on_host_exit(Pool& pool, HostProcess& host, int status);
    void read_host(Pool& pool, HostProcess& host);

    void start_host(Pool& pool);
    [[noreturn]] void become_host(Pool& pool, Channel to_master);
    void on_generation_ready(Pool& pool, HostProcess& fresh);
    void on_generation_failed(Pool& pool, HostProcess& failed, const std::string& why);
    void drain(Pool& pool, HostProcess& old, UniqueFd successor);
    void maybe_announce();
    void begin_stop(int signal);
    void escalate();
    void reopen_logs();
    void reload();
    void finish();
    [[nodiscard]] bool any_host() const;
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
    int stop_signal_ = 0;
    bool escalated_ = false;
    std::optional<Clock::time_point> escalate_at_;
};

// ------------------------------------------------------------------------------------------------------------- start

bool Master::initialize()
{
    const config::Global& global = start_.config.global;
    set_process_title("php-fpm: master process (" + start_.config_file + ")");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); // engines whose host died come to us (RULES 22)
    if (global.process_priority) {
        if (::geteuid() == 0) {
            ::setpriority(PRIO_PROCESS, 0, *global.process_priority);
        }
    }
    sockets_.import_inherited();
    for (const config::Pool& config : start_.config.pools) {
        Pool pool;
        pool.config = &config;
        pool.name = config.name;
        pool.listener = sockets_.open(config);
        if (pool.listener < 0) {
            return false;
        }
        pool.board = observe::Scoreboard::create(config.name, 2 * static_cast<unsigned>(std::max(config.pm_max_children, 1)));
        auto [read, write] = observe::make_log_channel();
        pool.log_read = std::move(read);
        pool.log_write = std::move(write);
        pools_.push_back(std::move(pool));
    }
    sockets_.close_unused();
    if (global.pid && !pid_file_.write(*global.pid)) {
        return false;
    }
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD}) {
        ::sigaddset(&handled, signal);
    }
    ::sigprocmask(SIG_BLOCK, &handled, nullptr);
    signals_.reset(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    FTM_CHECK(signals_.valid());
    if (!start_.daemonized) {
        saved_stderr_.reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    }
    if (start_.log_to_file) {
        ::dup2(start_.error_log.get(), STDERR_FILENO);
    }
    return true;
}

int Master::run()
{
    if (!initialize()) {
        log(Level::error, "FPM initialization failed");
        tell_parent(false);
        return kExitConfig;
    }
    log(Level::notice, "fpm is running, pid %d", ::getpid());
    observe::Log::instance().set_launched();
    tell_parent(true);
    adopt_inherited();
    for (Pool& pool : pools_) {
        if (pool.config != nullptr) {
            start_host(pool);
        }
    }
    while (phase_ != Phase::finished) {
        loop_once();
    }
    finish();
    return exit_code_;
}

void Master::tell_parent(bool ok)
{
    if (start_.parent.valid()) {
        const int value = ok ? 1 : 0;
        [[maybe_unused]] const ssize_t n = ::write(start_.parent.get(), &value, sizeof value);
        start_.parent.reset();
    }
}

// Hosts of the image that executed us: they serve until our own are ready.
void Master::adopt_inherited()
{
    for (const InheritedHost& inherited : start_.inherited.hosts) {
        for (const int fd : {inherited.channel, inherited.log_read}) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
        auto pool = std::find_if(pools_.begin(), pools_.end(), [&](const Pool& p) { return p.name == inherited.pool; });
        Pool old_pool; // its log goes on under the same name; it has no configuration of its own any more
        old_pool.name = inherited.pool;
        old_pool.log_read.reset(inherited.log_read);
        HostProcess host;
        host.pid = inherited.pid;
        host.channel = Channel(UniqueFd(inherited.channel));
        host.state = State::serving;
        host.channel.send(Message::Kind::claim);
        if (pool == pools_.end()) {
            pools_.push_back(std::move(old_pool));
            pools_.back().hosts.push_back(std::move(host));
            drain(pools_.back(), pools_.back().hosts.back(), {});
        } else {
            pool->hosts.push_back(std::move(host));
            pool->old_logs.push_back(UniqueFd(old_pool.log_read.release()));
        }
    }
}

void Master::start_host(Pool& pool)
{
    auto [ours, theirs] = Channel::make();
    pool.last_start = Clock::now();
    pool.start_again.reset();
    pool.wants_generation = false;
    const pid_t pid = ::fork();
    if (pid == 0) {
        ours.close();
        become_host(pool, std::move(theirs));
    }
    if (pid < 0) {
        observe::log_syserror("[pool %s] fork() failed", pool.name.c_str());
        pool.start_again = Clock::now() + kEscalation;
        return;
    }
    HostProcess host;
    host.pid = pid;
    host.channel = std::move(ours);
    host.deadline = Clock::now() + kReadyTimeout;
    pool.hosts.push_back(std::move(host));
}

void Master::become_host(Pool& pool, Channel to_master)
{
    host::HostStart host;
    host.pool = pool.config;
    host.runtime.executable = start_.arguments[0];
    host.runtime.ini_path = start_.command_line.ini_path.value_or("");
    host.runtime.ini_ignore = start_.command_line.no_ini;
    host.runtime.ini_entries = config::ini_entries(start_.command_line.defines);
    host.runtime.log_limit = static_cast<std::size_t>(start_.config.global.log_limit);
    for (const config::PhpValue& value : pool.config->php_values) {
        host.runtime.values.push_back({value.key, value.value, value.admin});
    }
    const int board = ::fcntl(pool.board.fd(), F_DUPFD_CLOEXEC, 3);
    const int listener = ::fcntl(pool.listener, F_DUPFD_CLOEXEC, 3);
    const int log_fd = pool.log_write.get();
    close_others({to_master.fd(), board, listener, log_fd});
    observe::Log::instance().set_channel(log_fd);
    host.master = std::move(to_master);
    host.board = observe::Scoreboard::map(UniqueFd(board));
    host.listeners.push_back({UniqueFd(listener), net::is_tcp(listener)});
    ::_exit(host::run_host(std::move(host)));
}

// ---------------------------------------------------------------------------------------------------------------- loop

void Master::loop_once()
{
    struct Source {
        Pool* pool = nullptr;
        HostProcess* host = nullptr;
        pid_t engine = 0;
        UniqueFd* pipe = nullptr;
        bool is_error_pipe = false;
    };
    std::vector<pollfd> fds{{signals_.get(), POLLIN, 0}};
    std::vector<Source> sources(1);
    const auto add = [&](int fd, Source source) {
        fds.push_back({fd, POLLIN, 0});
        sources.push_back(source);
    };
    for (Pool& pool : pools_) {
        if (pool.log_read.valid()) {
            add(pool.log_read.get(), {&pool});
        }
        for (HostProcess& host : pool.hosts) {
            if (host.channel.valid()) {
                add(host.channel.fd(), {&pool, &host});
            }
            for (auto& [pid, engine] : host.engines) {
                for (UniqueFd* pipe : {&engine.output.out, &engine.output.err}) {
                    if (pipe->valid()) {
                        add(pipe->get(), {&pool, &host, pid, pipe, pipe == &engine.output.err});
                    }
                }
            }
        }
    }
    const int n = ::poll(fds.data(), fds.size(), timeout_ms());
    FTM_CHECK(n >= 0 || errno == EINTR);
    // Logs and output first, then messages, then deaths: the order in which things were said.
    for (std::size_t i = 1; i < fds.size(); ++i) {
        const Source& source = sources[i];
        if (fds[i].revents == 0) {
            continue;
        }
        if (source.pipe != nullptr) {
            OutputPipes& output = source.host->engines.at(source.engine).output;
            on_output(*source.pool, source.engine, *source.pipe, source.is_error_pipe ? output.err_lines : output.out_lines,
                      source.is_error_pipe ? "stderr" : "stdout");
        } else if (source.host == nullptr) {
            on_log(*source.pool);
        }
    }
    for (std::size_t i = 1; i < fds.size(); ++i) {
        if (fds[i].revents != 0 && sources[i].host != nullptr && sources[i].pipe == nullptr) {
            read_host(*sources[i].pool, *sources[i].host);
        }
    }
    if (fds[0].revents != 0) {
        on_signals();
    }
    for (Pool& pool : pools_) {
        pool.hosts.remove_if([](const HostProcess& host) { return !host.alive; });
    }
    on_time();
}

int Master::timeout_ms() const
{
    std::optional<Clock::time_point> next = escalate_at_;
    const auto consider = [&](const std::optional<Clock::time_point>& when) {
        if (when && (!next || *when < *next)) {
            next = when;
        }
    };
    for (const Pool& pool : pools_) {
        consider(pool.start_again);
        if (pool.wants_generation && pool.last_start) {
            consider(*pool.last_start + kGenerationInterval);
        }
        for (const HostProcess& host : pool.hosts) {
            consider(host.deadline);
        }
    }
    if (!next) {
        return -1;
    }
    return static_cast<int>(std::clamp<long>(std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count(), 0, 60'000));
}

void Master::on_time()
{
    const auto now = Clock::now();
    if (escalate_at_ && now >= *escalate_at_) {
        escalate();
    }
    if (phase_ == Phase::stopping) {
        if (!any_host()) {
            phase_ = Phase::finished;
        }
        return;
    }
    for (Pool& pool : pools_) {
        for (HostProcess& host : pool.hosts) {
            if (host.deadline && now >= *host.deadline) {
                host.deadline.reset();
                if (host.state == State::starting) {
                    log(Level::error, "[pool %s] no child became ready in time", pool.name.c_str());
                    host.channel.send(Message::Kind::stop, {SIGKILL});
                }
                ::kill(host.pid, SIGKILL);
            }
        }
        const bool starting = std::any_of(pool.hosts.begin(), pool.hosts.end(),
                                          [](const auto& h) { return h.state == State::starting; });
        const bool due = (pool.start_again && now >= *pool.start_again) ||
                         (pool.wants_generation && now >= *pool.last_start + kGenerationInterval);
        // At most two generations are alive: the wish waits until an older one is gone (RULES 14).
        if (pool.config != nullptr && due && !starting && pool.hosts.size() < 2) {
            start_host(pool);
        } else if (due && pool.wants_generation) {
            pool.last_start = now - kGenerationInterval + 100ms; // look again soon
        }
    }
}

bool Master::any_host() const
{
    return std::any_of(pools_.begin(), pools_.end(), [](const Pool& pool) { return !pool.hosts.empty(); });
}

std::chrono::milliseconds Master::drain_time(const Pool& pool) const
{
    const auto own = pool.config != nullptr ? pool.config->pm_drain_timeout : std::chrono::seconds(30);
    return std::max(own, start_.config.global.process_control_timeout);
}

// -------------------------------------------------------------------------------------------------------------- hosts

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
            EngineRecord record;
            record.started = Clock::now();
            if (message.fds.size() == 2) {
                record.output.out = std::move(message.fds[0]);
                record.output.err = std::move(message.fds[1]);
                for (const UniqueFd* fd : {&record.output.out, &record.output.err}) {
                    ::fcntl(fd->get(), F_SETFL, O_RDONLY | O_NONBLOCK);
                }
            }
            const auto pid = static_cast<pid_t>(message.args[0]);
            const Level level = host.state == State::serving ? Level::notice : Level::debug;
            host.engines[pid] = std::move(record);
            log(level, "[pool %s] child %d started", pool.name.c_str(), pid);
            break;
        }
        case Message::Kind::engine_ready:
            if (host.state == State::starting) {
                on_generation_ready(pool, host);
            }
            break;
        case Message::Kind::engine_exited: {
            const auto pid = static_cast<pid_t>(message.args[0]);
            on_log(pool);
            if (auto it = host.engines.find(pid); it != host.engines.end()) {
                OutputPipes& output = it->second.output;
                on_output(pool, pid, output.out, output.out_lines, "stdout");
                on_output(pool, pid, output.err, output.err_lines, "stderr");
                host.engines.erase(it);
            }
            const bool quiet = message.args[3] != 0 || phase_ != Phase::running || host.state == State::draining;
            log_child_exit(pool.name, pid, static_cast<int>(message.args[1]), std::chrono::microseconds(message.args[2]),
                           quiet);
            break;
        }
        case Message::Kind::want_generation:
            if (host.state == State::serving && !pool.wants_generation) {
                pool.wants_generation = true;
                log(Level::notice, "[pool %s] opcache asked for a restart: a new generation starts", pool.name.c_str());
            }
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
    old.deadline = Clock::now() + time + 5s;
    old.channel.send(Message::Kind::drain, {time.count()}, {}, fds);
}

void Master::on_generation_failed(Pool& pool, HostProcess& failed, const std::string& why)
{
    failed.deadline.reset();
    log(Level::error, "[pool %s] %s", pool.name.c_str(), why.c_str());
    const bool others = std::any_of(pool.hosts.begin(), pool.hosts.end(),
                                    [&](const auto& h) { return &h != &failed && h.state == State::serving; });
    if (!others && !pool.ready_once && !announced_ && start_.inherited.hosts.empty()) {
        log(Level::error, "FPM initialization failed");
        exit_code_ = kExitSoftware;
        begin_stop(SIGTERM);
    }
}

void Master::maybe_announce()
{
    if (announced_ || phase_ != Phase::running) {
        return;
    }
    const bool all = std::all_of(pools_.begin(), pools_.end(),
                                 [](const Pool& pool) { return pool.config == nullptr || pool.ready_once; });
    if (all) {
        announced_ = true;
        log(Level::notice, "ready to handle connections");
        notify_ready();
    }
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
                    const auto lifetime = Clock::now() - it->second;
                    pool.orphans.erase(it);
                    pool.board.valid() ? pool.board.release_pid(pid) : void();
                    log_child_exit(pool.name, pid, status,
                                   std::chrono::duration_cast<std::chrono::microseconds>(lifetime), phase_ != Phase::running);
                }
            }
        }
        if (!known) {
            log_unknown_exit(pid, status);
        }
    }
}

void Master::on_host_exit(Pool& pool, HostProcess& host, int status)
{
    for (auto& [engine, record] : host.engines) {
        pool.orphans[engine] = record.started;
    }
    if (phase_ != Phase::running || host.state == State::draining) {
        return;
    }
    log_host_exit(pool.name, host.pid, status,
                  std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - host.started));
    if (pool.config == nullptr) {
        return;
    }
    if (host.state == State::starting) {
        const auto back_off = std::min<std::chrono::seconds>(kMaxBackOff, std::chrono::seconds(1 << std::min(pool.failures, 5u)));
        ++pool.failures;
        pool.start_again = Clock::now() + back_off;
    } else {
        pool.start_again = Clock::now();
    }
}

// ------------------------------------------------------------------------------------------------------ logs and output

void Master::on_log(Pool& pool)
{
    char bytes[64 << 10];
    const auto read_all = [&](int fd) {
        ssize_t n;
        while (fd >= 0 && (n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
            observe::LogDatagram datagram;
            if (!observe::LogDatagram::decode({bytes, static_cast<std::size_t>(n)}, datagram)) {
                continue;
            }
            if (datagram.kind == observe::LogDatagram::Kind::line) {
                observe::Log::instance().line(datagram.level, datagram.text);
            } else if (pool.config != nullptr && pool.config->catch_workers_output) {
                const std::size_t limit = static_cast<std::size_t>(start_.config.global.log_limit);
                const std::string line = std::string(level_name(datagram.level)) + ": " + datagram.text;
                log_worker_line(pool.name, datagram.pid, "stderr", line, pool.config->decorate_workers_output, limit);
            }
        }
    };
    read_all(pool.log_read.get());
    for (const UniqueFd& old : pool.old_logs) {
        read_all(old.get());
    }
}

void Master::on_output(Pool& pool, pid_t engine, UniqueFd& fd, WorkerOutput& lines, const char* stream)
{
    if (!fd.valid()) {
        return;
    }
    const bool decorate = pool.config == nullptr || pool.config->decorate_workers_output;
    const auto limit = static_cast<std::size_t>(start_.config.global.log_limit);
    const WorkerOutput::Line emit = [&](std::string_view line, bool) {
        log_worker_line(pool.name, engine, stream, line, decorate, limit);
    };
    char bytes[8192];
    for (;;) {
        const ssize_t n = ::read(fd.get(), bytes, sizeof bytes);
        if (n > 0) {
            lines.feed({bytes, static_cast<std::size_t>(n)}, emit);
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            lines.flush(emit, true);
            fd.reset();
            return;
        }
    }
}

void Master::reopen_logs()
{
    if (start_.config.global.error_log && start_.error_log.valid()) {
        const UniqueFd fresh(::open(start_.config.global.error_log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        if (!fresh.valid() || ::dup3(fresh.get(), start_.error_log.get(), O_CLOEXEC) < 0) {
            log(Level::error, "unable to re-opened error log file");
            return;
        }
        if (start_.log_to_file) {
            ::dup2(fresh.get(), STDERR_FILENO);
            for (Pool& pool : pools_) {
                for (HostProcess& host : pool.hosts) {
                    host.channel.send(Message::Kind::reopen_logs, {}, {}, {fresh.get()});
                }
            }
        }
    }
    log(Level::notice, "error log file re-opened");
}

// ------------------------------------------------------------------------------------------------------------- signals

void Master::on_signals()
{
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        switch (info.ssi_signo) {
            case SIGTERM:
            case SIGINT:
                if (stop_signal_ != SIGTERM) {
                    log(Level::notice, "Terminating ...");
                    begin_stop(SIGTERM);
                }
                break;
            case SIGQUIT:
                if (stop_signal_ == 0) {
                    log(Level::notice, "Finishing ...");
                    begin_stop(SIGQUIT);
                }
                break;
            case SIGUSR1:
                reopen_logs();
                break;
            case SIGUSR2:
                if (phase_ == Phase::running) {
                    log(Level::notice, "Reloading in progress ...");
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
    notify_stopping();
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
            for (const auto& [engine, started] : pool.orphans) {
                ::kill(engine, SIGKILL);
            }
        }
    }
    escalate_at_ = Clock::now() + kEscalation;
}

void Master::reload()
{
    if (const std::string why = test_binary(start_.arguments); !why.empty()) {
        log(Level::error, "reload refused, the running configuration stays: %s", why.c_str());
        return;
    }
    notify_reloading();
    ReloadState state;
    state.daemonized = start_.daemonized;
    for (Pool& pool : pools_) {
        on_log(pool);
        for (HostProcess& host : pool.hosts) {
            read_host(pool, host);
            if (!host.alive || !host.channel.valid()) {
                continue;
            }
            if (host.state == State::draining) {
                continue; // ends on its own
            }
            if (host.state == State::starting && host.engines.empty()) {
                ::kill(host.pid, SIGKILL); // has accepted nothing yet, and the next image starts another
                continue;
            }
            host.channel.send(Message::Kind::reloading);
            state.hosts.push_back({pool.name, host.pid, host.channel.fd(), pool.log_read.get()});
        }
    }
    sockets_.export_all();
    if (saved_stderr_.valid()) {
        ::dup2(saved_stderr_.get(), STDERR_FILENO);
    }
    execute(start_.arguments, state); // returns only if it failed
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

}  // namespace

int run_master(MasterStart start) { return Master(std::move(start)).run(); }

}  // namespace ftm::master
