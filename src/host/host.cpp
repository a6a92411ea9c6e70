// A pool host's start, and its poll loop.
#include "host/host_process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <strings.h>
#include <fcntl.h>
#include <list>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/process_title.hpp"
#include "engine/identity.hpp"
#include "ftm_engine.h"
#include "host/startup_output.hpp"
#include "observe/log.hpp"

namespace ftm::host {

using State = EngineProcess::State;

namespace {

int opcache_pipe_write = -1;

// Runs under opcache's lock, in an engine (RULES 13).
void on_opcache_restart(int reason) noexcept
{
    const char byte = static_cast<char>(reason);
    [[maybe_unused]] const ssize_t n = ::write(opcache_pipe_write, &byte, 1);
}

// zend_ini_parse_bool()
bool is_on(const std::string& value)
{
    const auto is = [&](const char* word) { return ::strcasecmp(value.c_str(), word) == 0; };
    return is("true") || is("yes") || is("on") || std::atoi(value.c_str()) != 0;
}

Pipe make_pipe()
{
    int fds[2];
    FTM_CHECK(::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

Host::Host(HostStart start)
    : pool_(*start.pool),
      runtime_(std::move(start.runtime)),
      listeners_(std::move(start.listeners)),
      master_(std::move(start.master)),
      board_(std::move(start.board)),
      access_log_(std::move(start.access_log)),
      master_pid_(start.master_pid),
      crash_(make_pipe()),
      opcache_(make_pipe()),
      first_generation_(start.first_generation),
      reason_(start.reason)
{
}

EngineProcess* Host::find(pid_t pid)
{
    const auto it = std::find_if(engines_.begin(), engines_.end(), [&](const auto& e) { return e.pid == pid; });
    return it == engines_.end() ? nullptr : &*it;
}

EngineProcess* Host::find_serving()
{
    const auto it = std::find_if(engines_.begin(), engines_.end(),
                                 [](const auto& e) { return e.state == State::ready && !e.expected_to_exit; });
    return it == engines_.end() ? nullptr : &*it;
}

bool Host::is_serving() const
{
    return std::any_of(engines_.begin(), engines_.end(), [](const auto& e) {
        return e.state == State::starting || (e.state == State::ready && !e.expected_to_exit);
    });
}

bool Host::start_php()
{
    opcache_pipe_write = opcache_.write.get();
    const bool own_modules = std::any_of(pool_.php_values.begin(), pool_.php_values.end(), [](const auto& value) {
        return value.key == "extension" || value.key == "zend_extension";
    });
    if (own_modules) { // php-fpm's children load them, with the pool's variables set
        engine::set_pool_variables(pool_);
    }
    const StartupOutput output(pool_.catch_workers_output);
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
    read_page_headers();
    return true;
}

// Of php.ini; the pool's values are not applied here but in each context, and the first line of a key wins.
void Host::read_page_headers()
{
    ftm_ini_settings settings{};
    ftm_thread_settings(&settings);
    page_headers_.charset = settings.default_charset != nullptr ? settings.default_charset : "";
    page_headers_.type = settings.default_mimetype != nullptr ? settings.default_mimetype : "";
    bool exposed = settings.expose_php != 0;
    for (const config::PhpValue& value : pool_.php_values) {
        if (value.key == "expose_php") {
            exposed = is_on(value.value);
        } else if (value.key == "default_charset") {
            page_headers_.charset = value.value;
        } else if (value.key == "default_mimetype") {
            page_headers_.type = value.value;
        }
    }
    if (exposed) {
        page_headers_.x_powered_by = std::string("X-Powered-By: PHP/") + ftm_php_version() + "\r\n";
    }
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
    if (pool_.pm_max_memory > 0) {
        memory_look_ = Clock::now() + kMemoryLook;
    }
    if (is_ondemand()) { // its first engine starts with its first client
        report_ready(0);
    } else {
        start_engine(reason_);
    }
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
                if (got == Channel::Receive::closed) { // it ends; one that a script has robbed of its descriptors never would
                    engine.channel.close();
                    engine.deadline = engine.deadline.value_or(Clock::now() + kKillAfterGiveUp);
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

int run_host(HostStart start) { return Host(std::move(start)).run(); }

}  // namespace ftm::host
