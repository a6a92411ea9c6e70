#include "master/systemd.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "observe/log.hpp"

namespace ftm::master {

using observe::Level;
using observe::log;

void notify_ready()
{
    if (::sd_notifyf(0, "READY=1\nSTATUS=Ready to handle connections\nMAINPID=%lu",
                     static_cast<unsigned long>(::getpid())) < 0) {
        log(Level::warning, "failed to notify start to systemd");
    } else {
        log(Level::debug, "have notify start to systemd");
    }
}

void notify_status(const Heartbeat& h)
{
    const double traffic = static_cast<double>(h.new_requests) * 1000.0 / static_cast<double>(h.interval.count());
    if (::sd_notifyf(0, "READY=1\n%sSTATUS=Processes active: %u, idle: %u, Requests: %lu, slow: %lu, Traffic: %.2freq/sec",
                     h.watchdog ? "WATCHDOG=1\n" : "", h.active, h.idle, static_cast<unsigned long>(h.requests),
                     static_cast<unsigned long>(h.slow), traffic) < 0) {
        log(Level::notice, "failed to notify status to systemd");
    }
}

void notify_reloading()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                 static_cast<unsigned long long>(now.tv_sec) * 1'000'000 + static_cast<unsigned long long>(now.tv_nsec) / 1000);
}

void notify_stopping(std::chrono::seconds time)
{
    constexpr std::chrono::seconds kEnd{5};
    ::sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
                 static_cast<unsigned long long>(std::chrono::microseconds(time + kEnd).count()));
}

}  // namespace ftm::master
