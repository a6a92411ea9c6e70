// What a connection through http.listen has beside its session's: the parser, who is at its other end, and what the
// request that is being received will be answered with. Belongs to the holder of the read right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/request_machine.hpp"
#include "http/trusted_proxies.hpp"

namespace ftm::engine {

// The two ends of a connection, as the kernel or a PROXY header names them; ports empty where there are none.
struct Ends {
    std::string client;  // "unix:" for a Unix socket's peer
    std::string client_port;
    std::string server;
    std::string server_port;
    bool trusted = false;  // the peer is one of http.trusted_proxies
};

// What a path of the document root is answered with.
struct HttpAnswer {
    enum class Kind : std::uint8_t { script, file, redirect, error };
    Kind kind = Kind::error;
    int status = 404;
    std::string file;         // file: its path; redirect: the Location
    std::string script_name;  // script: as parameters
    std::string script_file;
    std::string path_info;
};

struct HttpConnection {
    http::RequestMachine machine;
    Ends ends;
    bool begun = false;          // what comes first may be a PROXY header
    bool head_timed = false;     // the head that is coming has its deadline
    std::string start;           // bytes that may become a PROXY header
    HttpAnswer answer;

    void reset()
    {
        machine.reset();
        ends = Ends();
        begun = false;
        head_timed = false;
        start.clear();
        answer = HttpAnswer();
    }
};

// For another process of the same version.
[[nodiscard]] std::string save_http(const HttpConnection& connection);
[[nodiscard]] bool restore_http(std::string_view saved, HttpConnection& connection);

// What two ends the socket has.
[[nodiscard]] Ends ends_of(int fd, const http::TrustedProxies& proxies);

}  // namespace ftm::engine
