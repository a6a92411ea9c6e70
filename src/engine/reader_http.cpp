// HTTP connections: bytes become requests, as in reader.cpp, or are refused.
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <ctime>
#include <utility>

#include "engine/body_storage.hpp"
#include "engine/clock.hpp"
#include "engine/http_params.hpp"
#include "engine/reader.hpp"
#include "engine/request_log.hpp"
#include "http/proxy_header.hpp"

namespace ftm::engine {
namespace {

constexpr std::uint16_t kRequestId = 1;                       // there is one at a time
constexpr std::int64_t kLingerUs = 2'000'000;                 // for a client that still sends what nobody wants

}  // namespace

// A connection that is taken over by nobody ends with its answer.
bool Reader::keeps_http(bool wanted)
{
    return wanted && !(core_.draining.load(std::memory_order_relaxed) && core_.leaves_nobody_behind());
}

// Sets the time at which the standby thread will have waited long enough. A head has one such time from its first byte
// on, a body a new one with each piece.
void Reader::wait_for_http_client(Session& session)
{
    HttpConnection& http = *session.http;
    const HttpSettings& settings = *core_.settings.http;
    if (http.machine.failed()) { // also if it has just been taken over
        if (session.http_deadline_us.load(std::memory_order_relaxed) == 0) {
            session.http_deadline_us.store(now_us() + kLingerUs, std::memory_order_relaxed);
        }
        return;
    }
    if (http.machine.in_head() && std::exchange(http.head_timed, true)) {
        return;
    }
    const bool between = http.machine.idle() && session.asked;
    const std::int64_t timeout = between ? settings.keepalive_timeout_us : settings.request_timeout_us;
    session.http_deadline_us.store(timeout != 0 ? now_us() + timeout : 0, std::memory_order_relaxed);
}

// `held` keeps what has come before, when that was no PROXY header after all. False: the connection is to be closed.
bool Reader::take_proxy_header(Session& session, std::string_view& input, std::string& held)
{
    HttpConnection& http = *session.http;
    const http::TrustedProxies& proxies = core_.settings.http->proxies;
    if (http.ends.client.empty()) {
        http.ends = ends_of(session.fd.get(), proxies);
    }
    if (!http.ends.trusted) {
        http.begun = true;
        return true;
    }
    http.start.append(input);
    http::ProxyHeader header = http::parse_proxy_header(http.start);
    switch (header.result) {
        case http::ProxyHeader::Result::need_more:
            input = {};
            return true;
        case http::ProxyHeader::Result::malformed:
            return false;
        case http::ProxyHeader::Result::none:
        case http::ProxyHeader::Result::whole:
            break;
    }
    http.begun = true;
    held = std::exchange(http.start, std::string());
    input = std::string_view(held).substr(header.size);
    if (header.names_client) { // whose headers go through such a proxy as they are
        const std::optional<in6_addr> client = parse_ip(header.client);
        http.ends.trusted = client && proxies.trusts(*client);
        http.ends.client = std::move(header.client);
        http.ends.client_port = std::move(header.client_port);
        http.ends.server = std::move(header.server);
        http.ends.server_port = std::move(header.server_port);
    }
    return true;
}

Reader::After Reader::consume_http(Session& session, std::string_view input, Job*& whole)
{
    HttpConnection& http = *session.http;
    std::string held;
    if (!http.begun && !take_proxy_header(session, input, held)) {
        return After::close;
    }
    if (!http.begun) {
        return After::go_on;
    }
    for (;;) {
        // Who does not read answers shall not fill memory and disk with them.
        if (http.machine.idle() && !input.empty() && session.output.pending_bytes() > kMaxPending) {
            session.pending.assign(input);
            session.has_pending.store(true);
            if (session.output.pending_bytes() > kMaxPending) { // the standby thread goes on when all has left
                return After::go_on;
            }
            held = std::exchange(session.pending, std::string());
            session.has_pending.store(false);
            input = held;
        }
        const http::Step step = http.machine.step(input);
        input.remove_prefix(step.consumed);
        OpenRequest* const request = session.requests.find(kRequestId);
        switch (step.kind) {
            case http::StepKind::need_more:
                if (!request || request->building != nullptr) {
                    wait_for_http_client(session);
                }
                return After::go_on;
            case http::StepKind::head:
                if (const int status = begin_http(session); status != 0) {
                    return refuse_http(session, status);
                }
                break;
            case http::StepKind::data:
                request->building->request.body.append(step.data);
                break;
            case http::StepKind::end:
                session.http_deadline_us.store(0, std::memory_order_relaxed);
                if (http_whole(session, *request, whole) == After::close) {
                    return After::close;
                }
                break;
            case http::StepKind::blocked:
                session.pending.assign(input);
                session.has_pending.store(true);
                if (!any_has_ended(session)) {
                    return After::go_on;
                }
                held = std::exchange(session.pending, std::string());
                session.has_pending.store(false);
                input = held;
                let_machine_go_on(session);
                break;
            case http::StepKind::error:
                return refuse_http(session, step.status);
        }
    }
}

// 0, or the status of its refusal.
int Reader::begin_http(Session& session)
{
    HttpConnection& http = *session.http;
    const HttpSettings& settings = *core_.settings.http;
    const config::Pool& pool = *core_.settings.pool;
    const http::Head& head = http.machine.head();
    http.head_timed = false;

    OpenRequest& open = session.requests.add(kRequestId);
    open.building.reset(new_job());
    open.http_asked.store(static_cast<http::Asked>(http::kHttp | (head.method == "HEAD" ? http::kHead : 0) | (head.http10 ? http::kHttp10 : 0) |
                                             (head.keep_alive ? http::kKeepAlive : 0)),
                    std::memory_order_relaxed);
    request::Request& request = open.building->request;
    request.id = kRequestId;
    request.role = static_cast<std::uint8_t>(fcgi::Role::responder);
    request.keep_conn = head.keep_alive;
    request.accepted = std::chrono::steady_clock::now();

    http::Target target;
    const bool sound = http::parse_target(head.target, target);
    // With pm.status_listen the path is "/" unless it is set, which here is the front page.
    const bool status = target.path == pool.pm_status_path && !(pool.pm_status_listen && target.path == "/");
    http.answer = HttpAnswer();
    if (sound && (target.path == pool.ping_path || status)) {
        http.answer.kind = HttpAnswer::Kind::script;
        http.answer.script_name = target.path;
        http.answer.script_file = settings.root.path + target.path;
    } else if (sound) {
        http.answer = find_answer(settings.root, target.path, target.query);
    }
    set_http_params(request.params, {head, target, http.ends, http.answer, settings.proxies, settings.root.path});
    if (!sound) {
        return 400;
    }
    request.body.set_limits(body_limits(core_.body_policy, request.params));
    if (head.expects_continue && (head.chunked || head.content_length.value_or(0) != 0)) {
        send(session, kRequestId, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return 0;
}

// What is no request, or one that is not to be read to its end. A client that is still sending would lose the answer if
// the connection were closed at once: what comes is read over for a while.
Reader::After Reader::refuse_http(Session& session, int status)
{
    http::Asked asked = http::kHttp;
    if (OpenRequest* const open = session.requests.find(kRequestId); open != nullptr && open->building != nullptr) {
        asked = open->http_asked.load(std::memory_order_relaxed);
        log_refused(core_, session, *open->building, status);
        forget(session, *open);
    }
    session.http->machine.fail();
    send(session, kRequestId, http::error_answer(asked, status, date_.at(std::time(nullptr))));
    if (!session.output.pending()) {
        ::shutdown(session.fd.get(), SHUT_WR);
    }
    session.http_deadline_us.store(now_us() + kLingerUs, std::memory_order_relaxed);
    return After::go_on;
}

// Requests that wait until their client reads (consume_http), also if it will send nothing more.
bool Reader::waits_to_ask_on(const Session& session) const
{
    return session.is_http && !session.pending.empty() && !session.output.gone();
}

// A slow reader has its time between two requests, too, once it has the answer.
Job* Reader::http_answers_have_left(Session& session)
{
    let_machine_go_on(session);
    if (session.in_flight.load() == 0 && session.http->machine.idle()) {
        wait_for_http_client(session);
    }
    return read(session, 0);
}

// Closing a connection with unread bytes is a reset, which may cost the client the answer that it is still reading. Like
// refuse_http(); true: whoever sees its end, or the standby thread, closes.
bool Reader::lingers(Session& session)
{
    if (!session.is_http || session.http->machine.failed() || session.output.gone() || session.eof.load()) {
        return false;
    }
    int unread = 0;
    ::ioctl(session.fd.get(), FIONREAD, &unread);
    if (unread <= 0 && session.pending.empty()) {
        return false;
    }
    Registration seen = Registration::closed; // it was in no set: both rights are ours, and the sweep is to keep off
    if (session.registration.compare_exchange_strong(seen, Registration::registering)) {
        const bool added = core_.ready.add_session(session.fd.get(), session.index, session.read_right.generation());
        session.registration.store(added ? Registration::registered : Registration::closed);
    } else if (seen == Registration::none) {
        ensure_registered(session);
    }
    if (session.registration.load() != Registration::registered) {
        return false;
    }
    let_machine_go_on(session);
    if (OpenRequest* const open = session.requests.find(kRequestId); open != nullptr && open->building != nullptr) {
        forget(session, *open);
    }
    session.http->machine.fail();
    session.pending.clear();
    session.has_pending.store(false);
    session.close_wanted.store(false);
    ::shutdown(session.fd.get(), SHUT_WR);
    session.http_deadline_us.store(now_us() + kLingerUs, std::memory_order_relaxed);
    while (!give_back(session, 0, false)) {
    }
    return true;
}

Job* Reader::http_timed_out(Session& session)
{
    const http::RequestMachine& machine = session.http->machine;
    const std::int64_t deadline = session.http_deadline_us.load(std::memory_order_relaxed);
    let_machine_go_on(session);
    const bool over = deadline != 0 && deadline <= now_us() && session.in_flight.load() == 0;
    if (!over || (session.output.pending() && !machine.failed())) {
        return read(session, 0);
    }
    if (machine.failed()) {
        session.output.set_gone();
    } else if (machine.in_head() || machine.open()) {
        send(session, kRequestId, http::error_answer(http::kHttp, 408, date_.at(std::time(nullptr))));
    }
    close(session);
    return nullptr;
}

}  // namespace ftm::engine
