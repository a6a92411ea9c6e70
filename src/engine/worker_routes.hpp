// Which requests of a pool go to its workers: those whose script is worker.script, by whatever path or link, and those
// whose path or script name begins with a prefix of worker.match[]. Looks into the file system for a path it has not
// seen within a second; whether a link points to the script may change.
// Owned by one Reader: its thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "request/param_table.hpp"

namespace ftm::engine {

class WorkerRoutes {
public:
    // An empty script: no request is a worker's. Both must outlive this.
    WorkerRoutes(const std::string& script, const std::vector<std::string>& prefixes)
        : script_(script), prefixes_(prefixes)
    {
    }

    // now_us: CLOCK_MONOTONIC, microseconds.
    [[nodiscard]] bool is_worker(const request::ParamTable& params, std::int64_t now_us);

private:
    struct Known {
        std::int64_t until_us;
        bool is_worker;
    };

    [[nodiscard]] bool matches_prefix(std::string_view uri) const;

    const std::string& script_;
    const std::vector<std::string>& prefixes_;
    std::unordered_map<std::string, Known> known_;
};

}  // namespace ftm::engine
