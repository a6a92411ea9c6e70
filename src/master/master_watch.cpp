// worker.watch: changed files start a new generation, so that the new code meets an empty opcache, and goes on serving
// the old one should it not boot.
#include <algorithm>
#include <filesystem>
#include <signal.h>

#include "master/master_process.hpp"
#include "observe/log.hpp"

namespace ftm::master {

using namespace std::chrono_literals;
using State = HostProcess::State;

namespace {

constexpr auto kUnwantedTime = 2s;

}  // namespace

void Master::watch_files(Pool& pool)
{
    const config::Pool& config = *pool.config;
    if (!config.worker_script || config.worker_watch.empty()) {
        return;
    }
    const std::string base = std::filesystem::path(*config.worker_script).parent_path().string();
    pool.watch = std::make_unique<FileWatch>(pool.name, WatchPatterns(config.worker_watch, base, config.chroot.value_or("")),
                                             Clock::now());
}

void Master::on_changed_files(Pool& pool, const FileWatch::Change& change)
{
    if (phase_ != Phase::running) {
        return;
    }
    const std::string others = change.others == 0 ? "" : " and " + std::to_string(change.others) + " more";
    observe::log(observe::Level::notice, "[pool %s] %s%s changed: a new generation starts", pool.name.c_str(),
                 change.file.c_str(), others.c_str());
    pool.wants_generation = true;
    pool.reason = observe::RestartReason::watch;
    for (HostProcess& host : pool.hosts) {
        if (host.state == State::starting && pool.ready_once) { // of the files as they were: nobody waits for it any more
            host.state = State::draining;
            host.deadline = Clock::now() + kUnwantedTime;
            host.channel.send(Message::Kind::stop, {SIGTERM});
        }
    }
}

}  // namespace ftm::master
