// HTTP connections: bytes become requests, as in reader.cpp, and what needs no context is answered.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "engine/body_storage.hpp"
#include "engine/clock.hpp"
#include "engine/http_params.hpp"
#include "engine/reader.hpp"
#include "engine/request_log.hpp"
#include "http/proxy_header.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr std::uint16_t kRequestId = 1;                       // there is one at a time
constexpr std::int64_t kLingerUs = 2'000'000;                 // for a client that still sends what nobody wants
constexpr std::size_t kPiece = std::size_t{64} << 10;         // of a file
constexpr off_t kLargestFile = off_t{256} << 20;              // bytes; this is no web server

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

Reader::After Reader::http_whole(Session& session, OpenRequest& open, Job*& whole)
{
    const HttpAnswer& answer = session.http->answer;
    request::Request& request = open.building->request;
    const std::string_view* coding = request.params.get("HTTP_TRANSFER_ENCODING");
    if (coding != nullptr) { // the length of a chunked body is known now
        request.params.set("CONTENT_LENGTH", std::to_string(request.body.size()));
    }
    if (answer.kind == HttpAnswer::Kind::script) {
        return whole_request(session, open, whole);
    }
    core_.board.counters().accepted.fetch_add(1, std::memory_order_relaxed);
    if (answer.kind == HttpAnswer::Kind::file) {
        return answer_file(session, open);
    }
    log_refused(core_, session, *open.building, answer.status);
    const std::string reason(http::reason_of(answer.status));
    const std::string status = "Status: " + std::to_string(answer.status) + " " + reason + "\r\n";
    const std::string location = answer.kind == HttpAnswer::Kind::redirect ? "Location: " + answer.file + "\r\n" : "";
    send_page(session, open, status + location + "Content-Type: text/plain\r\n\r\n" + reason + "\n", "");
    return replied(session, forget(session, open));
}

// A file of the document root: whole, on the thread that has read the request. Slow clients get it from the spool.
Reader::After Reader::answer_file(Session& session, OpenRequest& open)
{
    Job& job = *open.building;
    const std::string& path = session.http->answer.file;
    const std::string_view* method = job.request.params.get("REQUEST_METHOD");
    const std::string_view* since = job.request.params.get("HTTP_IF_MODIFIED_SINCE");
    const auto plain = [&](int status, std::string_view headers) {
        log_refused(core_, session, job, status);
        const std::string reason(http::reason_of(status));
        send_page(session, open,
                  "Status: " + std::to_string(status) + " " + reason + "\r\n" + std::string(headers) +
                      (status == 304 ? "\r\n" : "Content-Type: text/plain\r\n\r\n" + reason + "\n"), "");
        return replied(session, forget(session, open));
    };
    if (*method != "GET" && *method != "HEAD") {
        return plain(405, "Allow: GET, HEAD\r\n");
    }
    struct stat st{};
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.valid()) {
        return plain(errno == EACCES ? 403 : 404, "");
    }
    if (::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
        return plain(404, "");
    }
    const std::string modified = "Last-Modified: " + http::date_text(st.st_mtime) + "\r\n";
    if (since != nullptr && *since == http::date_text(st.st_mtime)) {
        return plain(304, modified);
    }
    if (st.st_size > kLargestFile) {
        observe::log(observe::Level::error, "[pool %s] %s is too large for http.listen: a web server sends such files",
                     core_.settings.pool->name.c_str(), path.c_str());
        return plain(500, "");
    }
    const bool keep = keeps_http(job.request.keep_conn);
    job.request.keep_conn = keep;
    log_refused(core_, session, job, 200);
    http::Response response;
    response.begin(open.http_asked.load(std::memory_order_relaxed));
    const std::string cgi = "Content-Type: " + std::string(content_type_of(path)) +
                            "\r\nContent-Length: " + std::to_string(st.st_size) + "\r\n" + modified + "\r\n";
    std::string_view head = cgi;
    response.take_head(head);
    std::string out;
    response.write_head(out, std::nullopt, date_.at(std::time(nullptr)), !keep);
    if (st.st_size > static_cast<off_t>(kPiece)) {
        announce_work();
    }
    for (std::size_t left = response.admit(static_cast<std::size_t>(st.st_size)), offset = 0; left != 0 || !out.empty();) {
        const std::size_t size = std::min(left, kPiece);
        const std::size_t before = out.size();
        out.resize(before + size);
        const ssize_t got = size == 0 ? 0 : ::pread(file.get(), out.data() + before, size, static_cast<off_t>(offset));
        if (got < 0 || static_cast<std::size_t>(got) != size || session.output.disk_error() != 0) {
            session.output.set_gone(); // it has become shorter, or the disk is full: the client sees a broken connection
            forget(session, open);
            return After::close;
        }
        const iovec part{out.data(), out.size()};
        if (session.output.send(session.fd.get(), {&part, 1}, holder_, kRequestId) == net::SendResult::passed) {
            core_.watch_writes(session);
        }
        left -= size;
        offset += size;
        out.clear();
    }
    forget(session, open);
    return replied(session, keep && !session.output.gone());
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
