#include "master/systemd.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

namespace ftm::master {

void notify_ready()
{
    ::sd_notifyf(0, "READY=1\nSTATUS=Ready to handle connections\nMAINPID=%lu", static_cast<unsigned long>(::getpid()));
}

void notify_reloading()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                 static_cast<unsigned long long>(now.tv_sec) * 1'000'000 + static_cast<unsigned long long>(now.tv_nsec) / 1000);
}

void notify_stopping() { ::sd_notify(0, "STOPPING=1"); }

void notify_status(const std::string& status) { ::sd_notifyf(0, "STATUS=%s", status.c_str()); }

}  // namespace ftm::master
