// A request's target as a path in the document root, as nginx's $uri: %XX decoded, slashes merged, dots resolved.
// Pure. Threads: any.
#pragma once

#include <string>
#include <string_view>

namespace ftm::http {

struct Target {
    std::string path;        // begins with a slash; never has a "." or ".." part, or a NUL
    std::string_view query;  // behind the "?", as it was sent
};

// `target` in origin-form. False: it leads out of the root, or is not well-formed (400).
[[nodiscard]] bool parse_target(std::string_view target, Target& out);

// For a Location header: everything but what a path may have is encoded.
[[nodiscard]] std::string encode_path(std::string_view path);

}  // namespace ftm::http
