#include "observe/status_page.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>

#include "observe/openmetrics_page.hpp"
#include "observe/page_escape.hpp"

namespace ftm::observe {
namespace {

// One value with its name; `quoted` in JSON.
struct Field {
    std::string name;
    std::string value;
    bool quoted = false;
};
using Fields = std::vector<Field>;

std::string time_text(std::int64_t seconds, StatusFormat format)
{
    if (format == StatusFormat::xml || format == StatusFormat::json) {
        return std::to_string(seconds);
    }
    char text[64];
    tm local{};
    const std::time_t time = seconds;
    ::localtime_r(&time, &local);
    std::strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S %z", &local);
    return text;
}

std::string escaped(std::string_view text, StatusFormat format)
{
    switch (format) {
        case StatusFormat::html:
        case StatusFormat::xml:
            return escape_xml(text);
        case StatusFormat::json:
            return escape_json(text);
        case StatusFormat::text:
        case StatusFormat::openmetrics:
            break;
    }
    return std::string(text);
}

// Behind php-fpm's fields, and only in pools with worker.script.
void append_worker_fields(Fields& fields, const WorkersStatus& workers, StatusFormat format)
{
    const auto add = [&](std::string name, std::uint64_t value) {
        fields.push_back({std::move(name), std::to_string(value)});
    };
    fields.push_back({"worker script", escaped(workers.script, format), true});
    add("total workers", workers.total());
    add("booting workers", workers.booting);
    add("ready workers", workers.ready);
    add("busy workers", workers.busy);
    add("failed workers", workers.failed);
    add("worker queue", workers.queue);
    add("worker restarts", std::accumulate(workers.restarts.begin(), workers.restarts.end(), std::uint64_t{0}));
    for (std::size_t i = 1; i < kRestartReasons; ++i) {
        add("worker restarts " + std::string(reason_name(static_cast<RestartReason>(i))), workers.restarts[i]);
    }
}

void append_worker_fields(Fields& fields, const WorkerStatus& worker, SlotState slot)
{
    const auto add = [&](const char* name, auto value) { fields.push_back({name, std::to_string(value)}); };
    fields.push_back({"worker state", worker_state_name(worker, slot), true});
    add("worker requests", worker.requests);
    add("worker restarts", worker.restarts);
    fields.push_back({"worker last restart", reason_name(worker.reason), true});
    add("worker boot time", worker.boot_us);
    add("worker memory", worker.memory);
}

Fields pool_fields(const PoolStatus& s, StatusFormat format)
{
    const auto number = [](auto value) { return std::to_string(value); };
    Fields fields{
            {"pool", s.pool, true},
            {"process manager", std::string(s.process_manager), true},
            {"start time", time_text(s.start_time, format)},
            {"start since", number(s.now - s.start_time)},
            {"accepted conn", number(s.accepted)},
            {"listen queue", number(s.queue.waiting)},
            {"max listen queue", number(s.max_queue)},
            {"listen queue len", number(s.queue.limit)},
            {"idle processes", number(s.figures.idle)},
            {"active processes", number(s.figures.active)},
            {"total processes", number(s.figures.total())},
            {"max active processes", number(s.max_active)},
            {"max children reached", number(s.max_children_reached)},
            {"slow requests", number(s.slow_requests)},
            {"memory peak", number(s.memory_peak)}};
    if (s.workers) {
        append_worker_fields(fields, *s.workers, format);
    }
    return fields;
}

// Only URI and query are escaped, as in php-fpm.
Fields process_fields(const ProcessStatus& p, const PoolStatus& pool, StatusFormat format)
{
    const auto number = [](auto value) { return std::to_string(value); };
    const auto or_dash = [](const char* text) { return std::string(*text != '\0' ? text : "-"); };
    std::string uri = p.text.uri[0] != '\0' ? escaped(p.text.uri, format) : "-";
    if (p.text.query[0] != '\0') {
        uri += "?" + escaped(p.text.query, format);
    }
    char cpu[64];
    std::snprintf(cpu, sizeof cpu, "%.2f", p.cpu_percent);
    Fields fields{
            {"pid", number(p.pid)},
            {"state", state_name(p.state), true},
            {"start time", time_text(p.start_time, format)},
            {"start since", number(pool.now - p.start_time)},
            {"requests", number(p.requests)},
            {"request duration", number(p.duration_us)},
            {"request method", or_dash(p.text.method), true},
            {format == StatusFormat::text ? "request URI" : "request uri", uri, true},
            {"content length", number(static_cast<std::uint64_t>(p.content_length))},
            {"user", or_dash(p.text.user), true},
            {"script", or_dash(p.text.script), true},
            {"last request cpu", cpu},
            {"last request memory", number(p.memory)}};
    if (pool.workers) {
        append_worker_fields(fields, p.worker, p.state);
    }
    return fields;
}

void append_text(std::string& out, const Fields& fields)
{
    for (const Field& field : fields) {
        std::string label = field.name + ": ";
        label.resize(std::max<std::size_t>(label.size(), 22), ' '); // php-fpm's are shorter
        out += label + field.value + "\n";
    }
}

void append_xml(std::string& out, const Fields& fields, const char* separator)
{
    for (const Field& field : fields) {
        std::string tag = field.name;
        std::replace(tag.begin(), tag.end(), ' ', '-');
        out += "<" + tag + ">" + field.value + "</" + tag + ">" + separator;
    }
}

void append_json(std::string& out, const Fields& fields)
{
    const char* separator = "{";
    for (const Field& field : fields) {
        const char* quote = field.quoted ? "\"" : "";
        out += separator;
        out += "\"" + field.name + "\":" + quote + field.value + quote;
        separator = ",";
    }
}

std::string text_page(const PoolStatus& status)
{
    std::string out;
    append_text(out, pool_fields(status, StatusFormat::text));
    for (const ProcessStatus& process : status.processes) {
        out += "\n************************\n";
        append_text(out, process_fields(process, status, StatusFormat::text));
    }
    return out;
}

std::string html_page(const PoolStatus& status, bool full)
{
    std::string out =
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n"
        "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
        "<head><title>PHP-FPM Status Page</title></head>\n"
        "<body>\n"
        "<table>\n";
    for (const Field& field : pool_fields(status, StatusFormat::html)) {
        out += "<tr><th>" + field.name + "</th><td>" + field.value + "</td></tr>\n";
    }
    out += "</table>\n";
    if (full) {
        out += "<table border=\"1\">\n<tr>";
        for (const Field& field : process_fields({}, status, StatusFormat::html)) {
            out += "<th>" + field.name + "</th>";
        }
        out += "</tr>\n";
        for (const ProcessStatus& process : status.processes) {
            out += "<tr>";
            for (const Field& field : process_fields(process, status, StatusFormat::html)) {
                out += "<td>" + field.value + "</td>";
            }
            out += "</tr>\n";
        }
        out += "</table>";
    }
    return out + "</body></html>";
}

std::string xml_page(const PoolStatus& status, bool full)
{
    std::string out = "<?xml version=\"1.0\" ?>\n<status>\n";
    append_xml(out, pool_fields(status, StatusFormat::xml), "\n");
    if (full) {
        out += "<processes>\n";
        for (const ProcessStatus& process : status.processes) {
            out += "<process>";
            append_xml(out, process_fields(process, status, StatusFormat::xml), "");
            out += "</process>\n";
        }
        out += "</processes>\n";
    }
    return out + "</status>";
}

std::string json_page(const PoolStatus& status, bool full)
{
    std::string out;
    append_json(out, pool_fields(status, StatusFormat::json));
    if (full) {
        out += ", \"processes\":[";
        const char* separator = "";
        for (const ProcessStatus& process : status.processes) {
            out += separator;
            append_json(out, process_fields(process, status, StatusFormat::json));
            out += "}";
            separator = ",";
        }
        out += "]";
    }
    return out + "}";
}

}  // namespace

std::string_view content_type(StatusFormat format)
{
    switch (format) {
        case StatusFormat::html:
            return "text/html";
        case StatusFormat::xml:
            return "text/xml";
        case StatusFormat::json:
            return "application/json";
        case StatusFormat::openmetrics:
            return "application/openmetrics-text; version=1.0.0; charset=utf-8";
        case StatusFormat::text:
            break;
    }
    return "text/plain";
}

std::string status_body(const PoolStatus& status, StatusQuery query)
{
    switch (query.format) {
        case StatusFormat::html:
            return html_page(status, query.full);
        case StatusFormat::xml:
            return xml_page(status, query.full);
        case StatusFormat::json:
            return json_page(status, query.full);
        case StatusFormat::openmetrics:
            return openmetrics_page(status);
        case StatusFormat::text:
            break;
    }
    return text_page(status);
}

}  // namespace ftm::observe
