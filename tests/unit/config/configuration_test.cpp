#include "config/configuration.hpp"

#include <gtest/gtest.h>

#include "config/directive_table.hpp"
#include "config_test_support.hpp"

namespace ftm::config {
namespace {

constexpr const char* kSuccess = "NOTICE: configuration file FILE test is successful\n";

std::string tested(const std::string& text, int level = 1)
{
    Machine machine;
    Invocation invocation;
    invocation.test_level = level;
    return read_text(text, machine, invocation).all();
}

TEST(Configuration, dumps_as_php_fpm_does)
{
    const std::string text = "[global]\nerror_log = /tmp/e\n" + kPool +
                             "group = www-data\nprocess.priority = -5\npm.status_path = /s\nping.path = /p\n"
                             "access.log = /tmp/$pool.log\naccess.suppress_path[] = /x\naccess.suppress_path[] = /y\n"
                             "request_terminate_timeout = 1m\nrlimit_core = unlimited\nclear_env = no\n"
                             "env[A] = 1\nenv[B] = $HOME\nphp_value[a] = 1\nphp_flag[b] = on\nphp_admin_flag[c] = off\n";
    std::string expected;
    for (const std::string line : {
#include "dump.inc"
         }) {
        expected += "NOTICE: " + line + "\n";
    }
    EXPECT_EQ(tested(text, 2), expected + kSuccess);
}

TEST(Configuration, tests_users_groups_and_socket_paths)
{
    const std::pair<std::string, std::string> kCases[] = {
        {"user = nosuch", "[pool www] cannot get uid for user 'nosuch'"},
        {"group = nosuch", "[pool www] cannot get gid for group 'nosuch'"},
        {"listen.owner = nosuch", "[pool www] cannot get uid for user 'nosuch': Success (0)"},
        {"listen.group = nosuch", "[pool www] cannot get gid for group 'nosuch': Success (0)"},
        {"listen = /" + std::string(107, 'x'), "[pool www] cannot bind to UNIX socket '/" + std::string(107, 'x') +
                                                   "' as path is too long (found length: 108, maximal length: 108): "
                                                   "Success (0)"},
    };
    for (const auto& [line, problem] : kCases) {
        EXPECT_EQ(tested(kPool + line + "\n"), "ERROR: " + problem + "\nERROR: FPM initialization failed\n") << line;
        EXPECT_TRUE(read_text(kPool + line + "\n").ok()) << line;
    }
    EXPECT_EQ(tested(kPool + "user = 12345\nlisten.owner = 1\ngroup =\n"), kSuccess);
}

TEST(Configuration, chooses_the_file)
{
    Machine machine;
    machine.directories.insert("/p");
    Invocation invocation;
    EXPECT_EQ(read_configuration(invocation, {}, machine.environment()).file, "/etc/php/8.4/fpm/php-fpm.conf");
    invocation.prefix = "/p";
    EXPECT_EQ(read_configuration(invocation, {}, machine.environment()).file, "/p/etc/php-fpm.conf");
    invocation.file = "x";
    EXPECT_EQ(read_configuration(invocation, {}, machine.environment()).file, "x");
    invocation.prefix = "/missing";
    EXPECT_EQ(shown(read_configuration(invocation, {}, machine.environment()).messages),
              (std::vector<std::string>{"ERROR: the global prefix '/missing' does not exist or is not a directory",
                                        "ERROR: FPM initialization failed"}));
}

TEST(Configuration, lets_the_file_win_over_g_and_the_command_line_over_daemonize)
{
    Machine machine;
    Invocation invocation;
    invocation.pid = "/g";
    invocation.daemonize = false;
    EXPECT_EQ(read_text(kPool, machine, invocation).global().pid, "/g");
    EXPECT_EQ(read_text("pid = /c\n" + kPool, machine, invocation).global().pid, "/c");
    EXPECT_FALSE(read_text("daemonize = yes\n" + kPool, machine, invocation).global().daemonize);
}

TEST(Configuration, says_once_which_directives_have_no_effect_yet)
{
    const TempDir directory;
    Machine machine;
    Invocation invocation;
    invocation.file = directory.write("f", "metrics.listen = /m\n[www]\nlisten = 1\nuser = root\npm = ondemand\n"
                                           "pm.max_children = 1\nworker.debug = no\npm.engines = 2\n");
    EXPECT_EQ(shown(read_configuration(invocation, {}, machine.environment()).messages),
              (std::vector<std::string>{
                  "NOTICE: 'metrics.listen' is checked but has no effect in this version",
                  "NOTICE: [pool www] 'pm.engines' is checked but has no effect in this version"}));
}

TEST(Configuration, has_sample_files_that_load)
{
    const std::pair<Section, std::string> kSamples[] = {{Section::global, FTM_SOURCE_DIR "/etc/php-fpm.conf"},
                                                        {Section::pool, FTM_SOURCE_DIR "/etc/pool.d/www.conf"}};
    for (const auto& [section, name] : kSamples) {
        std::ifstream file(name);
        EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), sample_file(section))
            << "write it anew with php-fpm --print-config-global or --print-config-pool";
    }
    Machine machine;
    Invocation invocation;
    invocation.file = kSamples[1].second;
    const Configuration pool = read_configuration(invocation, {}, machine.environment());
    ASSERT_TRUE(pool.config) << shown(pool.messages).at(0);
    EXPECT_EQ(shown(pool.messages), std::vector<std::string>{});
    EXPECT_EQ(pool.config->pools.at(0).user, "www-data");
}

TEST(Configuration, has_sample_files_whose_commented_lines_are_the_defaults)
{
    for (const Section section : {Section::global, Section::pool}) {
        std::string text = sample_file(section);
        text.erase(text.rfind("include = ") == std::string::npos ? text.size() : text.rfind("include = "));
        for (std::size_t at = 0; (at = text.find("\n;", at)) != std::string::npos; ++at) {
            const std::size_t end = text.find('\n', at + 1);
            const std::string line = text.substr(at + 2, end - at - 2);
            if (line[0] != ' ' && line.find('[') == std::string::npos && line.back() != '=') {
                text.erase(at + 1, 1);
            }
        }
        Machine machine;
        const Outcome outcome = read_text(section == Section::global ? text + kPool : text, machine);
        EXPECT_TRUE(outcome.ok()) << outcome.all();
        EXPECT_EQ(outcome.all(), "");
    }
}

}  // namespace
}  // namespace ftm::config
