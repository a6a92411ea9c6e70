#include "config/post_process.hpp"

#include <sys/un.h>
#include <syslog.h>

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "config/access_format.hpp"
#include "config/pool_checks.hpp"
#include "config/text.hpp"

namespace ftm::config {
namespace {

constexpr std::chrono::milliseconds kDefaultHeartbeat{10000};

class PostProcess {
public:
    PostProcess(Config& config, const PostProcessOptions& options, const Environment& environment)
        : config_(config), options_(options), environment_(environment)
    {
    }

    PostProcessResult run()
    {
        result_.ok = check_global() && open_error_log() && choose_mechanism() && check_pools() && open_access_logs();
        if (!result_.ok) {
            refuse("failed to post process the configuration");
        }
        return std::move(result_);
    }

private:
    bool check_global()
    {
        Global& global = config_.global;
        if (global.pid) {
            global.pid = full_path(*global.pid, nullptr, options_, options_.default_localstatedir);
        }
        if (options_.daemonize) {
            global.daemonize = *options_.daemonize;
        }
        if (global.log_limit < kLeastLogLimit) {
            return refuse("log_limit must be greater than " + std::to_string(kLeastLogLimit));
        }
        if (global.process_max < 0) {
            return refuse("process_max can't be negative");
        }
        if (global.process_priority && (*global.process_priority < -19 || *global.process_priority > 20)) {
            return refuse("process.priority must be included into [-19,20]");
        }
        if (!global.error_log) {
            global.error_log = "log/php-fpm.log";
        }
        choose_heartbeat();
        global.syslog_ident = global.syslog_ident.value_or("php-fpm");
        global.syslog_facility = global.syslog_facility.value_or(LOG_DAEMON);
        if (!equals_ignoring_case(*global.error_log, "syslog")) {
            global.error_log = full_path(*global.error_log, nullptr, options_, options_.default_localstatedir);
        }
        return true;
    }

    // systemd's watchdog, if it runs, decides how often we report.
    void choose_heartbeat()
    {
        Global& global = config_.global;
        std::chrono::milliseconds watchdog{0};
        if (const std::optional<std::string> text = environment_.variable("WATCHDOG_USEC")) {
            watchdog = std::chrono::milliseconds(std::atol(text->c_str()) / 2000);
            result_.messages.push_back({LogLevel::debug, "WATCHDOG_USEC=" + *text + ", interval=" +
                                                             std::to_string(watchdog.count())});
        }
        if (watchdog > std::chrono::milliseconds(1000)) {
            if (global.systemd_interval && global.systemd_interval->count() > 0) {
                result_.messages.push_back({LogLevel::warning, "systemd_interval option ignored"});
            }
            char seconds[32];
            std::snprintf(seconds, sizeof seconds, "%.3g", static_cast<double>(watchdog.count()) / 1000.0);
            result_.messages.push_back(
                {LogLevel::notice, std::string("systemd watchdog configured to ") + seconds + "sec"});
            global.systemd_watchdog = true;
            global.systemd_interval = watchdog;
        } else if (!global.systemd_interval || global.systemd_interval->count() < 0) {
            global.systemd_interval = kDefaultHeartbeat;
        }
    }

    bool open_error_log()
    {
        const std::string& path = *config_.global.error_log;
        if (!equals_ignoring_case(path, "syslog")) {
            if (const int problem = environment_.open_log(LogFile::error_log, path); problem != 0) {
                return refuse(system_error("failed to open error_log (" + path + ")", problem));
            }
        }
        result_.before_error_log = result_.messages.size();
        return true;
    }

    bool choose_mechanism()
    {
        std::optional<std::string>& wanted = config_.global.events_mechanism;
        for (const char* name : {"epoll", "poll", "select"}) {
            if (!wanted || equals_ignoring_case(*wanted, name)) {
                wanted = name;
                return true;
            }
        }
        return refuse("event mechanism '" + *wanted + "' is not available on this system");
    }

    bool check_pools()
    {
        if (config_.pools.empty()) {
            return refuse("No pool defined. at least one pool section must be specified in config file");
        }
        PoolChecks checks(config_, options_, environment_, result_.messages);
        for (Pool& pool : config_.pools) {
            if (!checks.check(pool, /*status_pool=*/false)) {
                return false;
            }
        }
        for (Pool& pool : config_.status_pools) {
            if (!checks.check(pool, /*status_pool=*/true)) {
                return false;
            }
        }
        return check_distinct_addresses();
    }

