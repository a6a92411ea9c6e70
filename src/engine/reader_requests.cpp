// A request that has arrived whole: answered at once, or a job for a context.
#include "engine/reader.hpp"

#include <cstring>

#include "engine/builtin_pages.hpp"
#include "engine/clock.hpp"
#include "engine/request_log.hpp"
#include "fcgi/writer.hpp"
#include "observe/log.hpp"

namespace ftm::engine {

Reader::After Reader::whole_request(Session& session, Job*& whole)
{
    Job& job = *session.building;
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
        const bool keep = forget(session);
        send(session, bytes);
        // Who does not read the answers shall not fill memory and disk with them.
        return keep && session.output.pending_bytes() <= kMaxPending ? After::go_on : After::close;
    }
    if (job.request.body.failed()) { // a script is not to take half a body for the whole
        observe::log(observe::Level::error, "[pool %s] the body of a request (%llu bytes) could not be stored in %s: %s",
                     core_.settings.pool->name.c_str(), static_cast<unsigned long long>(job.request.body.size()),
                     core_.body_policy.spool_directory.c_str(), std::strerror(job.request.body.error()));
        log_refused(core_, session, job, 500);
        const bool keep = forget(session);
        send_error(session, id, 500, "Internal Server Error");
        return keep ? After::go_on : After::close;
    }
    route(job);
    job.session = &session;
    job.generation = session.read_right.generation();
    session.open_id.store(id);
    session.busy.store(true);
    whole = session.building.release();
    return After::whole;
}

void Reader::route(Job& job)
{
    job.for_worker = core_.settings.workers != 0 && routes_.is_worker(job.request.params, now_us());
}

// The request that is being received will not run. Whether its connection is to be kept.
bool Reader::forget(Session& session)
{
    const bool keep = session.building->request.keep_conn;
    session.machine.request_ended(session.building->request.id);
    recycle(session.building.release());
    return keep;
}

}  // namespace ftm::engine
