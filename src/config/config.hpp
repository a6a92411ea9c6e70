// The configuration as plain values: one field per directive (its name with dots as underscores), each with php-fpm's
// default. No parsing here. Built once by the loader, completed by post_process(), then never changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/listen_address.hpp"

namespace ftm::config {

// Also the level of a Message. The order is the order of severity.
enum class LogLevel { debug, notice, warning, error, alert };
enum class LogFormat { text, json };
enum class ProcessManager { static_, dynamic, ondemand };
enum class EarlyHints { off, param, on };

struct KeyValue {
    std::string key;
    std::string value;
    bool operator==(const KeyValue&) const = default;
};

// One php_value, php_flag (admin = false), php_admin_value or php_admin_flag (admin = true); flags are "1" or "0".
struct PhpValue {
    std::string key;
    std::string value;
    bool admin = false;
    bool operator==(const PhpValue&) const = default;
};

struct Global {
    std::optional<std::string> pid;
    std::optional<std::string> error_log;  // after post_process(): always set; "syslog" means syslog
    std::optional<std::string> syslog_ident;  // after post_process(): always set
    std::optional<int> syslog_facility;       // a LOG_* value; after post_process(): always set
    bool log_buffering = true;
    std::optional<LogLevel> log_level;  // absent means notice; see effective_log_level()
    int log_limit = 1024;
    std::chrono::seconds emergency_restart_interval{0};
    int emergency_restart_threshold = 0;
    std::chrono::seconds process_control_timeout{0};
    int process_max = 0;
    std::optional<int> process_priority;
    bool daemonize = true;  // after post_process(): -D and -F are applied
    int rlimit_files = 0;   // 0 leaves the limit alone
    int rlimit_core = 0;    // 0 leaves the limit alone, -1 is unlimited
    std::optional<std::string> events_mechanism;
    std::optional<std::chrono::milliseconds> systemd_interval;  // after post_process(): always set; 0 is off
    bool systemd_watchdog = false;  // set by post_process(): the interval comes from WATCHDOG_USEC
    std::optional<std::string> metrics_listen;
    LogFormat log_format = LogFormat::text;

    [[nodiscard]] LogLevel effective_log_level() const { return log_level.value_or(LogLevel::notice); }
};

struct Pool {
    std::string name;
    std::optional<std::string> prefix;
    std::optional<std::string> user;
    std::optional<std::string> group;
    std::optional<std::string> listen;
    int listen_backlog = -1;
    std::optional<std::string> listen_acl_users;
    std::optional<std::string> listen_acl_groups;
    std::optional<std::string> listen_owner;
    std::optional<std::string> listen_group;
    std::optional<std::string> listen_mode;  // octal text; see listen_mode_bits()
    std::optional<std::string> listen_allowed_clients;
    std::optional<int> process_priority;
    bool process_dumpable = false;
    std::optional<ProcessManager> pm;  // after post_process(): always set
    int pm_max_children = 0;
    bool asks_for_contexts = false;  // process.max is set: the master decides whether it may grow
    int pm_start_servers = 0;
    int pm_min_spare_servers = 0;
    int pm_max_spare_servers = 0;
    int pm_max_spawn_rate = 32;
    std::chrono::seconds pm_process_idle_timeout{10};
    int pm_max_requests = 0;
    std::optional<std::string> pm_status_path;
    std::optional<std::string> pm_status_listen;
    std::optional<std::string> ping_path;
    std::optional<std::string> ping_response;  // after post_process(): set exactly when ping_path is set
    std::optional<std::string> access_log;
    std::optional<std::string> access_format;  // after post_process(): set when access_log is set
    std::vector<std::string> access_suppress_path;
    std::optional<std::string> slowlog;
    std::chrono::seconds request_slowlog_timeout{0};
    int request_slowlog_trace_depth = 0;  // after post_process(): 20 when a timeout is set and this was 0
    std::chrono::seconds request_terminate_timeout{0};
    bool request_terminate_timeout_track_finished = false;
    int rlimit_files = 0;
    int rlimit_core = 0;
    std::optional<std::string> chroot;
    std::optional<std::string> chdir;
    bool catch_workers_output = false;
    bool decorate_workers_output = true;
    bool clear_env = true;
    std::optional<std::string> security_limit_extensions;  // absent means ".php .phar"; empty allows every file

    std::optional<std::string> apparmor_hat;

    // env, php_values and access_suppress_path stand in reverse file order, as php-fpm keeps them. Apply them from
    // begin to end, later ones overwriting earlier ones: so the first line of a key in the file wins. php_values has
    // every non-admin entry before the first admin entry. env values are as written: see expand_env_value().
    std::vector<KeyValue> env;
    std::vector<PhpValue> php_values;

    // Own directives.
    int pm_engines = 1;
    std::int64_t pm_max_memory = 0;  // bytes; 0 is no limit
    std::chrono::seconds pm_drain_timeout{30};
    std::optional<int> request_queue_limit;  // absent means listen_backlog
    std::chrono::seconds request_queue_timeout{0};
    std::int64_t output_spool_limit = std::int64_t{1} << 30;  // bytes
    std::optional<std::string> worker_script;
    int worker_num = 0;
    int worker_max_requests = 0;
    std::int64_t worker_max_memory = 0;  // bytes; 0 is no limit
    std::chrono::seconds worker_boot_timeout{30};
    std::vector<std::string> worker_match;
    std::vector<std::string> worker_watch;
    bool worker_debug = false;
    EarlyHints early_hints = EarlyHints::param;
    std::optional<std::string> http_listen;
    std::optional<std::string> http_root;
    std::optional<std::string> http_index;
    std::optional<std::string> http_trusted_proxies;
    std::chrono::seconds http_request_timeout{60};
    std::chrono::seconds http_keepalive_timeout{75};
    std::int64_t http_max_body = std::int64_t{1} << 30;  // bytes; 0 is no limit

    // Set by post_process() from listen. port 0: parse_listen_address() has the error, due when sockets are made.
    ListenAddress listen_address;

    // 0660 when absent; as strtoul(…, 8): stops at the first character that is no octal digit.
    [[nodiscard]] unsigned listen_mode_bits() const;
};

struct Config {
    Global global;
    std::vector<Pool> pools;
    // Pools that pm.status_listen asks for: named NAME_status, ondemand, two contexts. Made by post_process().
    std::vector<Pool> status_pools;
    // Pools with http.listen, as far as making that socket needs them: http.listen is their listen. Made by post_process().
    std::vector<Pool> http_pools;
};

// What an env[] value stands for: "$NAME" is the environment variable NAME (empty if unset), anything else is itself.
[[nodiscard]] std::string expand_env_value(const std::string& value);

}  // namespace ftm::config
