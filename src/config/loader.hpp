// php-fpm.conf and the files it includes → Config. Syntax, directive names and the form of each value are checked here;
// what depends on other directives or on the machine is checked by post_process().
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "config/message.hpp"

namespace ftm::config {

// Where a file's ${NAME} and bare constants get their values. Each may be empty.
struct ValueLookups {
    using Lookup = std::function<std::optional<std::string>(const std::string& name)>;
    Lookup ini;       // a directive given in php.ini or with -d
    Lookup environment;
    Lookup constant;  // a PHP constant; asked before the built-in table of E_* and PHP_*
};

struct LoadOptions {
    std::string file;            // passed to open() as is
    std::string include_prefix;  // before a relative include pattern: -p, or the compiled-in prefix
    ValueLookups lookups;
};

struct LoadResult {
    std::optional<Config> config;  // absent when loading failed
    Messages messages;             // in php-fpm's order, up to and including "failed to load configuration file"
};

// include patterns are expanded with glob(3); files are read with open(2).
[[nodiscard]] LoadResult load(const LoadOptions& options);

}  // namespace ftm::config
