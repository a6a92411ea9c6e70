#include "master/slowlog.hpp"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/unique_fd.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

// zlog_print_time()
std::string time_stamp()
{
    timeval now{};
    ::gettimeofday(&now, nullptr);
    tm local{};
    ::localtime_r(&now.tv_sec, &local);
    char stamp[96];
    std::size_t n = std::strftime(stamp, sizeof stamp, "[%d-%b-%Y %H:%M:%S", &local);
    if (observe::Log::instance().threshold() == observe::Level::debug) {
        n += static_cast<std::size_t>(std::snprintf(stamp + n, sizeof stamp - n, ".%06d", static_cast<int>(now.tv_usec)));
    }
    std::snprintf(stamp + n, sizeof stamp - n, "] ");
    return stamp;
}

}  // namespace

void write_slow_trace(const config::Pool& pool, pid_t pid, const std::string& trace)
{
    observe::log(observe::Level::notice, "about to trace %d", pid);
    // The mode of fopen(…, "a+").
    const UniqueFd file(::open(pool.slowlog->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
    if (file.valid()) {
        const std::string text = "\n" + time_stamp() + " [pool " + pool.name + "] pid " + std::to_string(pid) + "\n" + trace;
        [[maybe_unused]] const ssize_t written = ::write(file.get(), text.data(), text.size());
    } else {
        observe::log_syserror("unable to open slowlog (%s)", pool.slowlog->c_str());
    }
    observe::log(observe::Level::notice, "finished trace of %d", pid);
}

}  // namespace ftm::master
