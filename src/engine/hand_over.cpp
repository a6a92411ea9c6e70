#include "engine/hand_over.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "fcgi/params.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kInline = 32u << 10;  // larger payloads travel in a memfd

constexpr std::size_t kMostBodies = 24;        // whose files travel along

enum RequestState : std::uint32_t { kReceiving, kWhole };

struct Fixed {
    std::uint32_t version;
    std::uint32_t listener;
    std::uint32_t machine_size;
    std::uint32_t pending_size;
    std::uint32_t requests;
    std::uint32_t is_http;  // the machine's state is an HTTP connection's
};
constexpr std::uint32_t kVersion = 4;  // another one: another word in master/reload_state.cpp too

// Each with its parameters and what of its body is in memory behind it.
struct FixedRequest {
    std::uint32_t state;
    std::uint16_t id;
    std::uint8_t role;
    std::uint8_t keep_conn;
    std::uint32_t params_size;
    std::uint32_t body_size;     // bytes of the body in this payload
    std::uint64_t spool_stored;  // of a spooled body, whose descriptor comes along
    std::uint64_t body_received;
    std::int64_t accepted_ns;
    std::int32_t body_error;     // errno of a body that could not be stored
    std::uint32_t http;          // http::Asked
};

std::string encode_params(const request::ParamTable& params)
{
    std::vector<std::pair<std::string_view, std::string_view>> entries;
    params.for_each([&](auto name, auto value) { entries.emplace_back(name, value); });
    std::string block;
    for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
        fcgi::append_pair(block, it->first, it->second);
    }
    return block;
}

UniqueFd memfd_with(const std::string& bytes)
{
    UniqueFd fd(::memfd_create("php-fpm hand-over", MFD_CLOEXEC));
    std::size_t written = 0;
    while (fd.valid() && written < bytes.size()) {
        const ssize_t n = ::write(fd.get(), bytes.data() + written, bytes.size() - written);
        if (n <= 0) {
            fd.reset();
            break;
        }
        written += static_cast<std::size_t>(n);
    }
    return fd;
}

std::string read_all(int fd)
{
    struct stat st{};
    if (::fstat(fd, &st) != 0) {
        return {};
    }
    std::string bytes(static_cast<std::size_t>(st.st_size), '\0');
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
    return n == st.st_size ? bytes : std::string();
}

void append_request(std::string& payload, std::vector<int>& fds, const request::Request& r, RequestState state,
                    http::Asked asked)
{
    const std::string params = encode_params(r.params);
    FixedRequest fixed{};
    fixed.state = state;
    fixed.http = asked;
    fixed.id = r.id;
    fixed.role = r.role;
    fixed.keep_conn = r.keep_conn ? 1 : 0;
    fixed.params_size = static_cast<std::uint32_t>(params.size());
    fixed.body_received = r.body.size();
    fixed.body_error = r.body.error();
    fixed.accepted_ns = r.accepted.time_since_epoch().count();
    if (r.body.spooled()) {
        fixed.spool_stored = r.body.stored();
        fds.push_back(r.body.spool_fd());
    } else {
        fixed.body_size = static_cast<std::uint32_t>(r.body.memory().size());
    }
    payload.append(reinterpret_cast<const char*>(&fixed), sizeof fixed);
    payload += params;
    if (!r.body.spooled()) {
        payload += r.body.memory();
    }
}

// What of a payload has not been read yet.
class Rest {
public:
    explicit Rest(std::string_view bytes) : bytes_(bytes) {}

    bool part(std::size_t size, std::string_view& out)
    {
        if (size > bytes_.size()) {
            return false;
        }
        out = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return true;
    }
    template <class Struct>
    bool read(Struct& out)
    {
        std::string_view bytes;
        if (!part(sizeof out, bytes)) {
            return false;
        }
        std::memcpy(&out, bytes.data(), sizeof out);
        return true;
    }
    [[nodiscard]] bool empty() const { return bytes_.empty(); }

private:
    std::string_view bytes_;
};

bool restore_machine(Session& session, std::string_view saved, bool is_http, std::uint32_t requests)
{
    if (!is_http) {
        return fcgi::ConnectionMachine::restore(saved, session.machine) && session.machine.open_requests() == requests;
    }
    session.is_http = true;
    if (session.http == nullptr) {
        session.http = std::make_unique<HttpConnection>();
    }
    return restore_http(saved, *session.http) && (session.http->machine.open() ? 1u : 0u) == requests;
}

