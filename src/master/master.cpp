// The master's start: sockets, pid file, inherited hosts, forking hosts.
#include "master/master_process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/process_title.hpp"
#include "host/host.hpp"
#include "master/child_exit.hpp"
#include "master/close_others.hpp"
#include "master/pool_identity.hpp"
#include "master/process_limit.hpp"
#include "net/listener.hpp"
#include "observe/access_log.hpp"
#include "observe/log.hpp"

namespace ftm::master {

using observe::Level;
using observe::log;
using State = HostProcess::State;

namespace {

// Of a generation that have a place in its scoreboard: one that serves, its successor, and those that crashed or are
// stuck (Host::limit_wounded).
constexpr unsigned kMostEngines = 6;

// A pm.max_children beyond all reason ends the start, in php-fpm's words (fpm_shm_alloc()): the scoreboard's own memory is
// taken page by page.
bool has_memory_for(const config::Pool& pool)
{
    const std::size_t bytes = static_cast<std::size_t>(std::max(pool.pm_max_children, 1)) * sizeof(observe::Slot);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
    if (memory == MAP_FAILED) {
        observe::log_syserror("unable to allocate %zu bytes in shared memory: %s", bytes, std::strerror(errno));
        return false;
    }
    ::munmap(memory, bytes);
    return true;
}

}  // namespace

bool Master::initialize()
{
    const config::Global& global = start_.config.global;
    set_process_title("php-fpm: master process (" + start_.config_file + ")");
    children_before_ = present_children();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); // engines whose host died come to us (RULES 22)
    if (global.process_priority) {
        if (::geteuid() != 0) {
            log(Level::notice, "'process.priority' directive is ignored when FPM is not running as root");
        } else if (::setpriority(PRIO_PROCESS, 0, *global.process_priority) != 0) {
            observe::log_syserror("Unable to set priority for the master process");
            return false;
        }
    }
    for (const config::Pool& pool : start_.config.pools) {
        if (!check_identity(pool, start_.command_line.allow_root)) {
            return false;
        }
    }
    fewer_contexts_ = share_out(start_.config);
    limit_ = ProcessLimit(global.process_max, fewer_contexts_);
    sockets_.import_inherited();
    for (const config::Pool& config : start_.config.pools) {
        Pool pool;
        pool.config = &config;
        pool.name = config.name;
        pool.listener = sockets_.open(config);
        if (pool.listener < 0 || !has_memory_for(config)) {
            return false;
        }
        const unsigned contexts = static_cast<unsigned>(std::max(config.pm_max_children, 1)) + (config.worker_script ? 1 : 0);
        pool.board = observe::Scoreboard::create(config.name, kMostEngines * contexts);
        auto [read, write] = observe::make_log_channel();
        pool.log_read = std::move(read);
        pool.log_write = std::move(write);
        if (const auto file = start_.access_logs.find(config.access_log.value_or("")); file != start_.access_logs.end()) {
            pool.access_log.reset(::fcntl(file->second.get(), F_DUPFD_CLOEXEC, 3));
        }
        watch_files(pool);
        pools_.push_back(std::move(pool));
    }
    start_.access_logs.clear();
    if (!open_further_listeners()) {
        return false;
    }
    sockets_.close_unused();
    if (global.pid && !pid_file_.write(*global.pid)) {
        return false;
    }
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD}) {
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
    } else if (observe::Log::instance().to_syslog()) {
        ::dup2(STDOUT_FILENO, STDERR_FILENO); // /dev/null
    }
    observe::Log::instance().set_launched();
    return true;
}

