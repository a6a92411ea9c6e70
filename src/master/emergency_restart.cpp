#include "master/emergency_restart.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

namespace ftm::master {

EmergencyRestart::EmergencyRestart(int threshold, std::chrono::seconds interval) : interval_(interval)
{
    if (threshold > 0 && interval.count() > 0) {
        last_.resize(static_cast<std::size_t>(threshold));
    }
}

bool EmergencyRestart::child_ended(int status, std::chrono::seconds now)
{
    if (last_.empty() || !WIFSIGNALED(status) || (WTERMSIG(status) != SIGSEGV && WTERMSIG(status) != SIGBUS)) {
        return false;
    }
    last_[next_] = now;
    next_ = (next_ + 1) % last_.size();
    return std::all_of(last_.begin(), last_.end(), [&](std::chrono::seconds then) { return now - then <= interval_; });
}

}  // namespace ftm::master
