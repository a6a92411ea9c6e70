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
    send_end(session, request);
    forget(session, request);
}

Reader::After Reader::whole_request(Session& session, OpenRequest& request, Job*& whole)
{
    Job& job = *request.building;
    if (!core_.serves_status_only(session)) {
        core_.board.counters().accepted.fetch_add(1, std::memory_order_relaxed);
    }
    if (std::optional<BuiltinAnswer> page = builtin_page(core_, session, job, slot_)) {
        send_page(session, request, page->out, page->err);
        return replied(session, forget(session, request));
    }
    if (job.request.body.failed()) { // a script is not to take half a body for the whole
        observe::log(observe::Level::error, "[pool %s] the body of a request (%llu bytes) could not be stored in %s: %s",
                     core_.settings.pool->name.c_str(), static_cast<unsigned long long>(job.request.body.size()),
                     core_.body_policy.spool_directory.c_str(), std::strerror(job.request.body.error()));
        log_refused(core_, session, job, 500);
        send_error(session, request, 500, "Internal Server Error");
        return replied(session, forget(session, request) && !session.is_http);
    }
    // Only a connection in the set may have several: whoever ends the request of another one has both rights.
    if (whole != nullptr && !ensure_registered(session)) {
        log_refused(core_, session, job, 503);
        send_error(session, request, 503, "Service Unavailable");
        return replied(session, forget(session, request) && !session.is_http);
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

void Reader::send_page(Session& session, const OpenRequest& request, std::string_view out, std::string_view err)
{
    const std::uint16_t id = request.id;
    if (const http::Asked asked = request.http_asked.load(std::memory_order_relaxed); asked != 0) {
        const bool keep = keeps_http(request.building->request.keep_conn);
        request.building->request.keep_conn = keep;
        send(session, id, http::whole_answer(asked, out, date_.at(std::time(nullptr)), !keep));
        return;
    }
    std::string bytes;
    if (!err.empty()) {
        fcgi::append_stream(bytes, fcgi::RecordType::std_err, id, err);
    }
    fcgi::append_stream(bytes, fcgi::RecordType::std_out, id, out);
    const auto end = fcgi::end_request_record(id, 0, fcgi::ProtocolStatus::request_complete);
    bytes.append(end.data(), end.size());
    send(session, id, bytes);
}

// Who does not read answers shall not fill memory and disk with them. HTTP's requests wait for that (consume_http).
Reader::After Reader::replied(Session& session, bool keep)
{
    if (!session.is_http && session.output.queued_replies() > kMaxPending) {
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
    let_next_begin(session, request.id);
    recycle(request.building.release());
    session.requests.remove(request);
    return keep;
}

}  // namespace ftm::engine