// php-fpm makes a pool of its own for pm.status_listen; here the pool's engines listen there too, and answer status and
// ping as always: by whatever thread reads. So they do for http.listen.
bool Master::open_further_listeners()
{
    for (const config::Pool& config : start_.config.status_pools) {
        const auto pool = std::find_if(pools_.begin(), pools_.end(),
                                       [&](const Pool& p) { return p.name + "_status" == config.name; });
        if (pool == pools_.end()) {
            continue;
        }
        pool->status_listener = sockets_.open(config);
        if (pool->status_listener < 0) {
            return false;
        }
    }
    for (const config::Pool& config : start_.config.http_pools) {
        const auto pool = std::find_if(pools_.begin(), pools_.end(), [&](const Pool& p) { return p.name == config.name; });
        if (pool == pools_.end()) {
            continue;
        }
        pool->http_listener = sockets_.open(config);
        if (pool->http_listener < 0) {
            return false;
        }
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
    if (fewer_contexts_) {
        warn_of_limit();
    }
    if (start_.inherited.hosts.empty()) {
        hold_output_until_ = Clock::now() + kHoldOutput;
    }
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

bool Master::is_child(pid_t pid)
{
    siginfo_t info;
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// Hosts of the image that executed us: they serve until our own are ready.
void Master::adopt_inherited()
{
    for (const InheritedHost& inherited : start_.inherited.hosts) {
        if (!is_child(inherited.pid)) { // its end would never be seen
            ::close(inherited.channel);
            continue;
        }
        for (const int fd : {inherited.channel, inherited.log_read}) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
        auto pool = std::find_if(pools_.begin(), pools_.end(), [&](const Pool& p) { return p.name == inherited.pool; });
        HostProcess host;
        host.pid = inherited.pid;
        host.log_read = inherited.log_read;
        host.channel = Channel(UniqueFd(inherited.channel));
        host.state = State::serving;
        host.hands_over = start_.inherited.hands_over;
        host.channel.send(Message::Kind::claim);
        if (pool == pools_.end()) { // its log goes on under the same name; it has no configuration any more
            pool = pools_.emplace(pools_.end());
            pool->name = inherited.pool;
        }
        if (std::none_of(pool->old_logs.begin(), pool->old_logs.end(),
                         [&](const UniqueFd& log) { return log.get() == inherited.log_read; })) {
            pool->old_logs.emplace_back(inherited.log_read);
        }
        pool->hosts.push_back(std::move(host));
        if (inherited.draining) { // how long it has drained is not known: its own deadline decides
            pool->hosts.back().state = State::draining;
            pool->hosts.back().deadline = Clock::now() + drain_time(*pool) + kDrainMargin;
        } else if (pool->config == nullptr) {
            drain(*pool, pool->hosts.back(), {});
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
    host.log_read = pool.log_read.get();
    host.deadline = Clock::now() + kStartTimeout;
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
    host.runtime.worker = pool.config->worker_script.has_value();
    host.runtime.early_hints = pool.config->early_hints != config::EarlyHints::off;
    host.runtime.log_limit = static_cast<std::size_t>(start_.config.global.log_limit);
    for (const config::PhpValue& value : pool.config->php_values) {
        host.runtime.values.push_back({value.key, value.value, value.admin});
    }
    if (pool.access_log.valid()) {
        host.runtime.log_headers = observe::AccessFormat(pool.config->access_format.value_or("")).wants_headers();
    }
    host.reason = pool.reason;
    host.master_pid = ::getppid();
    const int listener = ::fcntl(pool.listener, F_DUPFD_CLOEXEC, 3);
    const int status_listener = pool.status_listener >= 0 ? ::fcntl(pool.status_listener, F_DUPFD_CLOEXEC, 3) : -1;
    const int http_listener = pool.http_listener >= 0 ? ::fcntl(pool.http_listener, F_DUPFD_CLOEXEC, 3) : -1;
    const int log_fd = pool.log_write.get();
    close_others({to_master.fd(), pool.board.fd(), listener, status_listener, http_listener, log_fd, pool.access_log.get()});
    observe::Log::instance().set_channel(log_fd);
    host.master = std::move(to_master);
    host.first_generation = std::none_of(pool.hosts.begin(), pool.hosts.end(), [](const HostProcess& other) {
        return other.state == HostProcess::State::serving;
    });
    host.board = std::move(pool.board); // mapping it again would mean believing what engines may have written there
    host.access_log = std::move(pool.access_log);
    host.listeners.push_back({UniqueFd(listener), net::is_tcp(listener)});
    if (host.listeners.back().tcp) {
        net::send_at_once(listener);
    }
    if (status_listener >= 0) {
        host.listeners.push_back({UniqueFd(status_listener), net::is_tcp(status_listener), /*status_only=*/true});
    }
    if (http_listener >= 0) {
        net::send_at_once(http_listener);
        host.listeners.push_back({UniqueFd(http_listener), net::is_tcp(http_listener), /*status_only=*/false, /*http=*/true});
    }
    ::_exit(host::run_host(std::move(host)));
}

bool can_listen(const config::Config& config)
{
    ListeningSockets sockets;
    sockets.import_inherited();
    const auto can_open = [&](const config::Pool& pool) { return sockets.can_open(pool); };
    return std::all_of(config.pools.begin(), config.pools.end(), can_open) &&
           std::all_of(config.status_pools.begin(), config.status_pools.end(), can_open) &&
           std::all_of(config.http_pools.begin(), config.http_pools.end(), can_open);
}

int run_master(MasterStart start) { return Master(std::move(start)).run(); }

}  // namespace ftm::master
