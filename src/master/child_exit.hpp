// php-fpm's lines about processes that ended (fpm_children.c).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

namespace ftm::master {

// "exited with code 3", "exited on signal 11 (SIGSEGV - core dumped)"
[[nodiscard]] std::string describe_exit(int status);

// quiet: expected, so only at debug level.
void log_child_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime, bool quiet);
void log_host_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime);
void log_unknown_exit(pid_t pid, int status);

}  // namespace ftm::master
