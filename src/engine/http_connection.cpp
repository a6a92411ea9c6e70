#include "engine/http_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <optional>

#include "base/ip_block.hpp"

namespace ftm::engine {
namespace {

void describe(const in6_addr& address, in_port_t port, std::string& text, std::string& port_text)
{
    text = ip_text(address);
    port_text = std::to_string(ntohs(port));
}

in_port_t port_of(const sockaddr_storage& address)
{
    return address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                        : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
}

void put(std::string& out, std::string_view text)
{
    const auto size = static_cast<std::uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}

bool get(std::string_view& in, std::string& text)
{
    std::uint32_t size = 0;
    if (in.size() < sizeof size) {
        return false;
    }
    std::memcpy(&size, in.data(), sizeof size);
    in.remove_prefix(sizeof size);
    if (in.size() < size) {
        return false;
    }
    text.assign(in.substr(0, size));
    in.remove_prefix(size);
    return true;
}

struct Flags {
    std::uint8_t begun = 0;
    std::uint8_t trusted = 0;
    HttpAnswer::Kind kind = HttpAnswer::Kind::error;
    std::uint8_t reserved = 0;
    std::int32_t status = 0;
};

}  // namespace

std::string save_http(const HttpConnection& connection)
{
    Flags flags;
    flags.begun = connection.begun ? 1 : 0;
    flags.trusted = connection.ends.trusted ? 1 : 0;
    flags.kind = connection.answer.kind;
    flags.status = connection.answer.status;
    std::string out(reinterpret_cast<const char*>(&flags), sizeof flags);
    for (const std::string* text : {&connection.ends.client, &connection.ends.client_port, &connection.ends.server,
                                    &connection.ends.server_port, &connection.start, &connection.answer.file,
                                    &connection.answer.script_name, &connection.answer.script_file, &connection.answer.path_info}) {
        put(out, *text);
    }
    return out + connection.machine.save();
}

bool restore_http(std::string_view saved, HttpConnection& connection)
{
    Flags flags;
    connection.reset();
    if (saved.size() < sizeof flags) {
        return false;
    }
    std::memcpy(&flags, saved.data(), sizeof flags);
    saved.remove_prefix(sizeof flags);
    for (std::string* text : {&connection.ends.client, &connection.ends.client_port, &connection.ends.server,
                              &connection.ends.server_port, &connection.start, &connection.answer.file,
                              &connection.answer.script_name, &connection.answer.script_file, &connection.answer.path_info}) {
        if (!get(saved, *text)) {
            return false;
        }
    }
    connection.begun = flags.begun != 0;
    connection.ends.trusted = flags.trusted != 0;
    connection.answer.kind = flags.kind;
    connection.answer.status = flags.status;
    return flags.kind <= HttpAnswer::Kind::error && connection.machine.restore(saved);
}

Ends ends_of(int fd, const http::TrustedProxies& proxies)
{
    Ends ends;
    sockaddr_storage address{};
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (::getsockname(fd, generic, &size) == 0) {
        if (const std::optional<in6_addr> ip = ip_of(generic)) {
            describe(*ip, port_of(address), ends.server, ends.server_port);
        } else if (address.ss_family == AF_UNIX) {
            const auto& name = reinterpret_cast<const sockaddr_un&>(address);
            ends.server = std::string("unix:") + (size > offsetof(sockaddr_un, sun_path) ? name.sun_path : "");
            ends.client = "unix:";
            ends.trusted = proxies.trusts_unix();
            return ends;
        }
    }
    address = {};
    size = sizeof address;
    if (::getpeername(fd, generic, &size) == 0) {
        if (const std::optional<in6_addr> ip = ip_of(generic)) {
            describe(*ip, port_of(address), ends.client, ends.client_port);
            ends.trusted = proxies.trusts(*ip);
        }
    }
    return ends;
}

}  // namespace ftm::engine
