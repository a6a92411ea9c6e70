#include "config/post_process.hpp"

#include <gtest/gtest.h>

#include "config_test_support.hpp"

namespace ftm::config {
namespace {

std::string refusal(const std::string& messages)
{
    return messages + "\nERROR: failed to post process the configuration\nERROR: FPM initialization failed\n";
}

std::string global_refusal(const std::string& lines) { return read_text("[global]\n" + lines + "\n" + kPool).all(); }

TEST(PostProcess, accepts_a_small_pool_and_completes_it)
{
    Machine machine;
    const Outcome outcome = read_text("[global]\npid = run/fpm.pid\n" + kPool, machine);
    ASSERT_TRUE(outcome.ok()) << outcome.all();
    EXPECT_EQ(outcome.all(), "");
    EXPECT_EQ(outcome.global().pid, "/var/run/fpm.pid");
    EXPECT_EQ(outcome.global().error_log, "/var/log/php-fpm.log");
    EXPECT_EQ(outcome.global().syslog_ident, "php-fpm");
    EXPECT_EQ(outcome.global().syslog_facility, 24);
    EXPECT_EQ(outcome.global().events_mechanism, "epoll");
    EXPECT_EQ(outcome.global().systemd_interval, std::chrono::seconds(10));
    EXPECT_EQ(outcome.pool().security_limit_extensions, ".php .phar");
    EXPECT_EQ(outcome.pool().request_slowlog_trace_depth, 20);
    EXPECT_EQ(outcome.pool().listen_address.path, "/run/www.sock");
    EXPECT_EQ(outcome.pool().listen_mode_bits(), 0660U);
    EXPECT_EQ(machine.opened, std::vector<std::string>{"/var/log/php-fpm.log"});
}

TEST(PostProcess, refuses_global_values_as_php_fpm_does)
{
    const std::pair<std::string, std::string> kCases[] = {
        {"log_limit = 511", "ERROR: log_limit must be greater than 512"},
        {"process.max = -1", "ERROR: process_max can't be negative"},
        {"process.priority = 21", "ERROR: process.priority must be included into [-19,20]"},
        {"process.priority = -20", "ERROR: process.priority must be included into [-19,20]"},
        {"events.mechanism = kqueue", "ERROR: event mechanism 'kqueue' is not available on this system"},
    };
    for (const auto& [lines, message] : kCases) {
        EXPECT_EQ(global_refusal(lines), refusal(message)) << lines;
    }
    EXPECT_EQ(read_text("").all(),
              refusal("ERROR: No pool defined. at least one pool section must be specified in config file"));
    EXPECT_TRUE(read_text("log_limit = 512\nprocess.priority = -19\nevents.mechanism = EPOLL\n" + kPool).ok());
}

TEST(PostProcess, refuses_pool_values_as_php_fpm_does)
{
    const std::string dynamic = "pm = dynamic\npm.max_children = 4\n";
    const std::pair<std::string, std::string> kCases[] = {
        {"prefix = /none", "ERROR: [pool www] the prefix '/none' does not exist or is not a directory"},
        {"prefix = absent", "ERROR: [pool www] the prefix '/usr/absent' does not exist or is not a directory"},
        {"listen =", "ALERT: [pool www] no listen address have been defined!"},
        {"process.priority = 30", "ERROR: [pool www] process.priority must be included into [-19,20]"},
        {"pm.max_children = 0", "ALERT: [pool www] pm.max_children must be a positive value"},
        {dynamic, "ALERT: [pool www] pm.min_spare_servers(0) must be a positive value"},
        {dynamic + "pm.min_spare_servers = 1", "ALERT: [pool www] pm.max_spare_servers(0) must be a positive value"},
        {dynamic + "pm.min_spare_servers = 1\npm.max_spare_servers = 5",
         "ALERT: [pool www] pm.min_spare_servers(1) and pm.max_spare_servers(5) cannot be greater than "
         "pm.max_children(4)"},
        {dynamic + "pm.min_spare_servers = 3\npm.max_spare_servers = 2",
         "ALERT: [pool www] pm.max_spare_servers(2) must not be less than pm.min_spare_servers(3)"},
        {dynamic + "pm.min_spare_servers = 2\npm.max_spare_servers = 3\npm.start_servers = 1",
         "ALERT: [pool www] pm.start_servers(1) must not be less than pm.min_spare_servers(2) and not greater than "
         "pm.max_spare_servers(3)"},
        {dynamic + "pm.min_spare_servers = 1\npm.max_spare_servers = 3\npm.start_servers=1\npm.max_spawn_rate = 0",
         "ALERT: [pool www] pm.max_spawn_rate must be a positive value"},
        {"pm = ondemand\npm.process_idle_timeout = 0",
         "ALERT: [pool www] pm.process_idle_timeout(0s) must be greater than 0s"},
        {"pm.status_path = s", "ERROR: [pool www] the status path 's' must start with a '/'"},
        {"pm.status_path = /", "ERROR: [pool www] the status path '/' is not long enough"},
        {"pm.status_path = /s s",
         "ERROR: [pool www] the status path '/s s' must contain only the following characters '[alphanum]/_-.~'"},
        {"pm.status_listen = /run/www.sock",
         "ERROR: [pool www_status] unable to set listen address as it's already used in another pool 'www'"},
        {"ping.path = p", "ERROR: [pool www] the ping path 'p' must start with a '/'"},
        {"ping.path = /", "ERROR: [pool www] the ping path '/' is not long enough"},
        {"ping.path = /p?",
         "ERROR: [pool www] the ping path '/p?' must contain only the following characters '[alphanum]/_-.~'"},
        {"ping.path = /p\nping.response =", "ERROR: [pool www] the ping response page '' is not long enough"},
        {"access.log =", "ERROR: failed to open access log (): No such file or directory (2)"},
        {"access.log = /a\naccess.format = %z",
         "WARNING: Invalid token in the access.format (%z)\n"
         "ERROR: [pool www] wrong format for access.format '%z'"},
        {"request_slowlog_timeout = 1",
         "ERROR: [pool www] 'slowlog' must be specified for use with 'request_slowlog_timeout'"},
        {"request_slowlog_timeout = 1\nslowlog = /bad",
         "ERROR: Unable to create or open slowlog(/bad): No such file or directory (2)"},
        {"request_slowlog_timeout = 9\nslowlog = s\nrequest_terminate_timeout = 5",
         "ERROR: [pool www] 'request_slowlog_timeout' (9) can't be greater than 'request_terminate_timeout' (5)"},
        {"request_slowlog_trace_depth = 5",
         "ERROR: [pool www] 'slowlog' must be specified for use with 'request_slowlog_trace_depth'"},
        {"request_slowlog_trace_depth = -5\nslowlog = s",
         "ERROR: [pool www] 'request_slowlog_trace_depth' (-5) must be a positive value"},
        {"chroot = /none", "ERROR: [pool www] the chroot path '/none' does not exist or is not a directory"},
        {"chroot = $prefix/x", "ERROR: [pool www] the chroot path '/usr//x' does not exist or is not a directory"},
        {"chroot = a$prefix",
         "ERROR: '$prefix' must be use at the beginning of the value\n"
         "ERROR: [pool www] the chroot path 'a$prefix' must start with a '/'"},
        {"chdir = /none", "ERROR: [pool www] the chdir path '/none' does not exist or is not a directory"},
        {"chroot = /tmp\nchdir = /none",
         "ERROR: [pool www] the chdir path '/none' within the chroot path '/tmp' ('/tmp//none') does not exist or is "
         "not a directory"},
        {"[two]\nuser = root\nlisten = /run/www.sock\npm = static\npm.max_children = 1",
         "ERROR: [pool two] unable to set listen address as it's already used in another pool 'www'"},
        {"[two]\nuser = root\nlisten = 1", "ALERT: [pool two] the process manager is missing (static, dynamic or "
                                           "ondemand)"},
        {"[two]\nlisten = 1", "ALERT: [pool two] user has not been defined"},
    };
    for (const auto& [lines, message] : kCases) {
        Machine machine;
        machine.unopenable = {"/bad"};
        EXPECT_EQ(read_text(kPool + lines + "\n", machine).all(), refusal(message)) << lines;
    }
    EXPECT_EQ(read_text("events.mechanism = poll\n" + kPool + "pm = ondemand\n").all(),
              refusal("ALERT: [pool www] ondemand process manager can ONLY be used when events.mechanism is either epoll "
                      "(Linux) or kqueue (*BSD)."));
}

TEST(PostProcess, adjusts_pools_as_php_fpm_does)
{
    const Outcome dynamic =
        read_text(kPool + "pm = dynamic\npm.max_children = 9\npm.min_spare_servers = 2\npm.max_spare_servers = 7\n");
    EXPECT_EQ(dynamic.all(), "NOTICE: [pool www] pm.start_servers is not set. It's been set to 4.\n");
    EXPECT_EQ(dynamic.pool().pm_start_servers, 4);

    const Outcome ondemand = read_text(kPool + "pm = ondemand\nlisten.backlog = -7\npm.start_servers = 3\n");
    EXPECT_EQ(ondemand.all(),
              "WARNING: [pool www] listen.backlog(-7) was too low for the ondemand process manager. I updated it for "
              "you to -1.\n");
    EXPECT_EQ(ondemand.pool().listen_backlog, -1);
    EXPECT_EQ(ondemand.pool().pm_start_servers, 0);

    EXPECT_EQ(read_text(kPool + "ping.path = /p\n").pool().ping_response, "pong");
    EXPECT_EQ(read_text(kPool + "ping.response = x\n").pool().ping_response, std::nullopt);
    EXPECT_EQ(read_text(kPool + "listen = host:0\n").pool().listen_address.port, 0);
    EXPECT_EQ(read_text(kPool + "listen.mode = 0666x\n").pool().listen_mode_bits(), 0666U);
}

TEST(PostProcess, makes_a_pool_for_status_listen)
{
    const Outcome outcome = read_text(kPool + "pm.status_listen = 9001\nlisten.owner = root\n");
    ASSERT_TRUE(outcome.ok()) << outcome.all();
    EXPECT_EQ(outcome.pool().pm_status_path, "/");
    ASSERT_EQ(outcome.configuration.config->status_pools.size(), 1U);
    const Pool& status = outcome.configuration.config->status_pools[0];
    EXPECT_EQ(status.name, "www_status");
    EXPECT_EQ(status.listen, "9001");
    EXPECT_EQ(status.listen_address.port, 9001);
    EXPECT_EQ(status.listen_owner, "root");
    EXPECT_EQ(status.user, "www-data");
    EXPECT_EQ(status.pm_status_path, "/");
    EXPECT_EQ(status.pm, ProcessManager::ondemand);
    EXPECT_EQ(status.pm_max_children, 2);
}

TEST(PostProcess, completes_relative_paths)
{
    Machine machine;
    machine.directories.insert({"/srv/www", "/srv/www/sub", "/srv/www/c"});
    Invocation invocation;
    invocation.prefix = "/srv";
    const Outcome outcome = read_text("[global]\npid = p\nerror_log = e\n" + kPool +
                                          "prefix = $pool\nlisten = s.sock\naccess.log = a\nslowlog = s\nchdir = c\n"
                                          "php_value[session.cookie_path] = k\nphp_value[error_log] = syslog\n"
                                          "php_admin_value[Error_Log] = syslog\nphp_value[memory_limit] = 1\n",
                                      machine, invocation);
    ASSERT_TRUE(outcome.ok()) << outcome.all();
    EXPECT_EQ(outcome.global().pid, "/srv/p");
    EXPECT_EQ(outcome.global().error_log, "/srv/e");
    EXPECT_EQ(outcome.pool().prefix, "/srv/www");
    EXPECT_EQ(outcome.pool().listen, "/srv/www/s.sock");
    EXPECT_EQ(outcome.pool().access_log, "/srv/www/a");
    EXPECT_EQ(outcome.pool().access_format, "%R - %u %t \"%m %r\" %s");
    EXPECT_EQ(outcome.pool().slowlog, "/srv/www/s");
    EXPECT_EQ(outcome.pool().chdir, "/srv/www/c");
    EXPECT_EQ(outcome.pool().php_values,
              (std::vector<PhpValue>{{"memory_limit", "1", false},
                                     {"error_log", "/srv/www/syslog", false},
                                     {"session.cookie_path", "/srv/www/k", false},
                                     {"Error_Log", "syslog", true}}));
    EXPECT_EQ(read_text(kPool + "chroot = $prefix/sub\nprefix = /srv/www\n", machine).all(),
              refusal("ERROR: [pool www] the chroot path '/srv/www//sub' does not exist or is not a directory"));
    EXPECT_EQ(read_text(kPool + "chroot = $prefix\nprefix = /srv/www\nphp_value[extension_dir] = x\n", machine)
                  .pool()
                  .php_values[0]
                  .value,
              "x");
    EXPECT_EQ(read_text(kPool + "chroot = /tmp\nchdir = /srv\n", machine).pool().chdir, "/srv");
}

TEST(PostProcess, leaves_identity_alone_without_root_or_with_R)
{
    const std::string pool = "[www]\nlisten = 9000\npm = static\npm.max_children = 1\n";
    EXPECT_EQ(read_text(pool).all(), refusal("ALERT: [pool www] user has not been defined"));
    Machine machine;
    Invocation invocation;
    invocation.allow_root = true;
    EXPECT_TRUE(read_text(pool, machine, invocation).ok());
    machine.root = false;
    EXPECT_TRUE(read_text(pool, machine).ok());
    EXPECT_TRUE(read_text(pool + "user =\n").ok());
}

TEST(PostProcess, opens_logs_where_php_fpm_opens_them)
{
    Machine machine;
    machine.unopenable = {"/bad"};
    const Outcome no_log = read_text("error_log = /bad\n[www]\n", machine);
    EXPECT_EQ(no_log.all(), refusal("ERROR: failed to open error_log (/bad): No such file or directory (2)"));
    EXPECT_EQ(no_log.configuration.before_error_log, kNeverOpened);

    machine.opened.clear();
    const Outcome outcome = read_text(kPool + "access.log = /a\nslowlog = /s\nrequest_slowlog_timeout = 1\n", machine);
    EXPECT_EQ(machine.opened, (std::vector<std::string>{"/var/log/php-fpm.log", "/s", "/a"}));
    EXPECT_EQ(outcome.configuration.before_error_log, 0U);

    machine.opened.clear();
    EXPECT_EQ(read_text("error_log = SysLog\n" + kPool, machine).global().error_log, "SysLog");
    EXPECT_TRUE(machine.opened.empty());
}

TEST(PostProcess, takes_the_heartbeat_from_systemds_watchdog)
{
    Machine machine;
    machine.watchdog = "30000000";
    const Outcome outcome = read_text("systemd_interval = 5\n" + kPool, machine);
    EXPECT_EQ(outcome.all(),
              "WARNING: systemd_interval option ignored\nNOTICE: systemd watchdog configured to 15sec\n");
    EXPECT_TRUE(outcome.global().systemd_watchdog);
    EXPECT_EQ(outcome.global().systemd_interval, std::chrono::seconds(15));
    EXPECT_EQ(outcome.configuration.before_error_log, 3U) << "one of them for debugging";
    machine.watchdog = "1000000";
    EXPECT_EQ(read_text("systemd_interval = 0\n" + kPool, machine).global().systemd_interval, std::chrono::seconds(0));
}

TEST(PostProcess, expands_environment_values_only_after_a_leading_dollar)
{
    ::setenv("FTM_TEST_VARIABLE", "x", 1);
    EXPECT_EQ(expand_env_value("$FTM_TEST_VARIABLE"), "x");
    EXPECT_EQ(expand_env_value("$FTM_TEST_UNSET"), "");
    EXPECT_EQ(expand_env_value("a$FTM_TEST_VARIABLE"), "a$FTM_TEST_VARIABLE");
    EXPECT_EQ(expand_env_value(""), "");
}

}  // namespace
}  // namespace ftm::config
