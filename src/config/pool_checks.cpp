#include "config/pool_checks.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string_view>

#include "config/text.hpp"

namespace ftm::config {
namespace {

constexpr int kDefaultBacklog = -1;

// php.ini settings whose relative values are paths.
constexpr std::array kPathSettings{
    "error_log",
    "extension_dir",
    "sendmail_path",
    "session.cookie_path",
    "session_pgsql.sem_file_name",
    "soap.wsdl_cache_dir",
    "uploadprogress.file.filename_template",
    "xdebug.output_dir",
    "xdebug.profiler_output_dir",
    "xdebug.trace_output_dir",
    "xmms.path",
    "axis2.client_home",
    "blenc.key_file",
    "coin_acceptor.device",
};

bool given(const std::optional<std::string>& text) { return text && !text->empty(); }

std::string number(int value) { return "(" + std::to_string(value) + ")"; }

std::string seconds(std::chrono::seconds value) { return std::to_string(value.count()); }

Pool make_status_pool(const Pool& pool)
{
    Pool status;
    status.name = pool.name + "_status";
    status.listen = pool.pm_status_listen;
    status.listen_acl_users = pool.listen_acl_users;
    status.listen_acl_groups = pool.listen_acl_groups;
    status.listen_allowed_clients = pool.listen_allowed_clients;
    status.listen_owner = pool.listen_owner;
    status.listen_group = pool.listen_group;
    status.listen_mode = pool.listen_mode;
    status.user = pool.user;
    status.group = pool.group;
    status.pm_status_path = pool.pm_status_path;
    status.ping_path = pool.ping_path;
    status.ping_response = pool.ping_response;
    status.php_values = pool.php_values;
    status.pm = ProcessManager::ondemand;
    status.pm_max_children = 2;
    return status;
}

}  // namespace

bool PoolChecks::check(Pool& pool, bool status_pool)
{
    if (!check_identity(pool) || !check_process_manager(pool) || !check_status(pool, status_pool) ||
        !check_ping(pool)) {
        return false;
    }
    if (given(pool.access_log)) {
        pool.access_log = full(*pool.access_log, pool);
        if (!pool.access_format) {
            pool.access_format = "%R - %u %t \"%m %r\" %s";
        }
    }
    if (!check_slowlog(pool) || !check_directories(pool)) {
        return false;
    }
    if (!pool.security_limit_extensions) {
        pool.security_limit_extensions = ".php .phar";
    }
    complete_php_values(pool);
    return status_pool || check_http(pool);
}

bool PoolChecks::check_identity(Pool& pool)
{
    if (given(pool.prefix)) {
        pool.prefix = full_path(*pool.prefix, nullptr, options_, options_.default_prefix);
        if (!environment_.is_directory(*pool.prefix)) {
            return refuse(pool, "the prefix '" + *pool.prefix + "' does not exist or is not a directory");
        }
    }
    if (!pool.user && environment_.running_as_root && !options_.allow_root) {
        return refuse(LogLevel::alert, pool, "user has not been defined");
    }
    if (!given(pool.listen)) {
        return refuse(LogLevel::alert, pool, "no listen address have been defined!");
    }
    if (!is_tcp_listen(*pool.listen)) {
        pool.listen = full(*pool.listen, pool);
    }
    // A bad port is an error only when the socket is made, not for -t.
    if (const auto address = parse_listen_address(*pool.listen)) {
        pool.listen_address = address.value();
    } else {
        pool.listen_address = ListenAddress();
        pool.listen_address.kind = ListenAddress::Kind::tcp;
    }
    if (pool.process_priority && (*pool.process_priority < -19 || *pool.process_priority > 20)) {
        return refuse(pool, "process.priority must be included into [-19,20]");
    }
    return true;
}

bool PoolChecks::check_process_manager(Pool& pool)
{
    if (!pool.pm) {
        return refuse(LogLevel::alert, pool, "the process manager is missing (static, dynamic or ondemand)");
    }
    if (pool.pm_max_children < 1) {
        return refuse(LogLevel::alert, pool, "pm.max_children must be a positive value");
    }
    switch (*pool.pm) {
        case ProcessManager::static_:
            return true;
        case ProcessManager::dynamic:
            return check_dynamic(pool);
        case ProcessManager::ondemand:
            return check_ondemand(pool);
    }
    return true;
}

bool PoolChecks::check_dynamic(Pool& pool)
{
    const int least = pool.pm_min_spare_servers;
    const int most = pool.pm_max_spare_servers;
    if (least <= 0) {
        return refuse(LogLevel::alert, pool, "pm.min_spare_servers" + number(least) + " must be a positive value");
    }
    if (most <= 0) {
        return refuse(LogLevel::alert, pool, "pm.max_spare_servers" + number(most) + " must be a positive value");
    }
    if (least > pool.pm_max_children || most > pool.pm_max_children) {
        return refuse(LogLevel::alert, pool,
                      "pm.min_spare_servers" + number(least) + " and pm.max_spare_servers" + number(most) +
                          " cannot be greater than pm.max_children" + number(pool.pm_max_children));
    }
    if (most < least) {
        return refuse(LogLevel::alert, pool,
                      "pm.max_spare_servers" + number(most) + " must not be less than pm.min_spare_servers" +
                          number(least));
    }
    if (pool.pm_start_servers <= 0) {
        pool.pm_start_servers = least + (most - least) / 2;
        messages_.push_back({LogLevel::notice, "[pool " + pool.name + "] pm.start_servers is not set. It's been set to " +
                                                   std::to_string(pool.pm_start_servers) + "."});
    } else if (pool.pm_start_servers < least || pool.pm_start_servers > most) {
        return refuse(LogLevel::alert, pool,
                      "pm.start_servers" + number(pool.pm_start_servers) +
                          " must not be less than pm.min_spare_servers" + number(least) +
                          " and not greater than pm.max_spare_servers" + number(most));
    }
    if (pool.pm_max_spawn_rate < 1) {
        return refuse(LogLevel::alert, pool, "pm.max_spawn_rate must be a positive value");
    }
    return true;
}

bool PoolChecks::check_ondemand(Pool& pool)
{
    if (config_.global.events_mechanism != "epoll") {
        return refuse(LogLevel::alert, pool,
                      "ondemand process manager can ONLY be used when events.mechanism is either epoll (Linux) or "
                      "kqueue (*BSD).");
    }
    if (pool.pm_process_idle_timeout < std::chrono::seconds(1)) {
        return refuse(LogLevel::alert, pool,
                      "pm.process_idle_timeout(" + seconds(pool.pm_process_idle_timeout) +
                          "s) must be greater than 0s");
    }
    if (pool.listen_backlog < kDefaultBacklog) {
        messages_.push_back({LogLevel::warning, "[pool " + pool.name + "] listen.backlog" +
                                                    number(pool.listen_backlog) +
                                                    " was too low for the ondemand process manager. I updated it for "
                                                    "you to " +
                                                    std::to_string(kDefaultBacklog) + "."});
        pool.listen_backlog = kDefaultBacklog;
    }
    pool.pm_start_servers = 0;
    pool.pm_min_spare_servers = 0;
    pool.pm_max_spare_servers = 0;
    return true;
}

bool PoolChecks::check_status(Pool& pool, bool status_pool)
{
    const bool separate = pool.pm_status_listen.has_value() || status_pool;
    if (pool.pm_status_listen && !status_pool) {
        if (!pool.pm_status_path) {
            pool.pm_status_path = "/";
        }
        config_.status_pools.push_back(make_status_pool(pool));
    }
    return !given(pool.pm_status_path) ||
           check_uri(pool, "the status path", *pool.pm_status_path, /*any_length=*/separate);
}

bool PoolChecks::check_ping(Pool& pool)
{
    if (!given(pool.ping_path)) {
        pool.ping_response.reset();
        return true;
    }
    if (!check_uri(pool, "the ping path", *pool.ping_path, /*any_length=*/false)) {
        return false;
    }
    if (!pool.ping_response) {
        pool.ping_response = "pong";
    }
    if (pool.ping_response->empty()) {
        return refuse(pool, "the ping response page '' is not long enough");
    }
    return true;
}

bool PoolChecks::check_slowlog(Pool& pool)
{
    if (given(pool.slowlog)) {
        pool.slowlog = full(*pool.slowlog, pool);
    }
    if (pool.request_slowlog_timeout.count() != 0) {
        if (!given(pool.slowlog)) {
            return refuse(pool, "'slowlog' must be specified for use with 'request_slowlog_timeout'");
        }
        if (const int problem = environment_.open_log(LogFile::slowlog, *pool.slowlog); problem != 0) {
            messages_.push_back(
                {LogLevel::error, system_error("Unable to create or open slowlog(" + *pool.slowlog + ")", problem)});
            return false;
        }
        if (pool.request_terminate_timeout.count() != 0 &&
            pool.request_slowlog_timeout > pool.request_terminate_timeout) {
            return refuse(pool, "'request_slowlog_timeout' (" + seconds(pool.request_slowlog_timeout) +
                                    ") can't be greater than 'request_terminate_timeout' (" +
                                    seconds(pool.request_terminate_timeout) + ")");
        }
    }
    if (pool.request_slowlog_trace_depth == 0) {
        pool.request_slowlog_trace_depth = 20;
        return true;
    }
    if (!given(pool.slowlog)) {
        return refuse(pool, "'slowlog' must be specified for use with 'request_slowlog_trace_depth'");
    }
    if (pool.request_slowlog_trace_depth < 0) {
        return refuse(pool, "'request_slowlog_trace_depth' " + number(pool.request_slowlog_trace_depth) +
                                " must be a positive value");
    }
    return true;
}

bool PoolChecks::check_directories(Pool& pool)
{
    if (given(pool.chroot)) {
        if (!complete_chroot(pool)) {
            return refuse(pool, "the chroot path '" + *pool.chroot + "' must start with a '/'");
        }
        if (!environment_.is_directory(*pool.chroot)) {
            return refuse(pool, "the chroot path '" + *pool.chroot + "' does not exist or is not a directory");
        }
    }
    if (!given(pool.chdir)) {
        return true;
    }
    pool.chdir = full(*pool.chdir, pool);
    if (!starts_with_slash(*pool.chdir)) {
        return refuse(pool, "the chdir path '" + *pool.chdir + "' must start with a '/'");
    }
    if (pool.chroot) {
        const std::string inside = *pool.chroot + "/" + *pool.chdir;
        if (!environment_.is_directory(inside)) {
            return refuse(pool, "the chdir path '" + *pool.chdir + "' within the chroot path '" + *pool.chroot +
                                    "' ('" + inside + "') does not exist or is not a directory");
        }
    } else if (!environment_.is_directory(*pool.chdir)) {
        return refuse(pool, "the chdir path '" + *pool.chdir + "' does not exist or is not a directory");
    }
    return true;
}

bool PoolChecks::check_uri(const Pool& pool, const char* what, const std::string& path, bool any_length)
{
    const std::string subject = std::string(what) + " '" + path + "' ";
    if (!starts_with_slash(path)) {
        return refuse(pool, subject + "must start with a '/'");
    }
    if (!any_length && path.size() < 2) {
        return refuse(pool, subject + "is not long enough");
    }
    const bool clean = std::all_of(path.begin(), path.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/-_.~", c) != nullptr;
    });
    if (!clean) {
        return refuse(pool, subject + "must contain only the following characters '[alphanum]/_-.~'");
    }
    return true;
}

