#include "engine/builtin_pages.hpp"

#include "observe/status_page.hpp"

namespace ftm::engine {
namespace {

constexpr std::string_view kNoCache =
    "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: no-cache, no-store, must-revalidate, max-age=0\r\n";

constexpr std::string_view kPlain = "Content-type: text/plain;charset=UTF-8\r\n";
constexpr std::string_view kDefaultType = "Content-type: text/html; charset=UTF-8\r\n";

// The order of headers and HEAD's type are php-fpm's.
std::string ping_page(Core& core, bool head)
{
    std::string out = core.settings.x_powered_by;
    out.append(kPlain).append(kNoCache).append("\r\n");
    return head ? out : out + core.settings.pool->ping_response.value_or("pong");
}

std::string status_page(Core& core, bool head)
{
    std::string out = core.settings.x_powered_by;
    out.append(kNoCache).append(head ? kDefaultType : kPlain).append("\r\n");
    return head ? out : out + observe::status_text(core.board, "static", core.idle.queued());
}

}  // namespace

std::optional<std::string> builtin_page(Core& core, const request::Request& request)
{
    const config::Pool& pool = *core.settings.pool;
    const php::BuiltinPaths paths{pool.ping_path ? std::string_view(*pool.ping_path) : std::string_view(),
                                  pool.pm_status_path ? std::string_view(*pool.pm_status_path) : std::string_view()};
    if ((paths.ping.empty() && paths.status.empty()) || !php::may_be_builtin_page(request.params, paths)) {
        return std::nullopt;
    }
    request::ParamTable copy; // resolution changes what it works on
    std::vector<std::pair<std::string_view, std::string_view>> entries;
    request.params.for_each([&](auto name, auto value) { entries.emplace_back(name, value); });
    for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
        copy.set(it->first, it->second);
    }
    const php::ResolvedScript script = php::resolve_script(copy, {}, php::system_file_probe());
    const bool head = script.request_method != nullptr && std::string_view(script.request_method) == "HEAD";
    switch (php::builtin_page(script, paths)) {
        case php::BuiltinPage::ping:
            return ping_page(core, head);
        case php::BuiltinPage::status:
            return status_page(core, head);
        case php::BuiltinPage::none:
            break;
    }
    return std::nullopt;
}

}  // namespace ftm::engine
