#include "engine/builtin_pages.hpp"

#include <vector>

#include "engine/clock.hpp"
#include "engine/request_log.hpp"
#include "engine/request_slot.hpp"
#include "engine/status_export.hpp"
#include "observe/status_page.hpp"

namespace ftm::engine {
namespace {

constexpr std::string_view kNoCache =
    "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: no-cache, no-store, must-revalidate, max-age=0\r\n";

struct Page {
    int status = 200;
    std::string headers;  // each with its CRLF
    std::string type;     // added by PHP when it sends them: not yet there when the request is logged
    std::string body;
    std::string error;
};

// The calling context works for this request, and the page it makes may show that.
class OnSlot {
public:
    OnSlot(observe::Slot* slot, const Job& job, const php::ResolvedScript& script)
        : slot_(slot != nullptr && slot->state.load() == static_cast<std::uint32_t>(observe::SlotState::idle) ? slot : nullptr)
    {
        if (slot_ == nullptr) { // none, or its own script goes on after fastcgi_finish_request()
            return;
        }
        show_request(*slot_, job, script, observe::SlotState::running);
    }
    ~OnSlot()
    {
        if (slot_ != nullptr) {
            slot_->duration_us.store(now_us() - slot_->accepted_us.load(std::memory_order_relaxed),
                                     std::memory_order_relaxed);
            slot_->cpu_duration_us.store(0, std::memory_order_relaxed);
            slot_->memory_peak.store(0, std::memory_order_relaxed);
            slot_->state.store(static_cast<std::uint32_t>(observe::SlotState::idle), std::memory_order_relaxed);
        }
    }
    OnSlot(const OnSlot&) = delete;
    OnSlot& operator=(const OnSlot&) = delete;

private:
    observe::Slot* const slot_;
};

bool takes_charset(std::string_view type, const PageHeaders& headers)
{
    return type.starts_with("text/") && !headers.charset.empty();
}

// What becomes of a "Content-Type:" in sapi_header_op(): a name with another capital, and no blank, if a charset is added.
std::string type_line(std::string_view type, const PageHeaders& headers)
{
    return takes_charset(type, headers) ? "Content-type: " + std::string(type) + ";charset=" + headers.charset + "\r\n"
                                        : "Content-Type: " + std::string(type) + "\r\n";
}

// sapi_get_default_content_type()
std::string default_type_line(const PageHeaders& headers)
{
    if (headers.type.empty()) {
        return {};
    }
    return "Content-type: " + headers.type + (takes_charset(headers.type, headers) ? "; charset=" + headers.charset : "") +
           "\r\n";
}

// The order of headers and HEAD's type are php-fpm's.
Page ping_page(const Core& core, bool head)
{
    Page page;
    page.headers.append(type_line("text/plain", core.settings.page_headers)).append(kNoCache);
    page.body = head ? "" : core.settings.pool->ping_response.value_or("pong");
    return page;
}

// php-fpm's page counts the child that makes it. Where the standby thread makes it, none of the contexts does, but a
// reader is not to see a pool in which nobody works.
void count_reader(observe::PoolStatus& status)
{
    if (status.figures.active == 0 && status.figures.idle > 0) {
        --status.figures.idle;
        ++status.figures.active;
    }
}

Page status_page(Core& core, bool head, const char* query_string, bool counts_reader)
{
    Page page;
    page.headers.append(kNoCache);
    if (head) {
        page.type = default_type_line(core.settings.page_headers);
        return page;
    }
    const observe::StatusQuery query =
        observe::parse_status_query(query_string != nullptr ? query_string : std::string_view());
    page.headers.append(type_line(observe::content_type(query.format), core.settings.page_headers));
    observe::PoolStatus status = pool_status(core, query.full);
    if (counts_reader) {
        count_reader(status);
    }
    page.body = observe::status_body(status, query);
    return page;
}

Page not_found(const Core& core)
{
    Page page;
    page.status = 404;
    page.type = default_type_line(core.settings.page_headers);
    page.body = "File not found.\n";
    page.error = "Primary script unknown";
    return page;
}

// The request's parameters as its script would find them; resolution changes what it works on.
request::ParamTable copy_of(const request::ParamTable& params)
{
    request::ParamTable copy;
    std::vector<std::pair<std::string_view, std::string_view>> entries;
    params.for_each([&](auto name, auto value) { entries.emplace_back(name, value); });
    for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
        copy.set(it->first, it->second);
    }
    return copy;
}

void log_page(const Core& core, const Session& session, const Job& job, const php::ResolvedScript& script, const Page& page)
{
    std::vector<std::string_view> lines;
    for (std::string_view rest = page.headers; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
        lines.push_back(rest.substr(0, rest.find('\r')));
    }
    const std::string peer = peer_for_log(core, session);
    RequestOutcome outcome;
    outcome.status = page.status;
    outcome.headers = lines;
    outcome.peer = peer;
    log_request(core, job, script, outcome);
}

}  // namespace

std::optional<BuiltinAnswer> builtin_page(Core& core, const Session& session, const Job& job, observe::Slot* slot)
{
    const config::Pool& pool = *core.settings.pool;
    const php::BuiltinPaths paths{pool.ping_path ? std::string_view(*pool.ping_path) : std::string_view(),
                                  pool.pm_status_path ? std::string_view(*pool.pm_status_path) : std::string_view()};
    const bool status_only = core.serves_status_only(session);
    if (!status_only &&
        ((paths.ping.empty() && paths.status.empty()) || !php::may_be_builtin_page(job.request.params, paths))) {
        return std::nullopt;
    }
    request::ParamTable params = copy_of(job.request.params);
    const php::ResolvedScript script = php::resolve_script(params, {}, php::system_file_probe());
    const php::BuiltinPage wanted = php::builtin_page(script, paths);
    if (wanted == php::BuiltinPage::none && !status_only) {
        return std::nullopt;
    }
    const bool head = script.request_method != nullptr && std::string_view(script.request_method) == "HEAD";
    // What comes through pm.status_listen is another pool's in php-fpm: neither counted nor logged here.
    const OnSlot on_slot(status_only ? nullptr : slot, job, script);
    Page page = wanted == php::BuiltinPage::ping     ? ping_page(core, head)
                : wanted == php::BuiltinPage::status ? status_page(core, head, script.query_string, !status_only)
                                                     : not_found(core);
    page.headers.insert(0, core.settings.page_headers.x_powered_by);
    if (!status_only) {
        log_page(core, session, job, script, page);
    }
    BuiltinAnswer answer;
    answer.out = (page.status == 200 ? "" : "Status: 404 Not Found\r\n") + page.headers + page.type + "\r\n" + page.body;
    answer.err = std::move(page.error);
    return answer;
}

}  // namespace ftm::engine
