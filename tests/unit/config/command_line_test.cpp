#include "config/command_line.hpp"

#include <gtest/gtest.h>

namespace ftm::config {
namespace {

using Action = CommandLine::Action;

CommandLine parse(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), "php-fpm");
    return parse_command_line(arguments);
}

TEST(CommandLine, reads_letters_that_stand_together)
{
    const CommandLine line = parse({"-nty", "a.conf"});
    EXPECT_TRUE(line.no_ini);
    EXPECT_EQ(line.test_level, 1);
    EXPECT_EQ(line.config_file, "a.conf");
    EXPECT_EQ(line.action, Action::run);
}

TEST(CommandLine, reads_values_in_every_spelling)
{
    for (const std::vector<std::string>& spelling :
         {std::vector<std::string>{"-y", "f"}, {"-yf"}, {"-y=f"}, {"--fpm-config", "f"}, {"--fpm-config=f"}}) {
        EXPECT_EQ(parse(spelling).config_file, "f") << spelling[0];
    }
    EXPECT_EQ(parse({"-dfoo=bar", "-d", "x", "-d=y=z"}).defines, (std::vector<std::string>{"foo=bar", "x", "y=z"}));
    EXPECT_EQ(parse({"-y", "-t"}).config_file, "-t");
    EXPECT_EQ(parse({"-p", ""}).prefix, "");
}

TEST(CommandLine, counts_t_and_lets_the_last_of_D_and_F_win)
{
    EXPECT_EQ(parse({"-tt"}).test_level, 2);
    EXPECT_EQ(parse({"-t", "--test", "-t"}).test_level, 3);
    EXPECT_EQ(parse({"-D", "-F"}).daemonize, false);
    EXPECT_EQ(parse({"-F", "--daemonize"}).daemonize, true);
    EXPECT_EQ(parse({}).daemonize, std::nullopt);
}

TEST(CommandLine, reads_the_other_options)
{
    const CommandLine line = parse({"-c", "ini", "-e", "-g", "pid", "-R", "-O", "--prefix=/p"});
    EXPECT_EQ(line.ini_path, "ini");
    EXPECT_TRUE(line.extended_info);
    EXPECT_EQ(line.pid, "pid");
    EXPECT_TRUE(line.allow_root);
    EXPECT_TRUE(line.force_stderr);
    EXPECT_EQ(line.prefix, "/p");
}

TEST(CommandLine, chooses_what_to_do)
{
    EXPECT_EQ(parse({"-v"}).action, Action::version);
    EXPECT_EQ(parse({"--modules"}).action, Action::modules);
    EXPECT_EQ(parse({"-i"}).action, Action::information);
    EXPECT_EQ(parse({"-i", "stray"}).action, Action::information);
    EXPECT_EQ(parse({"-h"}).action, Action::usage);
    EXPECT_EQ(parse({"-?"}).action, Action::usage);
    EXPECT_EQ(parse({"--usage"}).action, Action::usage);
    EXPECT_EQ(parse({"-v", "--nonsense"}).action, Action::version);
    EXPECT_EQ(parse({"--print-config-docs"}).action, Action::print_config_docs);
}

TEST(CommandLine, refuses_what_php_fpm_refuses)
{
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"-C"}, {"--nonsense"}, {"--pre", "x"}, {"--prefix="}, {"-y"}, {"stray"}, {"-t", "stray"},
          {"-"}, {"--", "stray"}, {"-n-"}, {"-:"}, {"-\1"}, {"-\5"}}) {
        EXPECT_EQ(parse(arguments).action, Action::usage_error) << arguments[0];
    }
    EXPECT_EQ(parse({"-t", "--"}).action, Action::run);
}

TEST(CommandLine, starts_the_usage_text_as_php_fpm_does)
{
    EXPECT_EQ(usage_text("/usr/sbin/php-fpm", "/usr").substr(0, 150),
              std::string("Usage: php-fpm [-n] [-e] [-h] [-i] [-m] [-v] [-t] [-p <prefix>] [-g <pid>] [-c <file>] "
                          "[-d foo[=bar]] [-y <file>] [-D] [-F [-O]]\n"
                          "  -c <path>|<file> php.ini file, or the directory")
                  .substr(0, 150));
    EXPECT_NE(usage_text("php-fpm", "/opt").find("(default: /opt)"), std::string::npos);
}

TEST(CommandLine, builds_ini_text_from_definitions)
{
    EXPECT_EQ(ini_entries({"a", "b=1", "c=/x", "d=\"q\"", "e=", "f=a b"}),
              "a=1\nb=1\nc=\"/x\"\nd=\"q\"\ne=\nf=a b\n");
}

}  // namespace
}  // namespace ftm::config
