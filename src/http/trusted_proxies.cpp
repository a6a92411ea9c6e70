#include "http/trusted_proxies.hpp"

#include <algorithm>
#include <optional>

#include "base/words.hpp"
#include "http/text.hpp"

namespace ftm::http {
namespace {

std::string_view last_element(std::string_view list)
{
    const std::size_t comma = list.rfind(',');
    return trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
}

// ADDRESS, ADDRESS:PORT, [ADDRESS] or [ADDRESS]:PORT
std::string_view without_port(std::string_view text)
{
    if (text.starts_with('[')) {
        return text.substr(1, std::min(text.find(']'), text.size()) - 1);
    }
    const std::size_t colon = text.find(':');
    const bool one = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
    return one ? text.substr(0, colon) : text;
}

}  // namespace

TrustedProxies::TrustedProxies(std::string_view list, std::vector<std::string>& wrong)
{
    for (const std::string_view one : words(list, ", \t")) {
        if (one == "unix:") {
            unix_ = true;
        } else if (const std::optional<IpBlock> block = parse_ip_block(one)) {
            blocks_.push_back(*block);
        } else {
            wrong.emplace_back(one);
        }
    }
}

bool TrustedProxies::trusts(const in6_addr& address) const noexcept
{
    return std::any_of(blocks_.begin(), blocks_.end(), [&](const IpBlock& block) { return block.contains(address); });
}

Forwarded forwarded(const Head& head, const TrustedProxies& proxies)
{
    Forwarded out;
    std::string chain;
    for (const Field& field : head.fields) {
        if (equal_ignoring_case(field.name, "x-forwarded-for")) {
            chain.append(chain.empty() ? "" : ",").append(field.value);
        } else if (equal_ignoring_case(field.name, "x-forwarded-proto")) {
            out.proto = last_element(field.value);
        } else if (equal_ignoring_case(field.name, "x-forwarded-host")) {
            out.host = last_element(field.value);
        } else if (equal_ignoring_case(field.name, "x-forwarded-port")) {
            out.port = last_element(field.value);
        }
    }
    for (std::string_view rest = chain; !rest.empty();) {
        const std::size_t comma = rest.rfind(',');
        const std::optional<in6_addr> address = parse_ip(without_port(last_element(rest)));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(0, comma);
        if (!address) {
            break;
        }
        out.client = ip_text(*address);
        if (!proxies.trusts(*address)) {
            break;
        }
    }
    if (!equal_ignoring_case(out.proto, "http") && !equal_ignoring_case(out.proto, "https")) {
        out.proto = {};
    }
    if (!is_host(out.host)) {
        out.host = {};
    }
    if (out.port.empty() || out.port.size() > 5 || !std::all_of(out.port.begin(), out.port.end(), is_digit)) {
        out.port = {};
    }
    return out;
}

}  // namespace ftm::http
