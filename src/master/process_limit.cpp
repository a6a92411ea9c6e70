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
        pool.asks_for_contexts = pool.pm != config::ProcessManager::static_;
        if (pool.pm == config::ProcessManager::ondemand) {
            continue;
        }
        int& count = pool.asks_for_contexts ? pool.pm_start_servers : pool.pm_max_children;
        const int share = std::clamp(left, 1, std::max(count, 1));
        left = std::max(left - share, 0);
        fewer = fewer || count > share;
        count = std::min(count, share);
    }
    return fewer;
}

ProcessLimit::Answer ProcessLimit::ask(int running, int wanted)
{
    Answer answer;
    answer.granted = max_ < 1 ? wanted : std::clamp(max_ - running, 0, wanted);
    if (answer.granted > 0) {
        warned_ = false;
    }
    if (answer.granted < wanted && !warned_) {
        warned_ = answer.warn = true;
    }
    return answer;
}

}  // namespace ftm::master
