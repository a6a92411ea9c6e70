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

enum RequestState : std::uint32_t { kNoRequest, kReceiving, kWhole };

struct Fixed {
    std::uint32_t version;
    std::uint32_t listener;
    std::uint32_t request_state;
    std::uint16_t request_id;
    std::uint8_t role;
    std::uint8_t keep_conn;
    std::uint32_t machine_size;
    std::uint32_t pending_size;
    std::uint32_t params_size;
    std::uint32_t body_size;     // bytes of the body in this payload
    std::uint64_t spool_stored;  // of a spooled body, whose descriptor comes along
    std::uint64_t body_received;
    std::int64_t accepted_ns;
    std::int32_t body_error;     // errno of a body that could not be stored
    std::int32_t reserved;
};
constexpr std::uint32_t kVersion = 2;  // another one: another word in master/reload_state.cpp too

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

}  // namespace

bool send_session(const Channel& successor, Session& session, const Job* whole)
{
    const Job* job = whole != nullptr ? whole : session.building.get();
    const std::string machine = session.machine.save();
    const std::string params = job != nullptr ? encode_params(job->request.params) : std::string();
    Fixed fixed{};
    fixed.version = kVersion;
    fixed.listener = session.listener;
    fixed.request_state = whole != nullptr ? kWhole : job != nullptr ? kReceiving : kNoRequest;
    fixed.machine_size = static_cast<std::uint32_t>(machine.size());
    fixed.pending_size = static_cast<std::uint32_t>(session.pending.size());
    fixed.params_size = static_cast<std::uint32_t>(params.size());
    std::vector<int> fds{session.fd.get()};
    std::string payload;
    if (job != nullptr) {
        const request::Request& r = job->request;
        fixed.request_id = r.id;
        fixed.role = r.role;
        fixed.keep_conn = r.keep_conn ? 1 : 0;
        fixed.body_received = r.body.size();
        fixed.body_error = r.body.error();
        fixed.accepted_ns = r.accepted.time_since_epoch().count();
        if (r.body.spooled()) {
            fixed.spool_stored = r.body.stored();
            fds.push_back(r.body.spool_fd());
        } else {
            fixed.body_size = static_cast<std::uint32_t>(r.body.memory().size());
        }
    }
    payload.append(reinterpret_cast<const char*>(&fixed), sizeof fixed);
    payload += machine;
    payload += session.pending;
    payload += params;
    if (job != nullptr && !job->request.body.spooled()) {
        payload += job->request.body.memory();
    }
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

bool receive_session(Message& message, Session& session, std::unique_ptr<Job>& whole)
{
    const bool in_memfd = message.args[0] != 0;
    if (message.fds.size() < (in_memfd ? 2u : 1u)) {
        return false;
    }
    if (in_memfd) {
        message.text = read_all(message.fds.back().get());
    }
    const std::string& payload = message.text;
    Fixed fixed{};
    if (payload.size() < sizeof fixed) {
        return false;
    }
    std::memcpy(&fixed, payload.data(), sizeof fixed);
    std::string_view rest = std::string_view(payload).substr(sizeof fixed);
    const std::uint64_t expected =
        std::uint64_t{fixed.machine_size} + fixed.pending_size + fixed.params_size + fixed.body_size;
    const bool has_spool = message.fds.size() > (in_memfd ? 2u : 1u);
    if (fixed.version != kVersion || rest.size() != expected || fixed.request_state > kWhole ||
        (fixed.spool_stored != 0 && !has_spool)) {
        return false;
    }
    const auto part = [&](std::size_t size) {
        const std::string_view view = rest.substr(0, size);
        rest.remove_prefix(size);
        return view;
    };
    if (!fcgi::ConnectionMachine::restore(part(fixed.machine_size), session.machine)) {
        return false;
    }
    session.pending.assign(part(fixed.pending_size));
    session.fd = std::move(message.fds[0]);
    session.listener = fixed.listener;
    if (fixed.request_state == kNoRequest) {
        return true;
    }
    auto job = std::make_unique<Job>();
    request::Request& r = job->request;
    r.id = fixed.request_id;
    r.role = fixed.role;
    r.keep_conn = fixed.keep_conn != 0;
    r.accepted = std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(fixed.accepted_ns));
    if (!fcgi::decode_params(part(fixed.params_size), [&](auto name, auto value) { r.params.set(name, value); })) {
        return false;
    }
    if (fixed.spool_stored != 0) {
        r.body.adopt(std::move(message.fds[1]), fixed.spool_stored, fixed.body_received);
    } else {
        r.body.append(part(fixed.body_size));
    }
    if (fixed.body_error != 0) {
        r.body.fail(fixed.body_error);
    }
    if (fixed.request_state == kReceiving) {
        session.building = std::move(job);
        return true;
    }
    job->session = &session;
    job->generation = session.read_right.generation();
    session.open_id.store(r.id);
    session.busy.store(true);
    whole = std::move(job);
    return true;
}

}  // namespace ftm::engine
