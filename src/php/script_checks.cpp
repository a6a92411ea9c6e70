// What follows the resolution of a script: extension, ping and status; and the file probe of a real system.
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <array>

#include "php/script_resolution.hpp"

namespace ftm::php {

FileProbe system_file_probe() noexcept
{
    FileProbe probe;
    probe.is_regular_file = [](const char* path, void*) noexcept {
        struct stat info;
        return ::stat(path, &info) == 0 && S_ISREG(info.st_mode);
    };
    probe.exists = [](const char* path, void*) noexcept {
        std::array<char, PATH_MAX> resolved;
        return ::realpath(path, resolved.data()) != nullptr;
    };
    return probe;
}

bool extension_allowed(std::string_view path, std::span<const std::string> extensions) noexcept
{
    if (extensions.empty()) {
        return true;
    }
    for (const std::string& extension : extensions) {
        if (path.size() > extension.size() && path.ends_with(extension)) {
            return true;
        }
    }
    return false;
}

BuiltinPage builtin_page(const ResolvedScript& script, const BuiltinPaths& paths) noexcept
{
    if (script.request_method == nullptr || script.request_uri == nullptr) {
        return BuiltinPage::none;
    }
    if (!paths.ping.empty() && paths.ping == script.request_uri) {
        return BuiltinPage::ping;
    }
    if (!paths.status.empty() && paths.status == script.request_uri) {
        return BuiltinPage::status;
    }
    return BuiltinPage::none;
}

bool may_be_builtin_page(const request::ParamTable& params, const BuiltinPaths& paths) noexcept
{
    // request_uri becomes SCRIPT_NAME, PATH_INFO or REDIRECT_URL, or a front part of the first two. Only for IIS it
    // can be the end of PATH_INFO.
    constexpr std::array<std::string_view, 3> kSources = {"SCRIPT_NAME", "PATH_INFO", "REDIRECT_URL"};
    if (!params.contains("REQUEST_METHOD")) {
        return false;
    }
    const std::string_view* software = params.get("SERVER_SOFTWARE");
    const bool iis = software != nullptr && software->starts_with("Microsoft-IIS");
    for (const std::string_view source : kSources) {
        const std::string_view* value = params.get(source);
        if (value == nullptr) {
            continue;
        }
        for (const std::string_view path : {paths.ping, paths.status}) {
            if (!path.empty() && (value->starts_with(path) || (iis && value->find(path) != std::string_view::npos))) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace ftm::php
