// What systemd is told (fpm_systemd.c), and what php-fpm does not tell it: RELOADING and STOPPING. The only file that
// includes sd-daemon.h is systemd.cpp. No-ops without NOTIFY_SOCKET.
#pragma once

#include <chrono>
#include <cstdint>

namespace ftm::master {

// Sums over all pools.
struct Heartbeat {
    unsigned active = 0;
    unsigned idle = 0;
    std::uint64_t requests = 0;
    std::uint64_t slow = 0;
    std::uint64_t new_requests = 0;  // since the heartbeat before
    std::chrono::milliseconds interval{1};
    bool watchdog = false;
};

void notify_ready();
void notify_status(const Heartbeat& heartbeat);
void notify_reloading();
// `time`: how long running requests may take; systemd is to wait so long and a little longer.
void notify_stopping(std::chrono::seconds time);

}  // namespace ftm::master
