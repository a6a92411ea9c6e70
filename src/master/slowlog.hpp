// The slowlog: one backtrace after the other, written by the master. The file is opened anew each time, as php-fpm does
// it, so a rotated one needs no signal. Master only.
#pragma once

#include <sys/types.h>

#include <string>

#include "config/config.hpp"

namespace ftm::master {

// Appends a trace of the process; logs what fpm_php_trace() logs, also why it cannot be written.
void write_slow_trace(const config::Pool& pool, pid_t pid, const std::string& trace);

}  // namespace ftm::master
