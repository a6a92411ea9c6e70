// What one worker process prints to stdout and stderr, on its way into the error log with catch_workers_output
// (fpm_stdio.c: fpm_stdio_child_said). Value type: bytes in, log lines out. Master only.
#pragma once

#include <string>
#include <string_view>

#include "observe/log_stream.hpp"

namespace ftm::master {

class WorkerOutput {
public:
    enum class From { out, err };

    // `stream`: of level warning.
    WorkerOutput(std::string pool, int pid, observe::LogStream stream);

    // What was read in one go. A line feed, php-fpm's end-of-request mark and a change between stdout and stderr end a
    // line; what follows goes on with the next call.
    void feed(From from, std::string_view bytes);
    // A message of its own, "NOTICE: PHP message: …": begins and ends a line whatever the worker has printed so far.
    void message(std::string_view text);
    // The pipe is closed; `said_nothing_before`: all of the output came together with that.
    void close(bool said_nothing_before);

private:
    void switch_to(From from);

    std::string pool_;
    int pid_;
    observe::LogStream stream_;
    From from_ = From::err;
    std::string pending_;  // the beginning of what may become a mark
};

}  // namespace ftm::master
