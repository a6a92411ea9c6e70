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
                if (hold_output_until_) {
                    pool.early_output.push_back(std::move(datagram));
                } else {
                    on_worker_message(pool, datagram);
                }
            }
        }
    };
    read_all(pool.log_read.get());
    for (const UniqueFd& old : pool.old_logs) {
        read_all(old.get());
    }
}

WorkerOutput Master::worker_output(const Pool& pool, pid_t pid) const
{
    const bool decorated = pool.config == nullptr || pool.config->decorate_workers_output;
    return {pool.name, pid, observe::Log::instance().stream(Level::warning, decorated)};
}

// A php-fpm child writes it to its stderr, behind what scripts have written there.
void Master::on_worker_message(Pool& pool, const observe::LogDatagram& message)
{
    const bool raw = message.kind == observe::LogDatagram::Kind::raw_output;
    const std::string text = (raw ? "" : observe::worker_prefix(message.level)) + message.text;
    const auto say = [&](std::map<pid_t, EngineRecord>& engines) {
        const auto it = engines.find(message.pid);
        if (it == engines.end()) {
            return false;
        }
        OutputPipes& output = it->second.output;
        read_output(pool, message.pid, output);
        if (!output.lines) {
            output.lines = worker_output(pool, message.pid);
        }
        output.lines->message(text);
        return true;
    };
    if (say(pool.orphans) || std::any_of(pool.hosts.begin(), pool.hosts.end(), [&](auto& host) { return say(host.engines); })) {
        return;
    }
    worker_output(pool, message.pid).message(text);
}

void Master::release_output()
{
    hold_output_until_.reset();
    for (Pool& pool : pools_) {
        for (const observe::LogDatagram& message : pool.early_output) {
            on_worker_message(pool, message);
        }
        pool.early_output.clear();
    }
}

void Master::read_output(Pool& pool, pid_t engine, OutputPipes& output)
{
    on_output(pool, engine, output, WorkerOutput::From::out);
    on_output(pool, engine, output, WorkerOutput::From::err);
}

void Master::on_output(Pool& pool, pid_t engine, OutputPipes& output, WorkerOutput::From from)
{
    UniqueFd& fd = from == WorkerOutput::From::out ? output.out : output.err;
    if (!fd.valid()) {
        return;
    }
    const bool first = !output.lines;
    char bytes[1023]; // as php-fpm: where an unbuffered line is wrapped depends on it
    ssize_t n;
    while ((n = ::read(fd.get(), bytes, sizeof bytes)) > 0) {
        if (!output.lines) {
            output.lines = worker_output(pool, engine);
        }
        output.lines->feed(from, {bytes, static_cast<std::size_t>(n)});
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (output.lines) {
        output.lines->close(first);
    }
    fd.reset();
}

void Master::reopen_logs()
{
    if (start_.config.global.error_log && start_.error_log.valid()) {
        const UniqueFd fresh(::open(start_.config.global.error_log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
        if (!fresh.valid() || ::dup3(fresh.get(), start_.error_log.get(), O_CLOEXEC) < 0) {
            observe::log_syserror("failed to open error_log (%s)", start_.config.global.error_log->c_str());
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
