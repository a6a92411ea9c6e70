// The master's poll loop: what became readable, and whose time is over.
#include "master/master_process.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <signal.h>
#include <utility>

#include "base/check.hpp"
#include "observe/log.hpp"

namespace ftm::master {

using namespace std::chrono_literals;
using observe::Level;
using observe::log;
using State = HostProcess::State;

void Master::loop_once()
{
    struct Source {
        Pool* pool = nullptr;
        HostProcess* host = nullptr;
        pid_t engine = 0;
        OutputPipes* output = nullptr;
        WorkerOutput::From from = WorkerOutput::From::out;
        bool is_listener = false;
        FileWatch* watch = nullptr;
    };
    std::vector<pollfd> fds{{signals_.get(), POLLIN, 0}};
    std::vector<Source> sources(1);
    const auto add = [&](int fd, Source source) {
        fds.push_back({fd, POLLIN, 0});
        sources.push_back(source);
    };
    const auto add_output = [&](Pool& pool, std::map<pid_t, EngineRecord>& engines) {
        for (auto& [pid, engine] : engines) {
            if (hold_output_until_) {
                return;
            }
            OutputPipes& output = engine.output;
            if (output.out.valid()) {
                add(output.out.get(), {&pool, nullptr, pid, &output, WorkerOutput::From::out});
            }
            if (output.err.valid()) {
                add(output.err.get(), {&pool, nullptr, pid, &output, WorkerOutput::From::err});
            }
        }
    };
    for (Pool& pool : pools_) {
        if (pool.log_read.valid()) {
            add(pool.log_read.get(), {&pool});
        }
        if (pool.watch != nullptr && pool.watch->fd() >= 0) {
            add(pool.watch->fd(), {.pool = &pool, .watch = pool.watch.get()});
        }
        for (const UniqueFd& old : pool.old_logs) {
            add(old.get(), {&pool});
        }
        for (HostProcess& host : pool.hosts) {
            if (host.channel.valid()) {
                add(host.channel.fd(), {&pool, &host});
            }
            if (waits_for_clients(pool, host)) {
                for (const int listener : {pool.listener, pool.status_listener, pool.http_listener}) {
                    add(listener, {.pool = &pool, .host = &host, .is_listener = true}); // poll() passes over -1
                }
            }
            add_output(pool, host.engines);
        }
        add_output(pool, pool.orphans);
    }
    const int n = ::poll(fds.data(), fds.size(), timeout_ms());
    FTM_CHECK(n >= 0 || errno == EINTR);
    // Logs and output first, then messages, then deaths: the order in which things were said.
    for (std::size_t i = 1; i < fds.size(); ++i) {
        const Source& source = sources[i];
        if (fds[i].revents == 0) {
            continue;
        }
        if (source.watch != nullptr) {
            source.watch->on_readable(Clock::now());
        } else if (source.output != nullptr) {
            on_output(*source.pool, source.engine, *source.output, source.from);
        } else if (source.host == nullptr) {
            on_log(*source.pool);
        }
    }
    for (std::size_t i = 1; i < fds.size(); ++i) {
        if (fds[i].revents != 0 && sources[i].is_listener) {
            HostProcess& host = *sources[i].host;
            host.asked = host.asked || host.channel.send(Message::Kind::start_engine);
        } else if (fds[i].revents != 0 && sources[i].host != nullptr && sources[i].output == nullptr) {
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
    if (emergency_due_ && phase_ == Phase::running) {
        log(Level::warning, "failed processes threshold (%d in %d sec) is reached, initiating reload",
            start_.config.global.emergency_restart_threshold,
            static_cast<int>(start_.config.global.emergency_restart_interval.count()));
        reload(); // what starts meanwhile does so unseen: php-fpm starts nothing any more
    }
    emergency_due_ = false;
}

// RULES 24: level-triggered, and only while nobody else would accept.
bool Master::waits_for_clients(const Pool& pool, const HostProcess& host) const
{
    return pool.config != nullptr && pool.config->pm == config::ProcessManager::ondemand && phase_ == Phase::running &&
           host.alive && host.state == State::serving && host.channel.valid() && host.engines.empty() && !host.asked;
}

int Master::timeout_ms() const
{
    std::optional<Clock::time_point> next = escalate_at_;
    const auto consider = [&](const std::optional<Clock::time_point>& when) {
        if (when && (!next || *when < *next)) {
            next = when;
        }
    };
    consider(hold_output_until_);
    consider(heartbeat_at_);
    for (const Pool& pool : pools_) {
        consider(pool.start_again);
        if (pool.watch != nullptr) {
            consider(pool.watch->next());
        }
        if (pool.wants_generation && pool.last_start) {
            consider(*pool.last_start + kGenerationInterval);
        }
        for (const HostProcess& host : pool.hosts) {
            consider(host.deadline);
            if (!announced_) {
                consider(host.leaves_by);
            }
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
    if (hold_output_until_ && now >= *hold_output_until_) {
        release_output();
    }
    if (heartbeat_at_ && now >= *heartbeat_at_) {
        heartbeat();
    }
    if (phase_ == Phase::stopping) {
        if (!any_host()) {
            phase_ = Phase::finished;
        }
        return;
    }
    maybe_announce();
    for (Pool& pool : pools_) {
        if (pool.watch != nullptr) {
            if (const auto change = pool.watch->on_time(now)) {
                on_changed_files(pool, *change);
            }
        }
        for (HostProcess& host : pool.hosts) {
            if (host.leaves_by && now >= *host.leaves_by) {
                host.leaves_by.reset();
            }
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
        } else if (due) { // look again soon
            pool.last_start = now - kGenerationInterval + 100ms;
            if (pool.start_again) {
                pool.start_again = now + 100ms;
            }
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

}  // namespace ftm::master
