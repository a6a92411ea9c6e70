// A request from its first record on: answered at once when it is whole, or a job for a context.
#include "engine/reader.hpp"

#include <cstring>

#include "engine/body_storage.hpp"
#include "engine/builtin_pages.hpp"
#include "engine/clock.hpp"
#include "engine/request_log.hpp"
#include "fcgi/params.hpp"
#include "fcgi/writer.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

const char* role_name(fcgi::Role role) noexcept
{
    switch (role) {
        case fcgi::Role::authorizer:
            return "AUTHORIZER";
        case fcgi::Role::filter:
            return "FILTER";
        case fcgi::Role::responder:
            break;
    }
    return "RESPONDER";
}

}  // namespace

void Reader::begin_request(Session& session, const fcgi::Step& step)
{
    OpenRequest& open = session.requests.add(step.request_id);
    open.building.reset(new_job());
    request::Request& request = open.building->request;
    request.id = step.request_id;
    request.role = static_cast<std::uint8_t>(step.role);
    request.keep_conn = step.keep_conn;
    request.accepted = std::chrono::steady_clock::now();
    request.params.set("FCGI_ROLE", role_name(step.role));
}

// False: they are malformed.
bool Reader::params_are_whole(Session& session, OpenRequest& open)
{
    request::Request& request = open.building->request;
    const std::string_view block = session.machine.params(open.id);
    request.params.reserve(block.size());
    if (!fcgi::decode_params(block, [&](auto name, auto value) { request.params.set(name, value); })) {
        return false;
    }
    request.body.set_limits(body_limits(core_.body_policy, request.params));
    return true;
}

void Reader::aborted(Session& session, OpenRequest& request)
{
    if (request.building == nullptr) { // it is queued or runs
        request.aborted.store(true);
        return;
    }
    const std::uint16_t id = request.id;
    forget(session, request);
    send_end(session, id);
}

Reader::After Reader::whole_request(Session& session, OpenRequest& request, Job*& whole)
{
    Job& job = *request.building;
    const std::uint16_t id = job.request.id;
    if (!core_.serves_status_only(session)) {
        core_.board.counters().accepted.fetch_add(1, std::memory_order_relaxed);
    }
    if (std::optional<BuiltinAnswer> page = builtin_page(core_, session, job, slot_)) {
        std::string bytes;
        if (!page->err.empty()) {
            fcgi::append_stream(bytes, fcgi::RecordType::std_err, id, page->err);
        }
        fcgi::append_stream(bytes, fcgi::RecordType::std_out, id, page->out);
        const auto end = fcgi::end_request_record(id, 0, fcgi::ProtocolStatus::request_complete);
        bytes.append(end.data(), end.size());
        const bool keep = forget(session, request);
        send(session, id, bytes);
        return replied(session, keep);
    }
    if (job.request.body.failed()) { // a script is not to take half a body for the whole
        observe::log(observe::Level::error, "[pool %s] the body of a request (%llu bytes) could not be stored in %s: %s",
                     core_.settings.pool->name.c_str(), static_cast<unsigned long long>(job.request.body.size()),
                     core_.body_policy.spool_directory.c_str(), std::strerror(job.request.body.error()));
        log_refused(core_, session, job, 500);
        const bool keep = forget(session, request);
        send_error(session, id, 500, "Internal Server Error");
        return replied(session, keep);
    }
    // Only a connection in the set may have several: whoever ends the request of another one has both rights.
    if (whole != nullptr && !ensure_registered(session)) {
        log_refused(core_, session, job, 503);
        const bool keep = forget(session, request);
        send_error(session, id, 503, "Service Unavailable");
        return replied(session, keep);
    }
    route(job);
    job.session = &session;
    job.open = &request;
    job.generation = session.read_right.generation();
    if (session.in_flight.fetch_add(1) != 0) {
        session.shared.store(true, std::memory_order_relaxed);
    }
    Job* const ready = request.building.release();
    if (whole == nullptr) {
        whole = ready;
    } else {
        queue(ready); // this thread runs one; the front has sent several at once
    }
    return After::whole;
}

// Who does not read answers shall not fill memory and disk with them.
Reader::After Reader::replied(Session& session, bool keep)
{
    if (session.output.queued_replies() > kMaxPending) {
        return After::close;
    }
    if (!keep && session.in_flight.load() != 0) {
        session.close_wanted.store(true); // once the others have ended
        return After::go_on;
    }
    return keep ? After::go_on : After::close;
}

void Reader::route(Job& job)
{
    job.for_worker = core_.settings.workers != 0 && routes_.is_worker(job.request.params, now_us());
}

// A request that is being received will not run. Whether its connection is to be kept.
bool Reader::forget(Session& session, OpenRequest& request)
{
    const bool keep = request.building->request.keep_conn;
    session.machine.request_ended(request.id);
    recycle(request.building.release());
    session.requests.remove(request);
    return keep;
}

}  // namespace ftm::engine