// The next request of a payload into a job; `spools`: the descriptors of those that are left.
bool read_request(Rest& rest, std::span<UniqueFd>& spools, Job& job, bool& whole, http::Asked& asked)
{
    FixedRequest fixed{};
    std::string_view params;
    std::string_view body;
    if (!rest.read(fixed) || fixed.state > kWhole || !rest.part(fixed.params_size, params) ||
        !rest.part(fixed.body_size, body)) {
        return false;
    }
    whole = fixed.state == kWhole;
    asked = static_cast<http::Asked>(fixed.http);
    request::Request& r = job.request;
    r.id = fixed.id;
    r.role = fixed.role;
    r.keep_conn = fixed.keep_conn != 0;
    r.accepted = std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(fixed.accepted_ns));
    if (!fcgi::decode_params(params, [&](auto name, auto value) { r.params.set(name, value); })) {
        return false;
    }
    if (fixed.spool_stored != 0) {
        if (spools.empty()) {
            return false;
        }
        r.body.adopt(std::move(spools.front()), fixed.spool_stored, fixed.body_received);
        spools = spools.subspan(1);
    } else {
        r.body.append(body);
    }
    if (fixed.body_error != 0) {
        r.body.fail(fixed.body_error);
    }
    return true;
}

}  // namespace

bool send_session(const Channel& successor, Session& session, std::span<Job* const> whole)
{
    const std::string machine = session.is_http ? save_http(*session.http) : session.machine.save();
    std::string requests;
    std::vector<int> fds{session.fd.get()};
    Fixed fixed{};
    for (const Job* job : whole) {
        append_request(requests, fds, job->request, kWhole, job->open != nullptr ? job->open->http_asked.load() : http::Asked{0});
        ++fixed.requests;
    }
    session.requests.for_each([&](const OpenRequest& request) {
        if (request.building != nullptr) {
            append_request(requests, fds, request.building->request, kReceiving, request.http_asked.load());
            ++fixed.requests;
        }
    });
    if (fds.size() > kMostBodies) {
        return false;
    }
    fixed.version = kVersion;
    fixed.listener = session.listener;
    fixed.is_http = session.is_http ? 1 : 0;
    fixed.machine_size = static_cast<std::uint32_t>(machine.size());
    fixed.pending_size = static_cast<std::uint32_t>(session.pending.size());
    const std::string payload =
        std::string(reinterpret_cast<const char*>(&fixed), sizeof fixed) + machine + session.pending + requests;
    if (payload.size() <= kInline) {
        return successor.send(Message::Kind::connection, {0}, payload, fds);
    }
    const UniqueFd memory = memfd_with(payload);
    if (!memory.valid()) {
        return false;
    }
    fds.push_back(memory.get());
    return successor.send(Message::Kind::connection, {1}, {}, fds);
}

bool receive_session(Message& message, Session& session, std::vector<std::unique_ptr<Job>>& whole)
{
    const bool in_memfd = message.args[0] != 0;
    if (message.fds.size() < (in_memfd ? 2u : 1u)) {
        return false;
    }
    if (in_memfd) {
        message.text = read_all(message.fds.back().get());
    }
    std::span<UniqueFd> spools(message.fds.data() + 1, message.fds.size() - (in_memfd ? 2u : 1u));
    Rest rest(message.text);
    Fixed fixed{};
    std::string_view machine;
    std::string_view pending;
    if (!rest.read(fixed) || fixed.version != kVersion || !rest.part(fixed.machine_size, machine) ||
        !rest.part(fixed.pending_size, pending) || !restore_machine(session, machine, fixed.is_http != 0, fixed.requests)) {
        return false;
    }
    std::vector<std::unique_ptr<Job>> jobs;
    for (std::uint32_t i = 0; i < fixed.requests; ++i) {
        auto job = std::make_unique<Job>();
        bool is_whole = false;
        http::Asked asked = 0;
        if (!read_request(rest, spools, *job, is_whole, asked) || (asked != 0) != session.is_http ||
            !(session.is_http || session.machine.is_open(job->request.id)) ||
            session.requests.find(job->request.id) != nullptr) {
            return false;
        }
        OpenRequest& open = session.requests.add(job->request.id);
        open.http_asked.store(asked);
        if (is_whole) {
            job->open = &open;
            jobs.push_back(std::move(job));
        } else {
            open.building = std::move(job);
        }
    }
    if (!rest.empty()) {
        return false;
    }
    session.pending.assign(pending);
    session.fd = std::move(message.fds[0]);
    session.listener = fixed.listener;
    session.in_flight.store(static_cast<unsigned>(jobs.size()));
    for (const auto& job : jobs) {
        job->session = &session;
        job->generation = session.read_right.generation();
    }
    whole = std::move(jobs);
    return true;
}

}  // namespace ftm::engine
