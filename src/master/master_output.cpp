// What pools log and workers print, on its way into the error log.
#include "master/master_process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/log.hpp"

namespace ftm::master {

using observe::Level;
using observe::log;

void Master::on_log(Pool& pool)
{
    char bytes[64 << 10];
    const auto read_all = [&](int fd) {
        ssize_t n;
        while (fd >= 0 && (n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
            observe::LogDatagram datagram;
            if (!observe::LogDatagram::decode({bytes, static_cast<std::size_t>(n)}, datagram)) {
                continue;
            }
            if (datagram.kind == observe::LogDatagram::Kind::line) {
                // A line feed in it (a script's path may have one) must not begin a line that looks like ours.
                std::replace(datagram.text.begin(), datagram.text.end(), '\n', ' ');
                observe::Log::instance().line(datagram.level, datagram.text);
            } else if (pool.config != nullptr && pool.config->catch_workers_output) {
                const std::size_t limit = static_cast<std::size_t>(start_.config.global.log_limit);
                std::string line = std::string(level_name(datagram.level)) + ": " + datagram.text + "\n";
                WorkerOutput().feed(line, [&](std::string_view part, bool) {
                    log_worker_line(pool.name, datagram.pid, "stderr", part, pool.config->decorate_workers_output, limit);
                });
            }
        }
    };
    read_all(pool.log_read.get());
    for (const UniqueFd& old : pool.old_logs) {
        read_all(old.get());
    }
}

void Master::on_output(Pool& pool, pid_t engine, UniqueFd& fd, WorkerOutput& lines, const char* stream)
{
    if (!fd.valid()) {
        return;
    }
    const bool decorate = pool.config == nullptr || pool.config->decorate_workers_output;
    const auto limit = static_cast<std::size_t>(start_.config.global.log_limit);
    const WorkerOutput::Line emit = [&](std::string_view line, bool) {
        log_worker_line(pool.name, engine, stream, line, decorate, limit);
    };
    char bytes[8192];
    for (;;) {
        const ssize_t n = ::read(fd.get(), bytes, sizeof bytes);
        if (n > 0) {
            lines.feed({bytes, static_cast<std::size_t>(n)}, emit);
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            lines.flush(emit, true);
            fd.reset();
            return;
        }
    }
}

void Master::reopen_logs()
{
    if (start_.config.global.error_log && start_.error_log.valid()) {
        const UniqueFd fresh(::open(start_.config.global.error_log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        if (!fresh.valid() || ::dup3(fresh.get(), start_.error_log.get(), O_CLOEXEC) < 0) {
            log(Level::error, "unable to re-opened error log file");
            return;
        }
        if (start_.log_to_file) {
            ::dup2(fresh.get(), STDERR_FILENO);
            for (Pool& pool : pools_) {
                for (HostProcess& host : pool.hosts) {
                    host.channel.send(Message::Kind::reopen_logs, {}, {}, {fresh.get()});
                }
            }
        }
    }
    log(Level::notice, "error log file re-opened");
}

// fpm_log_open(1). Old generations get the file too: nobody restarts for it.
void Master::reopen_access_logs()
{
    // An access.log of /dev/stderr means the stderr that php-fpm was started with, not the error_log.
    const UniqueFd now(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    if (start_.log_to_file && saved_stderr_.valid()) {
        ::dup2(saved_stderr_.get(), STDERR_FILENO);
    }
    enum class Result { none, reopened, failed } result = Result::none;
    for (Pool& pool : pools_) {
        if (!pool.access_log.valid()) {
            continue;
        }
        const std::string& path = *pool.config->access_log;
        const UniqueFd fresh(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        if (!fresh.valid()) {
            observe::log_syserror("failed to open access log (%s)", path.c_str());
            result = Result::failed;
            break;
        }
        log(Level::debug, "open access log (%s)", path.c_str());
        result = Result::reopened;
        ::dup3(fresh.get(), pool.access_log.get(), O_CLOEXEC);
        for (HostProcess& host : pool.hosts) {
            host.channel.send(Message::Kind::reopen_access_log, {}, {}, {fresh.get()});
        }
    }
    ::dup2(now.get(), STDERR_FILENO);
    if (result == Result::reopened) {
        log(Level::notice, "access log file re-opened");
    } else if (result == Result::failed) {
        log(Level::error, "unable to re-opened access log file");
    }
}

}  // namespace ftm::master
