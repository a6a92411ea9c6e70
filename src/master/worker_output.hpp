// Lines that workers wrote to stdout and stderr, on their way into the error log (fpm_stdio.c, catch_workers_output).
// Value type: bytes in, whole lines out. Master only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ftm::master {

class WorkerOutput {
public:
    // A line without its newline. `closed`: the pipe ended with it.
    using Line = std::function<void(std::string_view line, bool closed)>;

    void feed(std::string_view bytes, const Line& line);
    // The request has ended or the pipe is closed: what is left is a line of its own.
    void flush(const Line& line, bool closed);

private:
    std::string partial_;
};

// `[pool www] child 12 said into stderr: "LINE"`, wrapped so that a physical line with its prefix and newline has at
// most log_limit bytes.
void log_worker_line(const std::string& pool, int pid, const char* stream, std::string_view line, bool decorate,
                     std::size_t log_limit);

}  // namespace ftm::master