    bool check_distinct_addresses()
    {
        std::vector<const Pool*> pools;
        for (const Pool& pool : config_.pools) {
            pools.push_back(&pool);
        }
        for (const Pool& pool : config_.status_pools) {
            pools.push_back(&pool);
        }
        for (const Pool& pool : config_.http_pools) {
            pools.push_back(&pool);
        }
        for (const Pool* first : pools) {
            for (const Pool* second : pools) {
                if (first != second && first->listen == second->listen) {
                    return refuse("[pool " + second->name +
                                  "] unable to set listen address as it's already used in another pool '" +
                                  first->name + "'");
                }
            }
        }
        return true;
    }

    bool open_access_logs()
    {
        for (const Pool& pool : config_.pools) {
            if (!pool.access_log) {
                continue;
            }
            if (const int problem = environment_.open_log(LogFile::access_log, *pool.access_log); problem != 0) {
                return refuse(system_error("failed to open access log (" + *pool.access_log + ")", problem));
            }
            result_.messages.push_back({LogLevel::debug, "open access log (" + *pool.access_log + ")"});
        }
        for (const Pool& pool : config_.pools) {
            if (!pool.access_log || pool.access_log->empty()) {
                continue;
            }
            if (std::optional<std::string> problem = access_format_problem(*pool.access_format)) {
                result_.messages.push_back({LogLevel::warning, *std::move(problem)});
                return refuse("[pool " + pool.name + "] wrong format for access.format '" + *pool.access_format + "'");
            }
        }
        return true;
    }

    bool refuse(std::string text)
    {
        result_.messages.push_back({LogLevel::error, std::move(text)});
        return false;
    }

    Config& config_;
    const PostProcessOptions& options_;
    const Environment& environment_;
    PostProcessResult result_;
};

bool is_number(const std::string& name) { return name.find_first_not_of("0123456789") == std::string::npos; }

}  // namespace

PostProcessResult post_process(Config& config, const PostProcessOptions& options, const Environment& environment)
{
    return PostProcess(config, options, environment).run();
}

std::string full_path(const std::string& path, const Pool* pool, const PostProcessOptions& options,
                      const std::string& default_base)
{
    if (starts_with_slash(path)) {
        return path;
    }
    std::string base = options.prefix.value_or(default_base);
    if (pool != nullptr && pool->prefix) {
        base = *pool->prefix;
    }
    const std::string full = base + "/" + path;
    return starts_with_slash(full) || pool == nullptr ? full : full_path(full, nullptr, options, default_base);
}

bool test_checks(const Config& config, const Environment& environment, Messages& messages)
{
    const auto named = [&](const Pool& pool, const char* what, const std::optional<std::string>& name,
                           const auto& missing, bool with_errno) {
        if (!name || is_number(*name)) {
            return true;
        }
        const std::optional<int> problem = missing(*name);
        if (problem) {
            const std::string text = "[pool " + pool.name + "] cannot get " + what + " '" + *name + "'";
            messages.push_back({LogLevel::error, with_errno ? system_error(text, *problem) : text});
        }
        return !problem;
    };
    const auto short_enough = [&](const Pool& pool) {
        constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path);
        const std::string& path = pool.listen_address.path;
        if (pool.listen_address.kind != ListenAddress::Kind::unix_socket || path.size() < kLongest) {
            return true;
        }
        messages.push_back(
            {LogLevel::error, system_error("[pool " + pool.name + "] cannot bind to UNIX socket '" + path +
                                               "' as path is too long (found length: " + std::to_string(path.size()) +
                                               ", maximal length: " + std::to_string(kLongest) + ")",
                                           0)});
        return false;
    };
    const auto sound = [&](const Pool& pool) {
        return named(pool, "uid for user", pool.user, environment.missing_user, false) &&
               named(pool, "gid for group", pool.group, environment.missing_group, false) && short_enough(pool) &&
               named(pool, "uid for user", pool.listen_owner, environment.missing_user, true) &&
               named(pool, "gid for group", pool.listen_group, environment.missing_group, true);
    };
    for (const std::vector<Pool>* pools : {&config.pools, &config.status_pools, &config.http_pools}) {
        for (const Pool& pool : *pools) {
            if (!sound(pool)) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace ftm::config
