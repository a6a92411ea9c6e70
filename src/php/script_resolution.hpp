// From FastCGI parameters to the script: what php-fpm's init_request_info() makes of SCRIPT_FILENAME, PATH_INFO and
// their relatives, bug for bug (docs/COMPATIBILITY.md), plus the checks that follow it. Knows no libphp.
// Changes the ParamTable as php-fpm changes its environment: ORIG_* parameters appear, replaced ones get new values.
// Threads: any; all memory belongs to the table, so every pointer in ResolvedScript is valid until table.clear().
// Errors: none of its own; "no such script" is path_translated == nullptr.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "request/param_table.hpp"

namespace ftm::php {

struct ScriptSettings {
    bool fix_pathinfo = true;   // cgi.fix_pathinfo
    bool discard_path = false;  // cgi.discard_path
    std::string_view doc_root;  // ini doc_root; empty: not set
};

// The two questions php-fpm asks of the file system. The engine gives PHP's own tsrm_realpath() for `exists`, so that
// the realpath cache answers; tests give a list.
struct FileProbe {
    bool (*is_regular_file)(const char* path, void* context) noexcept;  // stat(), follows links
    bool (*exists)(const char* path, void* context) noexcept;           // realpath() succeeds
    void* context = nullptr;
};

// stat(2) and realpath(3).
[[nodiscard]] FileProbe system_file_probe() noexcept;

// What SG(request_info) gets. C strings, nullptr where PHP has NULL.
struct ResolvedScript {
    const char* request_method = nullptr;
    const char* query_string = nullptr;
    const char* content_type = nullptr;     // "" when a script is named without one
    const char* request_uri = nullptr;      // what status and ping paths are compared with
    const char* path_translated = nullptr;  // nullptr: 404 "File not found."
    const char* authorization = nullptr;    // HTTP_AUTHORIZATION, for php_handle_auth_data()
    long long content_length = 0;           // atol() of CONTENT_LENGTH
    int response_code = 200;                // 404 when stripping path components found no file
};

[[nodiscard]] ResolvedScript resolve_script(request::ParamTable& params, const ScriptSettings& settings,
                                            const FileProbe& files);

// security.limit_extensions: true if path ends in one of them and is longer than it, or the list is empty.
[[nodiscard]] bool extension_allowed(std::string_view path, std::span<const std::string> extensions) noexcept;

enum class BuiltinPage { none, ping, status };

// pm.status_path and ping.path of the pool; empty: not set.
struct BuiltinPaths {
    std::string_view ping;
    std::string_view status;
};

// The page a resolved request asks for. Needs a REQUEST_METHOD, any will do.
[[nodiscard]] BuiltinPage builtin_page(const ResolvedScript& script, const BuiltinPaths& paths) noexcept;

// False: the request cannot be for such a page, whatever resolve_script() will make of it. Touches no file, changes
// nothing; for the thread that reads requests.
[[nodiscard]] bool may_be_builtin_page(const request::ParamTable& params, const BuiltinPaths& paths) noexcept;

}  // namespace ftm::php
