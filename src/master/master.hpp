// The master process: config, listening sockets, signals, pid file, log, pool hosts. Never calls libphp.
// Single-threaded poll loop (RULES 23).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "config/command_line.hpp"
#include "config/config.hpp"
#include "master/reload_state.hpp"

namespace ftm::master {

struct MasterStart {
    config::CommandLine command_line;
    config::Config config;
    std::string config_file;
    std::vector<std::string> arguments;  // argv, for reload
    ReloadState inherited;
    UniqueFd error_log;                  // invalid with syslog
    std::map<std::string, UniqueFd> access_logs;  // by path
    UniqueFd parent;                     // pipe to the process that waits while we become a daemon
    bool daemonized = false;
    bool log_to_file = false;            // descriptor 2 becomes the error_log
};

// Before a reload, in the image that is asked: whether every address can be listened on that is not inherited. Leaves
// nothing open.
bool can_listen(const config::Config& config);

// Until told to stop; returns the exit code.
int run_master(MasterStart start);

}  // namespace ftm::master
