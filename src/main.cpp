// argv → what to do, and php-fpm's exit codes: 0 ok, 64 usage, 70 internal, 78 configuration.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <strings.h>

#include "base/process_title.hpp"
#include "config/command_line.hpp"
#include "config/configuration.hpp"
#include "config/directive_table.hpp"
#include "config/text.hpp"
#include "ftm_engine.h"
#include "master/master.hpp"
#include "observe/log.hpp"
#include "php/runtime.hpp"

namespace {

using namespace ftm;
using observe::Level;

constexpr int kExitOk = 0;
constexpr int kExitUsage = 64;
constexpr int kExitSoftware = 70;
constexpr int kExitConfig = 78;
constexpr int kDaemonStartMs = 11 * 60'000;  // a host has ten minutes for PHP's start, preloading included

// Who starts us may have closed them: a log opened in their place would be lost when they are redirected.
void open_standard_descriptors()
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) != fd) {
            return;
        }
    }
}

Level level_of(config::LogLevel level) { return static_cast<Level>(static_cast<int>(level) + 1); }

// The file of error_log, opened while the configuration is checked, as php-fpm does it.
UniqueFd error_log_file;
std::map<std::string, UniqueFd> access_log_files;

int open_log(config::LogFile kind, const std::string& path)
{
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) {
        return errno;
    }
    if (kind == config::LogFile::error_log) {
        error_log_file = std::move(fd);
    } else if (kind == config::LogFile::access_log) {
        access_log_files[path] = std::move(fd);
    }
    return 0;
}

config::Configuration configure(const config::CommandLine& line)
{
    config::Invocation invocation;
    invocation.file = line.config_file;
    invocation.prefix = line.prefix;
    invocation.pid = line.pid;
    invocation.daemonize = line.daemonize;
    invocation.test_level = line.test_level;
    invocation.allow_root = line.allow_root;
    config::Environment environment = config::system_environment();
    environment.open_log = open_log;
    config::ValueLookups lookups;
    lookups.environment = environment.variable;
    lookups.ini = [&line](const std::string& name) -> std::optional<std::string> {
        for (auto it = line.defines.rbegin(); it != line.defines.rend(); ++it) {
            const std::size_t equals = it->find('=');
            if (it->substr(0, equals) == name) {
                return equals == std::string::npos ? "1" : it->substr(equals + 1);
            }
        }
        return std::nullopt;
    };
    return config::read_configuration(invocation, lookups, environment);
}

// From now on lines go to the error_log (fpm_stdio_open_error_log), and until the start is over to stderr too.
void begin_error_log(const config::Global& global)
{
    observe::Log& log = observe::Log::instance();
    if (::strcasecmp(global.error_log->c_str(), "syslog") == 0) {
        log.set_syslog(*global.syslog_ident, *global.syslog_facility);
    } else if (error_log_file.valid()) {
        log.set_file(error_log_file.get(), *global.error_log == "/dev/stderr" || *global.error_log == "/proc/self/fd/2");
    }
}

void begin_log_settings(const config::Global& global)
{
    observe::Log& log = observe::Log::instance();
    log.set_threshold(level_of(global.effective_log_level()));
    log.set_buffering(global.log_buffering);
    if (global.log_limit >= config::kLeastLogLimit) {
        log.set_limit(static_cast<std::size_t>(global.log_limit));
    }
}

void print_messages(const config::Configuration& configuration, bool to_file)
{
    for (std::size_t i = 0; i <= configuration.messages.size(); ++i) {
        if (i == configuration.before_log_settings) {
            begin_log_settings(*configuration.global);
        }
        if (i == configuration.before_error_log && to_file) {
            begin_error_log(*configuration.global);
        }
        if (i == configuration.messages.size()) {
            break;
        }
        const config::Message& message = configuration.messages[i];
        if (message.raw) {
            std::fprintf(stderr, "%s\n", message.text.c_str());
        } else {
            observe::Log::instance().line(level_of(message.level), message.text, config::is_system_error(message.text));
        }
    }
}

// The parent waits until the child serves or has failed (fpm_unix.c). Returns the exit code in the parent, -1 in the
// child, whose end of the pipe is `to_parent`.
int daemonize(UniqueFd& to_parent)
{
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        observe::log_syserror("failed to create pipe");
        return kExitSoftware;
    }
    UniqueFd read(fds[0]);
    UniqueFd write(fds[1]);
    const pid_t pid = ::fork();
    if (pid < 0) {
        observe::log_syserror("failed to daemonize");
        return kExitSoftware;
    }
    if (pid == 0) {
        to_parent = std::move(write);
        return -1;
    }
    write.reset();
    pollfd wait{read.get(), POLLIN, 0};
    int value = 0;
    if (::poll(&wait, 1, kDaemonStartMs) > 0) {
        const ssize_t n = ::read(read.get(), &value, sizeof value);
        if (n <= 0) {
            observe::log(Level::error, n == 0 ? "no data have been read from pipe" : "failed to read from pipe");
        }
        return n == sizeof value && value == 1 ? kExitOk : kExitSoftware;
    }
    observe::log(Level::error, "the master process didn't send back its status (via the pipe to the calling process)");
    return kExitSoftware;
}

