#include "config/loader.hpp"

#include <gtest/gtest.h>

#include "config_test_support.hpp"

namespace ftm::config {
namespace {

// Loads DIR/php-fpm.conf; DIR stands for the directory in what comes back.
class LoaderTest : public testing::Test {
protected:
    LoadResult load_main(const std::string& text)
    {
        directory_.write("php-fpm.conf", text);
        return load({.file = directory_.path("php-fpm.conf"), .include_prefix = directory_.path("prefix"), .lookups = {}});
    }

    std::string messages_of(const std::string& text)
    {
        std::string all;
        for (const std::string& line : shown(load_main(text).messages)) {
            all += line + "\n";
        }
        for (std::size_t at = 0; (at = all.find(directory_.path(), at)) != std::string::npos;) {
            all.replace(at, directory_.path().size(), "DIR/");
        }
        return all;
    }

    // The ERROR that stops loading, with the line about the file behind it.
    static std::string stop(const std::string& text)
    {
        return text + "\nERROR: failed to load configuration file 'DIR/php-fpm.conf'\n";
    }

    TempDir directory_;
};

TEST_F(LoaderTest, fills_the_structs)
{
    const LoadResult result = load_main(
        "log_level = debug\n"
        "[global]\n"
        "PID = run/x.pid\n"
        "process_control_timeout = 5 m\n"
        "daemonize = no\n"
        "rlimit_core = unlimited\n"
        "[www]\n"
        "listen = 127.0.0.1:9000\n"
        "pm = OnDemand\n"
        "pm.max_requests = 3 | 4\n"
        "pm.max_memory = 512M\n"
        "user = ${NOT_SET:-nobody}\n"
        "process.priority = -5\n"
        "access.log = \"log/$pool.$pool.log\"\n"
        "early_hints = on\n"
        "[api]\n"
        "listen = x\n"
        "[WWW]\n"
        "group = staff\n");
    ASSERT_TRUE(result.config);
    EXPECT_TRUE(result.messages.empty());
    const Global& global = result.config->global;
    EXPECT_EQ(global.log_level, LogLevel::debug);
    EXPECT_EQ(global.pid, "run/x.pid");
    EXPECT_EQ(global.process_control_timeout, std::chrono::seconds(300));
    EXPECT_FALSE(global.daemonize);
    EXPECT_EQ(global.rlimit_core, -1);
    ASSERT_EQ(result.config->pools.size(), 2U);
    const Pool& pool = result.config->pools[0];
    EXPECT_EQ(pool.name, "www");
    EXPECT_EQ(pool.listen, "127.0.0.1:9000");
    EXPECT_EQ(pool.pm, ProcessManager::ondemand);
    EXPECT_EQ(pool.pm_max_requests, 7);
    EXPECT_EQ(pool.pm_max_memory, std::int64_t{512} << 20);
    EXPECT_EQ(pool.user, "nobody");
    EXPECT_EQ(pool.group, "staff");
    EXPECT_EQ(pool.process_priority, -5);
    EXPECT_EQ(pool.access_log, "log/www.www.log");
    EXPECT_EQ(pool.early_hints, EarlyHints::on);
    EXPECT_EQ(pool.ping_path, std::nullopt);
    EXPECT_EQ(result.config->pools[1].name, "api");
}

TEST_F(LoaderTest, gives_arrays_in_the_order_in_which_they_apply)
{
    const LoadResult result = load_main(
        "[www]\n"
        "env[A] = first\nenv[B] = $HOME\nenv[A] = second\n"
        "php_admin_flag[c] = on\nphp_value[a] = 1\nphp_value[a] = 2\nphp_admin_value[a] = 3\nphp_flag[b] = no\n"
        "access.suppress_path[] = /a\naccess.suppress_path[] = /b\n");
    ASSERT_TRUE(result.config);
    const Pool& pool = result.config->pools[0];
    EXPECT_EQ(pool.env, (std::vector<KeyValue>{{"A", "second"}, {"B", "$HOME"}, {"A", "first"}}));
    EXPECT_EQ(pool.php_values, (std::vector<PhpValue>{{"b", "0", false},
                                                      {"a", "2", false},
                                                      {"a", "1", false},
                                                      {"a", "3", true},
                                                      {"c", "1", true}}));
    EXPECT_EQ(pool.access_suppress_path, (std::vector<std::string>{"/b", "/a"}));
}

TEST_F(LoaderTest, keeps_what_inih_would_cut_or_misread)
{
    const std::string text(10240, 'x');
    const std::string key(300, 'k');
    const LoadResult result = load_main("[a:b # \"c;d\"]\r\nuser = \"" + text + "\"\r\nenv[" + key + ":1] = \"x ; y\"\r\n" +
                                        "group = @0\r\nenv[@enter] = @none\r\n");
    ASSERT_TRUE(result.config);
    const Pool& pool = result.config->pools.at(0);
    EXPECT_EQ(pool.name, "a:b # c;d");
    EXPECT_EQ(pool.user, text);
    EXPECT_EQ(pool.group, "@0");
    EXPECT_EQ(pool.env, (std::vector<KeyValue>{{"@enter", "@none"}, {key + ":1", "x ; y"}}));
}

TEST_F(LoaderTest, reads_odd_files)
{
    EXPECT_TRUE(load_main("").config);
    EXPECT_TRUE(load_main("\n\r\n; only a comment").config);
    EXPECT_EQ(load_main("\xef\xbb\xbf[www]\nuser = x").config->pools.at(0).user, "x");
    EXPECT_EQ(load_main("[www] user = x").config->pools.at(0).user, "x");
    EXPECT_EQ(load_main("[]\n").config->pools.at(0).name, "");
    EXPECT_EQ(load_main("[$pool]\nuser = a$pool").config->pools.at(0).user, "a$pool");
    EXPECT_TRUE(load({.file = directory_.path(), .include_prefix = "", .lookups = {}}).config) << "a directory is empty";
}

TEST_F(LoaderTest, refuses_with_the_words_of_php_fpm)
{
    const std::pair<std::string, std::string> kCases[] = {
        {"foo = bar", "unknown entry 'foo'"},
        {"listen = x", "unknown entry 'listen'"},
        {"[www]\nlog_level = debug", "unknown entry 'log_level'"},
        {"INCLUDE = x", "unknown entry 'INCLUDE'"},
        {"foo", "value is NULL for a ZEND_INI_PARSER_ENTRY"},
        {"# foo", "value is NULL for a ZEND_INI_PARSER_ENTRY"},
        {"log_level = loud", "unable to parse value for entry 'log_level': invalid value for 'log_level'"},
        {"syslog.facility = x", "unable to parse value for entry 'syslog.facility': invalid value"},
        {"log_limit = 5k",
         "unable to parse value for entry 'log_limit': is not a valid number (greater or equal than zero)"},
        {"process_control_timeout =", "unable to parse value for entry 'process_control_timeout': invalid time value"},
        {"process_control_timeout = 5x",
         "unable to parse value for entry 'process_control_timeout': unknown suffix used in time value"},
        {"DAEMONIZE = \"YES\"", "unable to parse value for entry 'daemonize': invalid boolean value"},
        {"rlimit_core = -2", "unable to parse value for entry 'rlimit_core': must be greater than zero or 'unlimited'"},
        {"pid = a$pool", "unable to parse value for entry 'pid': Can't use '$pool' when the pool is not defined"},
        {"[www]\npm = x",
         "unable to parse value for entry 'pm': invalid process manager (static, dynamic or ondemand)"},
        {"[www]\npm.max_memory = 5X", "unable to parse value for entry 'pm.max_memory': invalid size value"},
        {"[www]\nearly_hints = x", "unable to parse value for entry 'early_hints': invalid value (off, param or on)"},
        {"log_format = x", "unable to parse value for entry 'log_format': invalid log format (text or json)"},
        {"env[A] = 1", "Array are not allowed in the global section"},
        {"[www]\nenv[] = 1", "You must provide a key for field 'env'"},
        {"[www]\nnope[] = 1", "You must provide a key for field 'nope'"},
        {"[www]\nnope[a] = 1", "unknown directive 'nope'"},
        {"[www]\nENV[a] = 1", "unknown directive 'ENV'"},
        {"[www]\nenv[A] =", "empty value"},
        {"[www]\nenv = 1", "unknown entry 'env'"},
        {"[www]\nphp_flag[a] = maybe", "error while parsing 'php_flag[a]' : invalid boolean value"},
        {"[www]\naccess.suppress_path[x] = /a", "Keys provided to field 'access.suppress_path' are ignored"},
        {"[www]\naccess.suppress_path[] = a", "Values provided to field 'access.suppress_path' must begin with '/'"},
    };
    for (const auto& [text, problem] : kCases) {
        const std::string line = text.find('\n') == std::string::npos ? "1" : "2";
        EXPECT_EQ(messages_of(text), stop("ERROR: [DIR/php-fpm.conf:" + line + "] " + problem)) << text;
    }
}

TEST_F(LoaderTest, reports_both_mistakes_of_a_suppressed_path)
{
    EXPECT_EQ(messages_of("[www]\naccess.suppress_path[x] = a\n"),
              stop("ERROR: [DIR/php-fpm.conf:2] Keys provided to field 'access.suppress_path' are ignored\n"
                   "ERROR: [DIR/php-fpm.conf:2] Values provided to field 'access.suppress_path' must begin with '/'"));
}

TEST_F(LoaderTest, reports_syntax_errors_raw_and_acts_on_what_came_before)
{
    EXPECT_EQ(messages_of("[www]\n [x]\nfoo\n"),
              stop("PHP:  syntax error, unexpected END_OF_LINE, expecting '=' in Unknown on line 2"));
    EXPECT_EQ(messages_of("foo & bar"),
              stop("ERROR: [DIR/php-fpm.conf:1] value is NULL for a ZEND_INI_PARSER_ENTRY\n"
                   "PHP:  syntax error, unexpected '&' in Unknown on line 1"));
    EXPECT_TRUE(load_main("a = \"x").messages.at(0).raw);
}

TEST_F(LoaderTest, refuses_files_it_cannot_open)
{
    const LoadResult result = load({.file = directory_.path("none"), .include_prefix = "", .lookups = {}});
    EXPECT_FALSE(result.config);
    EXPECT_EQ(result.messages.at(0).text,
              "failed to open configuration file '" + directory_.path("none") + "': No such file or directory (2)");
    EXPECT_EQ(load({.file = "", .include_prefix = "", .lookups = {}}).messages.at(0).text,
              "configuration filename is empty");
}

TEST_F(LoaderTest, includes_in_alphabetical_order_and_stays_in_the_last_section)
{
    directory_.write("pool.d/b.conf", "[b]\nuser = b\n");
    directory_.write("pool.d/a.conf", "group = of-www\n[a]\nuser = a\n");
    directory_.write("pool.d/dir.conf/x", "");
    const LoadResult result =
        load_main("[www]\ninclude = " + directory_.path("pool.d/*.conf") + "\ngroup = of-b\n[c]\n");
    ASSERT_TRUE(result.config);
    ASSERT_EQ(result.config->pools.size(), 4U);
    EXPECT_EQ(result.config->pools[0].group, "of-www");
    EXPECT_EQ(result.config->pools[1].user, "a");
    EXPECT_EQ(result.config->pools[2].group, "of-b");
    EXPECT_EQ(result.config->pools[3].name, "c");
}

TEST_F(LoaderTest, resolves_relative_patterns_and_counts_lines_of_each_file)
{
    directory_.write("prefix/etc/a.conf", "[a]\n\n\n\n");
    EXPECT_EQ(messages_of("\ninclude = etc/a.conf\nfoo = 1\n"), stop("ERROR: [DIR/php-fpm.conf:3] unknown entry 'foo'"));
}

TEST_F(LoaderTest, reports_includes_that_fail)
{
    std::filesystem::create_directories(directory_.path("empty"));
    EXPECT_EQ(messages_of("include = " + directory_.path("empty/*.conf")),
              "WARNING: Nothing matches the include pattern 'DIR/empty/*.conf' from DIR/php-fpm.conf at line 1.\n");
    EXPECT_EQ(messages_of("include = " + directory_.path("none/*.conf")),
              stop("ERROR: Unable to globalize 'DIR/none/*.conf' (ret=2) from DIR/php-fpm.conf at line 1."));
    directory_.write("bad.conf", "\nfoo = 1\n");
    EXPECT_EQ(messages_of("\ninclude = " + directory_.path("bad.conf")),
              stop("ERROR: [DIR/bad.conf:2] unknown entry 'foo'\n"
                   "ERROR: Unable to include DIR/bad.conf from DIR/php-fpm.conf at line 2"));
    std::filesystem::create_directories(directory_.path("prefix"));
    EXPECT_EQ(messages_of("include ="), "") << "a directory is skipped";
}

TEST_F(LoaderTest, stops_at_the_fifth_level_of_includes)
{
    std::string expected = "ERROR: failed to include more than 5 files recursively";
    for (int level = 0; level < 5; ++level) {
        expected += "\nERROR: Unable to include DIR/php-fpm.conf from DIR/php-fpm.conf at line 1";
    }
    EXPECT_EQ(messages_of("include = " + directory_.path("php-fpm.conf")), stop(expected));
}

}  // namespace
}  // namespace ftm::config
