// The checks of one pool, in php-fpm's order. Relative paths and defaults are completed on the way.
#pragma once

#include <string>

#include "config/config.hpp"
#include "config/environment.hpp"
#include "config/message.hpp"
#include "config/post_process.hpp"

namespace ftm::config {

class PoolChecks {
public:
    PoolChecks(Config& config, const PostProcessOptions& options, const Environment& environment, Messages& messages)
        : config_(config), options_(options), environment_(environment), messages_(messages)
    {
    }

    // False when php-fpm would refuse to start. May append to config.status_pools and config.http_pools: pools that are
    // themselves status pools are checked with `status_pool`, and then nothing is appended.
    [[nodiscard]] bool check(Pool& pool, bool status_pool);

private:
    [[nodiscard]] bool check_identity(Pool& pool);
    [[nodiscard]] bool check_process_manager(Pool& pool);
    [[nodiscard]] bool check_dynamic(Pool& pool);
    [[nodiscard]] bool check_ondemand(Pool& pool);
    [[nodiscard]] bool check_status(Pool& pool, bool status_pool);
    [[nodiscard]] bool check_ping(Pool& pool);
    [[nodiscard]] bool check_slowlog(Pool& pool);
    [[nodiscard]] bool check_http(Pool& pool);
    [[nodiscard]] bool check_directories(Pool& pool);
    [[nodiscard]] bool check_uri(const Pool& pool, const char* what, const std::string& path, bool any_length);
    [[nodiscard]] bool complete_chroot(Pool& pool);
    void complete_php_values(Pool& pool);

    [[nodiscard]] std::string full(const std::string& path, const Pool& pool) const;
    bool refuse(LogLevel level, const Pool& pool, const std::string& text);
    bool refuse(const Pool& pool, const std::string& text) { return refuse(LogLevel::error, pool, text); }

    Config& config_;
    const PostProcessOptions& options_;
    const Environment& environment_;
    Messages& messages_;
};

}  // namespace ftm::config
