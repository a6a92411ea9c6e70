#include "engine/request_log.hpp"

#include <sys/resource.h>

#include <chrono>
#include <cstdlib>

#include "engine/clock.hpp"
#include "net/listener.hpp"
#include "php/basic_auth.hpp"

namespace ftm::engine {
namespace {

std::string_view view(const char* text) { return text != nullptr ? std::string_view(text) : std::string_view(); }

std::int64_t microseconds(const timeval& t) { return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_usec; }

const char* parameter(const void* request, std::string_view name)
{
    return static_cast<const request::Request*>(request)->params.value_z(name);
}

}  // namespace

ThreadCpu thread_cpu_for_log(const Core& core)
{
    const observe::AccessLog* log = core.settings.access_log.get();
    ThreadCpu cpu;
    if (log == nullptr || !log->format().wants_cpu()) {
        return cpu;
    }
    cpu.all_us = thread_cpu_us();
    rusage usage{};
    if (log->format().wants_cpu_split() && ::getrusage(RUSAGE_THREAD, &usage) == 0) {
        cpu.user_us = microseconds(usage.ru_utime);
        cpu.system_us = microseconds(usage.ru_stime);
    }
    return cpu;
}

std::string peer_for_log(const Core& core, const Session& session)
{
    const observe::AccessLog* log = core.settings.access_log.get();
    const bool tcp = session.listener < core.listeners.size() && core.listeners[session.listener].tcp;
    return log != nullptr && tcp && log->format().wants_peer() ? net::peer_address(session.fd.get()) : std::string();
}

bool log_request(const Core& core, const Job& job, const php::ResolvedScript& script, const RequestOutcome& outcome)
{
    if (core.settings.access_log == nullptr) {
        return true;
    }
    using std::chrono::duration_cast;
    using std::chrono::microseconds;
    const auto duration = std::chrono::steady_clock::now() - job.request.accepted;
    const auto now = std::chrono::system_clock::now();
    // Without a script php-fpm does not look at the Authorization header.
    const std::string user = script.request_uri != nullptr ? php::basic_auth_user(script.authorization) : std::string();
    observe::AccessEntry entry;
    entry.uri = view(script.request_uri);
    entry.query = view(script.query_string);
    entry.method = view(script.request_method);
    entry.script = view(script.path_translated);
    entry.user = user;
    entry.peer = outcome.peer;
    entry.content_length = script.content_length;
    entry.status = outcome.status;
    entry.memory = outcome.memory;
    entry.accepted = std::chrono::system_clock::to_time_t(now - duration_cast<std::chrono::system_clock::duration>(duration));
    entry.logged = std::chrono::system_clock::to_time_t(now);
    entry.duration_us = duration_cast<microseconds>(duration).count();
    entry.cpu_us = outcome.cpu.all_us;
    entry.cpu_user_us = outcome.cpu.user_us;
    entry.cpu_system_us = outcome.cpu.system_us;
    entry.headers = outcome.headers;
    entry.parameter = parameter;
    entry.request = &job.request;
    return core.settings.access_log->write(entry);
}

void log_refused(const Core& core, const Session& session, const Job& job, int status)
{
    if (core.settings.access_log == nullptr) {
        return;
    }
    // What the front said; resolving it would cost file system calls, and we are refusing because there is too much to do.
    const request::ParamTable& params = job.request.params;
    const char* length = params.value_z("CONTENT_LENGTH");
    php::ResolvedScript script;
    script.request_uri = params.value_z("SCRIPT_NAME");
    script.query_string = params.value_z("QUERY_STRING");
    script.request_method = params.value_z("REQUEST_METHOD");
    script.path_translated = params.value_z("SCRIPT_FILENAME");
    script.authorization = params.value_z("HTTP_AUTHORIZATION");
    script.content_length = length != nullptr ? std::strtol(length, nullptr, 10) : 0;
    const std::string peer = peer_for_log(core, session);
    RequestOutcome outcome;
    outcome.status = status;
    outcome.peer = peer;
    log_request(core, job, script, outcome);
}

}  // namespace ftm::engine
