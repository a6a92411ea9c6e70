// argv as php-fpm's option parser reads it. Options count in their order: -h, -v, -m and mistakes end the parsing where
// they stand, so what comes after them is not even looked at.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ftm::config {

struct CommandLine {
    enum class Action {
        run,
        usage,        // -h, -?: usage text, exit 0
        usage_error,  // unknown option, missing or stray argument: usage text, exit 64
        version,      // -v
        modules,      // -m
        information,  // -i
        print_config_docs,     // hidden: the text of docs/CONFIGURATION.md
        print_global_sample,   // hidden: of etc/php-fpm.conf
        print_pool_sample,     // hidden: of etc/pool.d/www.conf
    };

    Action action = Action::run;
    std::optional<std::string> ini_path;         // -c
    bool no_ini = false;                         // -n
    std::vector<std::string> defines;            // -d, as written: "name" or "name=value"
    bool extended_info = false;                  // -e
    std::optional<std::string> config_file;      // -y
    std::optional<std::string> prefix;           // -p
    std::optional<std::string> pid;              // -g
    int test_level = 0;                          // number of -t
    std::optional<bool> daemonize;               // the last of -D and -F
    bool force_stderr = false;                   // -O
    bool allow_root = false;                     // -R
};

// arguments[0] is the program.
[[nodiscard]] CommandLine parse_command_line(const std::vector<std::string>& arguments);

[[nodiscard]] std::string usage_text(const std::string& program, const std::string& default_prefix);

// The ini text that the -d options stand for, as php builds it: a name alone is set to 1; a value that begins neither
// with a letter or digit nor with a quote is put in quotes.
[[nodiscard]] std::string ini_entries(const std::vector<std::string>& defines);

}  // namespace ftm::config
