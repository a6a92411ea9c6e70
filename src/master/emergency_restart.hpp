// emergency_restart_threshold and emergency_restart_interval: when crashed children ask for a reload
// (fpm_children.c, fpm_children_bury). Value type; the caller has the clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace ftm::master {

class EmergencyRestart {
public:
    // Off unless both are above 0.
    EmergencyRestart(int threshold, std::chrono::seconds interval);

    // A child has ended with this wait status; `now` is the monotonic clock's whole seconds. True: reload. As in php-fpm
    // the slots of the first crashes count as recent while the machine is up for less than the interval.
    [[nodiscard]] bool child_ended(int status, std::chrono::seconds now);

private:
    std::vector<std::chrono::seconds> last_;
    std::chrono::seconds interval_;
    std::size_t next_ = 0;
};

}  // namespace ftm::master
