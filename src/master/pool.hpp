// A pool as the master sees it: its sockets, scoreboard, log channel, and the hosts of its generations.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/channel.hpp"
#include "config/config.hpp"
#include "master/file_watch.hpp"
#include "master/worker_output.hpp"
#include "observe/log.hpp"
#include "observe/scoreboard.hpp"

namespace ftm::master {

using Clock = std::chrono::steady_clock;

// What an engine's descriptors 1 and 2 lead to, with catch_workers_output.
struct OutputPipes {
    UniqueFd out;
    UniqueFd err;
    std::optional<WorkerOutput> lines;  // from its first output on
};

struct EngineRecord {
    Clock::time_point started;
    int contexts = 0;  // as it says, or as configured for static pools
    OutputPipes output;
};

struct HostProcess {
    enum class State {
        starting,  // no engine is ready yet
        serving,
        draining   // its successor serves, or the master is stopping
    };

    pid_t pid = -1;
    Clock::time_point started = Clock::now();
    Channel channel;
    int log_read = -1;       // the pool's: log_read or one of old_logs
    State state = State::starting;
    bool hands_over = true;  // false: of an image whose connections ours cannot read
    bool alive = true;  // false: exited, waits for its last messages to be read
    std::map<pid_t, EngineRecord> engines;
    bool asked = false;  // of an ondemand pool: an engine has been ordered, and none has ended since
    std::optional<Clock::time_point> leaves_by;  // draining: has not said yet that it accepts no more; when not to wait any longer
    std::optional<Clock::time_point> deadline;  // starting: to become ready; draining: to be gone
};

struct Pool {
    const config::Pool* config = nullptr;  // nullptr: gone from the configuration, its old hosts drain
    std::string name;
    int listener = -1;
    int status_listener = -1;  // pm.status_listen; -1: none
    int http_listener = -1;    // http.listen; -1: none
    UniqueFd access_log;       // opened while the configuration was checked; invalid: none
    observe::Scoreboard board;
    UniqueFd log_read;
    UniqueFd log_write;
    std::vector<observe::LogDatagram> early_output;  // what workers said before the start was announced
    std::list<UniqueFd> old_logs;  // read ends of channels that hosts of earlier images write to
    std::map<pid_t, EngineRecord> orphans;  // engines whose host died
    std::list<HostProcess> hosts;
    bool php_started = false;  // in one of its hosts: as far as php-fpm is before it becomes a daemon
    std::unique_ptr<FileWatch> watch;  // worker.watch; nullptr: none
    bool ready_once = false;
    bool wants_generation = false;
    observe::RestartReason reason = observe::RestartReason::none;  // of the generation that is wanted, or was started last
    unsigned failures = 0;  // generations in a row that did not become ready
    std::optional<Clock::time_point> last_start;
    std::optional<Clock::time_point> start_again;
};

}  // namespace ftm::master
