// What an executing master passes to its next image beyond FPM_SOCKETS: the hosts that go on serving until successors
// are ready. One environment variable; a stock php-fpm ignores it, and the hosts then drain by themselves. Versioned.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ftm::master {

struct InheritedHost {
    std::string pool;
    pid_t pid = -1;
    int channel = -1;
    int log_read = -1;
    bool draining = false;  // its successor serves already
};

struct ReloadState {
    bool daemonized = false;
    bool hands_over = true;  // decoded: the old engines write connections as ours read them
    std::vector<InheritedHost> hosts;
};

[[nodiscard]] std::string encode(const ReloadState& state);
// No hosts for another version or damaged text: they drain when nobody has claimed them.
[[nodiscard]] ReloadState decode(const std::string& text);

inline constexpr const char* kReloadVariable = "FTM_GENERATION";
// Set while the binary on disk is asked whether it accepts the configuration: it then touches no log.
inline constexpr const char* kReloadTestVariable = "FTM_RELOAD_TEST";
// What it then says at last, if it is php-ftm and accepts: it will take the running hosts over.
inline constexpr const char* kReloadTestAnswer = "php-ftm takes over\n";

}  // namespace ftm::master
