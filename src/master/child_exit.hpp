// php-fpm's lines about processes that ended (fpm_children.c).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <set>
#include <string>

namespace ftm::master {

// "exited with code 3", "exited on signal 11 (SIGSEGV - core dumped)"
[[nodiscard]] std::string describe_exit(int status);

// quiet: expected, so only at debug level.
void log_child_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime, bool quiet);
void log_host_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime);
// adopted: some script's program whose parent is gone. php-fpm, which is no subreaper, has those only as process 1.
void log_unknown_exit(pid_t pid, int status, bool adopted);

// The children that this process has at the moment, as far as /proc tells. Called before the first of our own.
[[nodiscard]] std::set<pid_t> present_children();

}  // namespace ftm::master
