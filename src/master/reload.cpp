#include "master/reload.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

using namespace std::chrono_literals;

constexpr auto kTestTime = 10s;
constexpr std::size_t kShownArguments = 10;

std::vector<char*> pointers(const std::vector<std::string>& arguments)
{
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    return argv;
}

// Everything it prints until it ends or its time is over.
std::string read_output(int fd)
{
    std::string output;
    const auto end = std::chrono::steady_clock::now() + kTestTime;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd wait{fd, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) {
            return output;
        }
        char bytes[4096];
        const ssize_t n = ::read(fd, bytes, sizeof bytes);
        if (n <= 0) {
            return output;
        }
        output.append(bytes, static_cast<std::size_t>(n));
    }
}

std::string first_error(const std::string& output)
{
    for (const char* level : {"ALERT: ", "ERROR: "}) {
        const std::size_t at = output.find(level);
        if (at != std::string::npos) {
            const std::size_t begin = at + std::strlen(level);
            return output.substr(begin, output.find('\n', begin) - begin);
        }
    }
    return output.empty() ? "the configuration test printed nothing" : output.substr(0, output.find('\n'));
}

}  // namespace

BinaryTest test_binary(const std::vector<std::string>& arguments)
{
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        return {std::string("no pipe: ") + std::strerror(errno)};
    }
    const UniqueFd read(fds[0]);
    UniqueFd write(fds[1]);
    std::vector<std::string> with_test = arguments;
    with_test.insert(with_test.begin() + 1, "-t");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, write.get(), STDERR_FILENO);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    ::setenv(kReloadTestVariable, "1", 1);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, with_test[0].c_str(), &actions, &attributes, pointers(with_test).data(), environ);
    ::unsetenv(kReloadTestVariable);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    write.reset();
    if (error != 0) {
        return {with_test[0] + ": " + std::strerror(error)};
    }
    const std::string output = read_output(read.get());
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == 0) {
        // It has closed its output but not ended, or it hangs: it gets a moment, then no more.
        for (int i = 0; i < 100 && ::waitpid(pid, &status, WNOHANG) == 0; ++i) {
            ::usleep(10'000);
            if (i == 99) {
                ::kill(pid, SIGKILL);
                ::waitpid(pid, &status, 0);
            }
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return {first_error(output)};
    }
    return {{}, output.ends_with(kReloadTestAnswer)};
}

void execute(const std::vector<std::string>& arguments, const ReloadState* state)
{
    if (state != nullptr) {
        for (const InheritedHost& host : state->hosts) {
            ::fcntl(host.channel, F_SETFD, 0);
            ::fcntl(host.log_read, F_SETFD, 0);
        }
        ::setenv(kReloadVariable, encode(*state).c_str(), 1);
    }
    std::string shown;
    for (std::size_t i = 0; i < arguments.size() && i < kShownArguments; ++i) {
        shown += (i == 0 ? "\"" : ", \"") + arguments[i] + "\"";
    }
    observe::log(observe::Level::notice, "reloading: execvp(\"%s\", {%s%s})", arguments[0].c_str(), shown.c_str(),
                 arguments.size() > kShownArguments ? ", ..." : "");
    ::execvp(arguments[0].c_str(), pointers(arguments).data());
    observe::log_syserror("failed to reload: execvp() failed");
}

}  // namespace ftm::master
