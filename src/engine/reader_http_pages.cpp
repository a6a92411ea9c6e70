// What needs no context over HTTP: files of the document root, redirects and errors, by the thread that has read the request.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "engine/http_files.hpp"
#include "engine/reader.hpp"
#include "engine/request_log.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;         // of a file
constexpr off_t kLargestFile = off_t{256} << 20;              // bytes; this is no web server

}  // namespace

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

// A file of the document root, whole. Slow clients get it from the spool.
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
        const net::SendResult result = session.output.send(session.fd.get(), {&part, 1}, holder_, job.request.id);
        if (result == net::SendResult::passed) {
            core_.watch_writes(session);
        } else if (result == net::SendResult::gone) {
            break;
        }
        left -= size;
        offset += size;
        out.clear();
    }
    forget(session, open);
    return replied(session, keep && !session.output.gone());
}

}  // namespace ftm::engine