bool set_limits(const config::Global& global)
{
    const auto set = [](__rlimit_resource resource, const char* directive, const char* name, int value) {
        const rlim_t limit = value < 0 ? RLIM_INFINITY : static_cast<rlim_t>(value);
        const rlimit both{limit, limit};
        if (value != 0 && ::setrlimit(resource, &both) != 0) {
            observe::log_syserror("failed to set %s for this pool. Please check your system limits or decrease %s. setrlimit(%s, %d)",
                                  directive, directive, name, value);
            return false;
        }
        return true;
    };
    return set(RLIMIT_NOFILE, "rlimit_files", "RLIMIT_NOFILE", global.rlimit_files) &&
           set(RLIMIT_CORE, "rlimit_core", "RLIMIT_CORE", global.rlimit_core);
}

int print_php(const config::CommandLine& line, const std::string& executable)
{
    php::RuntimeOptions options;
    options.executable = executable;
    options.ini_path = line.ini_path.value_or("");
    options.ini_ignore = line.no_ini;
    options.ini_entries = config::ini_entries(line.defines);
    if (!php::start_runtime(options, [](int) noexcept {}).empty()) {
        return kExitSoftware;
    }
    int code = kExitOk;
    if (line.action == config::CommandLine::Action::modules) {
        ftm_print_modules();
    } else if (ftm_print_information() != 0) {
        code = kExitSoftware;
    }
    php::stop_runtime();
    return code;
}

int run(const config::CommandLine& line, std::vector<std::string> arguments)
{
    ::signal(SIGPIPE, SIG_IGN);
    master::MasterStart start;
    if (const char* state = ::getenv(master::kReloadVariable)) {
        start.inherited = master::decode(state);
        ::unsetenv(master::kReloadVariable);
    }
    const bool reload_test = ::getenv(master::kReloadTestVariable) != nullptr;
    config::Configuration configuration = configure(line);
    const config::Global* global = configuration.global ? &*configuration.global : nullptr;
    const bool daemon = global != nullptr ? global->daemonize : line.daemonize.value_or(true);
    const bool to_file = !reload_test && (daemon || (::isatty(STDERR_FILENO) == 0 && !line.force_stderr));
    print_messages(configuration, to_file);
    if (!configuration.config) {
        return kExitConfig;
    }
    if (line.test_level > 0) {
        if (reload_test) {
            if (!master::can_listen(*configuration.config)) {
                return kExitConfig;
            }
            std::fputs(master::kReloadTestAnswer, stderr);
        }
        return kExitOk;
    }
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
        const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        ::dup2(null.get(), fd);
    }
    if (!set_limits(*global)) {
        observe::log(Level::error, "FPM initialization failed");
        return kExitConfig;
    }
    start.daemonized = daemon;
    if (daemon && !start.inherited.daemonized) {
        if (const int code = daemonize(start.parent); code >= 0) {
            return code;
        }
    }
    ::setsid();
    start.command_line = line;
    start.config = std::move(*configuration.config);
    start.config_file = configuration.file;
    start.arguments = std::move(arguments);
    start.error_log = std::move(error_log_file);
    start.access_logs = std::move(access_log_files);
    start.log_to_file = to_file && start.error_log.valid();
    return master::run_master(std::move(start));
}

}  // namespace

int main(int argc, char** argv)
{
    open_standard_descriptors();
    std::vector<std::string> arguments(argv, argv + argc);
    ftm::init_process_title(argc, argv);
    const config::CommandLine line = config::parse_command_line(arguments);
    using Action = config::CommandLine::Action;
    switch (line.action) {
        case Action::usage:
        case Action::usage_error:
            std::fputs(config::usage_text(arguments[0], "/usr").c_str(), stdout);
            return line.action == Action::usage ? kExitOk : kExitUsage;
        case Action::version:
            std::fputs(ftm_version_text(), stdout);
            return kExitOk;
        case Action::print_global_sample:
            std::fputs(config::sample_file(config::Section::global).c_str(), stdout);
            return kExitOk;
        case Action::print_pool_sample:
            std::fputs(config::sample_file(config::Section::pool).c_str(), stdout);
            return kExitOk;
        case Action::print_config_docs:
            std::fputs(config::directives_markdown().c_str(), stdout);
            return kExitOk;
        case Action::modules:
        case Action::information:
            return print_php(line, arguments[0]);
        case Action::run:
            break;
    }
    return run(line, std::move(arguments));
}
