// Checks that need the whole configuration or the machine, in php-fpm's order and words; completes relative paths and
// defaults that depend on other directives.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "config/environment.hpp"
#include "config/message.hpp"

namespace ftm::config {

struct PostProcessOptions {
    std::optional<std::string> prefix;            // -p
    std::optional<bool> daemonize;                // -D or -F
    bool allow_root = false;                      // -R
    std::string default_prefix = "/usr";          // base of relative paths
    std::string default_localstatedir = "/var";   // base of pid and error_log
};

inline constexpr int kLeastLogLimit = 512;  // bytes
inline constexpr std::size_t kNeverOpened = static_cast<std::size_t>(-1);

struct PostProcessResult {
    bool ok = false;
    Messages messages;
    // How many of the messages were produced before error_log was open: those go to stderr only. kNeverOpened: all.
    std::size_t before_error_log = kNeverOpened;
};

[[nodiscard]] PostProcessResult post_process(Config& config, const PostProcessOptions& options,
                                             const Environment& environment);

// What -t checks on top: users, groups, length of socket paths. True if all is well.
[[nodiscard]] bool test_checks(const Config& config, const Environment& environment, Messages& messages);

// A value that does not start with '/' is relative to the pool's prefix, else to -p, else to default_base. A pool
// prefix that is itself relative is completed by the rule without a pool.
[[nodiscard]] std::string full_path(const std::string& path, const Pool* pool, const PostProcessOptions& options,
                                    const std::string& default_base);

}  // namespace ftm::config
