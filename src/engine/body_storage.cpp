#include "engine/body_storage.hpp"

#include <strings.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace ftm::engine {
namespace {

std::string_view value(const request::ParamTable& params, std::string_view name)
{
    const std::string_view* found = params.get(name);
    return found != nullptr ? *found : std::string_view();
}

bool starts_with_ignoring_case(std::string_view text, std::string_view start)
{
    return text.size() >= start.size() && ::strncasecmp(text.data(), start.data(), start.size()) == 0;
}

bool is_form(const request::ParamTable& params)
{
    const std::string_view type = value(params, "CONTENT_TYPE");
    return value(params, "REQUEST_METHOD") == "POST" &&
           (starts_with_ignoring_case(type, "application/x-www-form-urlencoded") ||
            starts_with_ignoring_case(type, "multipart/form-data"));
}

// A .user.ini anywhere above the script might raise the limit; whether it does is PHP's business.
bool has_user_ini(const std::string& name, std::string_view script)
{
    if (script.empty() || script[0] != '/') {
        return true;
    }
    for (std::size_t slash = script.rfind('/');; slash = script.rfind('/', slash - 1)) {
        const std::string path = std::string(script.substr(0, slash + 1)) + name;
        if (::access(path.c_str(), F_OK) == 0) {
            return true;
        }
        if (slash == 0) {
            return false;
        }
    }
}

bool may_be_raised(const php::BodyPolicy& policy, const request::ParamTable& params)
{
    const auto names_it = [&](std::string_view param) {
        return value(params, param).find("post_max_size") != std::string_view::npos;
    };
    if (names_it("PHP_ADMIN_VALUE")) {
        return true;
    }
    if (policy.is_fixed) {
        return false;
    }
    return policy.per_directory || names_it("PHP_VALUE") ||
           (!policy.user_ini.empty() && has_user_ini(policy.user_ini, value(params, "SCRIPT_FILENAME")));
}

}  // namespace

request::BodyLimits body_limits(const php::BodyPolicy& policy, const request::ParamTable& params)
{
    request::BodyLimits limits;
    limits.spool_dir = policy.spool_directory.c_str();
    const std::string_view length = value(params, "CONTENT_LENGTH");
    std::int64_t announced = 0;
    std::from_chars(length.data(), length.data() + length.size(), announced);
    if (policy.post_max_size > 0 && announced > policy.post_max_size && is_form(params) &&
        !may_be_raised(policy, params)) {
        limits.store_limit = static_cast<std::uint64_t>(policy.post_max_size) + 1;
    }
    return limits;
}

}  // namespace ftm::engine
