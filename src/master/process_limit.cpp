#include "master/process_limit.hpp"

#include <algorithm>

namespace ftm::master {

bool share_out(config::Config& config)
{
    int left = config.global.process_max;
    if (left < 1) {
        return false;
    }
    bool fewer = false;
    for (config::Pool& pool : config.pools) {
        const int share = std::clamp(left, 1, std::max(pool.pm_max_children, 1));
        left = std::max(left - share, 0);
        fewer = fewer || (pool.pm == config::ProcessManager::static_ ? pool.pm_max_children > share
                                                                      : pool.pm_start_servers > share);
        for (int* count : {&pool.pm_max_children, &pool.pm_start_servers, &pool.pm_min_spare_servers, &pool.pm_max_spare_servers}) {
            *count = std::min(*count, share);
        }
    }
    return fewer;
}

}  // namespace ftm::master
