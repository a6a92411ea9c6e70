#include "observe/openmetrics_page.hpp"

#include <cstdint>

namespace ftm::observe {
namespace {

std::string label_value(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

// FrankenPHP's names, where it has one, behind php-fpm's prefix.
void append_worker_metrics(std::string& out, const WorkersStatus& workers)
{
    const std::string script = "worker=\"" + label_value(workers.script) + "\"";
    const auto head = [&](const std::string& name, const char* type, const char* help) {
        out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    };
    const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
        const std::string full_name = std::string("phpfpm_") + name;
        head(full_name, "gauge", help);
        out += full_name + "{" + script + "} " + std::to_string(value) + "\n";
    };
    gauge("total_workers", "The number of workers.", workers.total());
    gauge("booting_workers", "The number of workers whose script has not yet asked for a request.", workers.booting);
    gauge("ready_workers", "The number of workers that wait for a request.", workers.ready);
    gauge("busy_workers", "The number of workers that serve a request.", workers.busy);
    gauge("failed_workers", "The number of workers whose script could not be booted and will be tried again.",
          workers.failed);
    gauge("worker_queue_depth", "The number of requests that wait for a worker.", workers.queue);
    head("phpfpm_worker_restarts", "counter", "The number of times a worker's script was booted once more, by reason.");
    for (std::size_t i = 1; i < kRestartReasons; ++i) {
        out += "phpfpm_worker_restarts{" + script + ",reason=\"" + reason_name(static_cast<RestartReason>(i)) + "\"} " +
               std::to_string(workers.restarts[i]) + "\n";
    }
}

}  // namespace

std::string openmetrics_page(const PoolStatus& s)
{
    std::string out;
    const auto metric = [&](const char* name, const char* type, const std::string& help, auto value) {
        const std::string full_name = std::string("phpfpm_") + name;
        const std::string help_line = "# HELP " + full_name + " " + help + "\n";
        const std::string type_line = "# TYPE " + full_name + " " + type + "\n";
        // php-fpm turns these two around for one metric
        const bool type_first = full_name == "phpfpm_listen_queue_length";
        out += type_first ? type_line + help_line : help_line + type_line;
        out += full_name + " " + std::to_string(value) + "\n";
    };
    metric("up", "gauge",
           "Could pool " + s.pool + " using a " + std::string(s.process_manager) + " PM on PHP-FPM be reached?", 1);
    metric("start_since", "counter", "The number of seconds since FPM has started.", s.now - s.start_time);
    metric("accepted_connections", "counter", "The number of requests accepted by the pool.", s.accepted);
    metric("listen_queue", "gauge", "The number of requests in the queue of pending connections.", s.queue.waiting);
    metric("max_listen_queue", "counter",
           "The maximum number of requests in the queue of pending connections since FPM has started.", s.max_queue);
    metric("listen_queue_length", "gauge", "The size of the socket queue of pending connections.", s.queue.limit);
    metric("idle_processes", "gauge", "The number of idle processes.", s.figures.idle);
    metric("active_processes", "gauge", "The number of active processes.", s.figures.active);
    metric("total_processes", "gauge", "The number of idle + active processes.", s.figures.total());
    metric("max_active_processes", "counter", "The maximum number of active processes since FPM has started.",
           s.max_active);
    metric("max_children_reached", "counter",
           "The number of times, the process limit has been reached, when pm tries to start more children (works only for "
           "pm 'dynamic' and 'ondemand').",
           s.max_children_reached);
    metric("slow_requests", "counter", "The number of requests that exceeded your 'request_slowlog_timeout' value.",
           s.slow_requests);
    metric("memory_peak", "gauge", "The memory usage peak since FPM has started.", s.memory_peak);
    if (s.workers) {
        append_worker_metrics(out, *s.workers);
    }
    return out + "# EOF\n";
}

}  // namespace ftm::observe
