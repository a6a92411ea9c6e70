// php-fpm.conf and the files it includes → Config. Syntax, directive names and the form of each value are checked here;
// what depends on other directives or on the machine is checked by post_process().
#pragma once

#include <optional>
#include <string>

#include "config/config.hpp"
#include "config/ini_value.hpp"
#include "config/message.hpp"

namespace ftm::config {

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
