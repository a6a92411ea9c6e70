#include "master/reload_state.hpp"

#include <charconv>
#include <cstdio>
#include <sstream>

namespace ftm::master {
namespace {

// The first two words are the same in every version.
constexpr const char* kVersion = "v2";
// What engines of two generations tell each other: Message's wire form and hand_over.cpp's. Another word: other forms.
constexpr const char* kHandOver = "connection4";

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

bool from_hex(const std::string& text, std::string& out)
{
    if (text.size() % 2 == 0 || text[0] != 'x') {
        return false;
    }
    out.clear();
    for (std::size_t i = 1; i < text.size(); i += 2) {
        unsigned char byte = 0;
        const char* end = text.data() + i + 2;
        if (std::from_chars(text.data() + i, end, byte, 16).ptr != end) {
            return false;
        }
        out += static_cast<char>(byte);
    }
    return true;
}

}  // namespace

std::string encode(const ReloadState& state)
{
    std::ostringstream out;
    out << kVersion << ' ' << (state.daemonized ? 1 : 0) << ' ' << kHandOver;
    for (const InheritedHost& host : state.hosts) {
        out << ' ' << hex(host.pool) << ' ' << host.pid << ' ' << host.channel << ' ' << host.log_read << ' '
            << (host.draining ? 1 : 0);
    }
    return out.str();
}

ReloadState decode(const std::string& text)
{
    ReloadState state;
    std::istringstream in(text);
    std::string version;
    int daemonized = 0;
    if (!(in >> version >> daemonized) || version.empty() || version[0] != 'v') {
        return state;
    }
    state.daemonized = daemonized != 0;
    std::string hand_over;
    if (version != kVersion || !(in >> hand_over)) {
        return state;
    }
    state.hands_over = hand_over == kHandOver;
    std::string name;
    while (in >> name) {
        InheritedHost host;
        int draining = 0;
        if (!from_hex(name, host.pool) || !(in >> host.pid >> host.channel >> host.log_read >> draining)) {
            state.hosts.clear();
            return state;
        }
        host.draining = draining != 0;
        state.hosts.push_back(host);
    }
    return state;
}

}  // namespace ftm::master