// A relative value may begin with $prefix; what follows it, slash included, then goes behind the base and a slash.
// False when no absolute path comes out.
bool PoolChecks::complete_chroot(Pool& pool)
{
    constexpr std::string_view kToken = "$prefix";
    std::string path = *pool.chroot;
    if (starts_with_slash(path)) {
        return true;
    }
    const std::size_t token = path.find(kToken);
    if (token == std::string::npos) {
        pool.chroot = full(path, pool);
        return starts_with_slash(*pool.chroot);
    }
    if (token != 0) {
        messages_.push_back({LogLevel::error, "'$prefix' must be use at the beginning of the value"});
        return false;
    }
    const std::string base = full("", pool);  // ends with a slash
    path.erase(0, kToken.size());
    pool.chroot = path.empty() ? base.substr(0, base.size() - 1) : base + path;
    return starts_with_slash(*pool.chroot);
}

void PoolChecks::complete_php_values(Pool& pool)
{
    if (pool.chroot) {
        return;
    }
    for (PhpValue& entry : pool.php_values) {
        if (entry.admin && equals_ignoring_case(entry.key, "error_log") && equals_ignoring_case(entry.value, "syslog")) {
            continue;
        }
        if (std::any_of(kPathSettings.begin(), kPathSettings.end(),
                        [&](const char* name) { return equals_ignoring_case(name, entry.key); })) {
            entry.value = full(entry.value, pool);
        }
    }
}

std::string PoolChecks::full(const std::string& path, const Pool& pool) const
{
    return full_path(path, &pool, options_, options_.default_prefix);
}

bool PoolChecks::refuse(LogLevel level, const Pool& pool, const std::string& text)
{
    messages_.push_back({level, "[pool " + pool.name + "] " + text});
    return false;
}

}  // namespace ftm::config
