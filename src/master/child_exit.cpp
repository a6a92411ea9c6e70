#include "master/child_exit.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "observe/log.hpp"

namespace ftm::master {

using observe::Level;
using observe::log;

namespace {

// fpm_signal_names: realtime signals have none.
std::string signal_name(int signal)
{
    const char* const name = signal == SIGIO ? "IO" : ::sigabbrev_np(signal);
    return name != nullptr && signal != SIGSTKFLT ? std::string("SIG") + name : std::string();
}

}  // namespace

std::string describe_exit(int status)
{
    if (WIFSIGNALED(status)) {
        const int signal = WTERMSIG(status);
        return "exited on signal " + std::to_string(signal) + " (" + signal_name(signal) +
               (WCOREDUMP(status) ? " - core dumped)" : ")");
    }
    return "exited with code " + std::to_string(WEXITSTATUS(status));
}

namespace {

void log_exit(Level level, const std::string& pool, const char* what, pid_t pid, int status,
              std::chrono::microseconds lifetime)
{
    log(level, "[pool %s] %s %d %s after %ld.%06d seconds from start", pool.c_str(), what, pid,
        describe_exit(status).c_str(), static_cast<long>(lifetime.count() / 1'000'000),
        static_cast<int>(lifetime.count() % 1'000'000));
}

}  // namespace

void log_host_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime)
{
    log_exit(Level::warning, pool, "host", pid, status, lifetime);
}

void log_child_exit(const std::string& pool, pid_t pid, int status, std::chrono::microseconds lifetime, bool quiet)
{
    const bool soft = (WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    const Level level = quiet ? Level::debug : soft ? Level::notice : Level::warning;
    log_exit(level, pool, "child", pid, status, lifetime);
}

void log_unknown_exit(pid_t pid, int status, bool adopted)
{
    log(adopted || ::getpid() == 1 ? Level::debug : Level::warning,
        "unknown child (%d) %s - potentially a bug or pre exec child (e.g. s6-notifyoncheck)", pid,
        describe_exit(status).c_str());
}

std::set<pid_t> present_children()
{
    std::set<pid_t> result;
    std::ifstream file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
    for (pid_t pid = 0; file >> pid;) {
        result.insert(pid);
    }
    return result;
}

}  // namespace ftm::master
