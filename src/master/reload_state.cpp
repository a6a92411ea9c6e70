#include "master/reload_state.hpp"

#include <cstdio>
#include <sstream>

namespace ftm::master {
namespace {

constexpr const char* kVersion = "v1";

std::string hex(const std::string& text)
{
    std::string out = "x";
    for (const unsigned char c : text) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", c);
        out += digits;
    }
    return out;
}

std::string from_hex(const std::string& text)
{
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); i += 2) {
        out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    }
    return out;
}

}  // namespace

std::string encode(const ReloadState& state)
{
    std::ostringstream out;
    out << kVersion << ' ' << (state.daemonized ? 1 : 0);
    for (const InheritedHost& host : state.hosts) {
        out << ' ' << hex(host.pool) << ' ' << host.pid << ' ' << host.channel << ' ' << host.log_read;
    }
    return out.str();
}

ReloadState decode(const std::string& text)
{
    ReloadState state;
    std::istringstream in(text);
    std::string version;
    int daemonized = 0;
    if (!(in >> version >> daemonized) || version != kVersion) {
        return state;
    }
    state.daemonized = daemonized != 0;
    InheritedHost host;
    std::string name;
    while (in >> name >> host.pid >> host.channel >> host.log_read) {
        host.pool = from_hex(name);
        state.hosts.push_back(host);
    }
    return state;
}

}  // namespace ftm::master
