#include "engine/worker_routes.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace ftm::engine {
namespace {

constexpr std::int64_t kKnownForUs = 1'000'000;
constexpr std::size_t kMostKnown = 1024;

std::string_view value(const request::ParamTable& params, std::string_view name)
{
    const std::string_view* found = params.get(name);
    return found != nullptr ? *found : std::string_view();
}

// mod_proxy_fcgi: proxy:fcgi://HOST:PORT/PATH?QUERY (fpm_main.c: init_request_info())
std::string_view without_proxy(std::string_view path)
{
    for (const std::string_view scheme : {"proxy:fcgi://", "proxy:balancer://"}) {
        if (path.substr(0, scheme.size()) == scheme) {
            const std::size_t slash = path.find('/', scheme.size());
            path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
            return path.substr(0, path.find('?'));
        }
    }
    return path;
}

// The same file, also when what follows the script's name is PATH_INFO.
bool is_same_file(const std::string& script, std::string_view path)
{
    struct stat wanted{};
    if (path.empty() || path[0] != '/' || ::stat(script.c_str(), &wanted) != 0) {
        return false;
    }
    while (path.size() > 1) {
        struct stat found{};
        if (::stat(std::string(path).c_str(), &found) == 0) {
            return found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev && S_ISREG(found.st_mode);
        }
        path = path.substr(0, path.rfind('/'));
    }
    return false;
}

}  // namespace

bool WorkerRoutes::matches_prefix(std::string_view uri) const
{
    uri = uri.substr(0, uri.find('?'));
    return std::any_of(prefixes_.begin(), prefixes_.end(), [&](std::string_view prefix) {
        if (!prefix.empty() && prefix.back() == '*') {
            prefix.remove_suffix(1);
        }
        return uri.substr(0, prefix.size()) == prefix;
    });
}

bool WorkerRoutes::is_worker(const request::ParamTable& params, std::int64_t now_us)
{
    if (script_.empty()) {
        return false;
    }
    const std::string_view path = without_proxy(value(params, "SCRIPT_FILENAME"));
    if (path == script_) {
        return true;
    }
    // SCRIPT_NAME too: a front controller answers paths of which none begins with its own name.
    if (!prefixes_.empty() && (matches_prefix(value(params, "REQUEST_URI")) || matches_prefix(value(params, "SCRIPT_NAME")))) {
        return true;
    }
    std::string key(path);
    if (const auto it = known_.find(key); it != known_.end() && now_us < it->second.until_us) {
        return it->second.is_worker;
    }
    if (known_.size() >= kMostKnown) {
        known_.clear();
    }
    const bool is_worker = is_same_file(script_, path);
    known_[std::move(key)] = {now_us + kKnownForUs, is_worker};
    return is_worker;
}

}  // namespace ftm::engine
