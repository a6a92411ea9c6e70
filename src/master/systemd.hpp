// What systemd is told (fpm_systemd.c). The only file that includes sd-daemon.h is systemd.cpp. No-ops without
// NOTIFY_SOCKET.
#pragma once

#include <chrono>
#include <string>

namespace ftm::master {

void notify_ready();
void notify_reloading();
void notify_stopping();
void notify_status(const std::string& status);

}  // namespace ftm::master
