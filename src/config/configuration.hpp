// The whole way from command line to checked Config: choice of file, loading, checking, and what -t and -tt say.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "config/environment.hpp"
#include "config/ini_value.hpp"
#include "config/message.hpp"
#include "config/post_process.hpp"

namespace ftm::config {

struct Invocation {
    std::optional<std::string> file;        // -y, else php.ini's fpm.config
    std::optional<std::string> prefix;      // -p
    std::optional<std::string> pid;         // -g
    std::optional<bool> daemonize;          // -D or -F
    int test_level = 0;                     // how many -t
    bool allow_root = false;                // -R
    std::string default_file = "/etc/php/8.4/fpm/php-fpm.conf";
    std::string default_prefix = "/usr";
    std::string default_localstatedir = "/var";
};

struct Configuration {
    std::optional<Config> config;  // absent: the messages say why; exit with 78
    std::string file;              // the file that was read, for titles and messages
    Messages messages;             // in php-fpm's order, including the dump of -tt and "FPM initialization failed"
    std::optional<Global> global;  // as far as it was read and checked, also when config is absent
    std::size_t before_log_settings = kNeverOpened;  // messages that log_level, log_limit … do not yet hold for
    std::size_t before_error_log = kNeverOpened;     // see PostProcessResult
};

[[nodiscard]] Configuration read_configuration(const Invocation& invocation, const ValueLookups& lookups,
                                               const Environment& environment);

}  // namespace ftm::config
