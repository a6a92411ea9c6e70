// The status page's query string as PHP would register it in $_GET.
#include "observe/status_page.hpp"

#include <algorithm>

namespace ftm::observe {
namespace {

int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The name under which PHP registers one "name=value": decoded, without leading blanks, cut at a NUL and at '['.
std::string variable_name(std::string_view pair)
{
    const std::string_view raw = pair.substr(0, pair.find('='));
    std::string name;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const bool escape = raw[i] == '%' && i + 2 < raw.size() && hex_digit(raw[i + 1]) >= 0 && hex_digit(raw[i + 2]) >= 0;
        if (escape) {
            name += static_cast<char>(hex_digit(raw[i + 1]) * 16 + hex_digit(raw[i + 2]));
            i += 2;
        } else {
            name += raw[i] == '+' ? ' ' : raw[i];
        }
    }
    name.resize(std::min(name.find('\0'), name.size()));
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    if (const std::size_t bracket = name.find('['); bracket != std::string::npos && name.find(']', bracket) != std::string::npos) {
        name.resize(bracket);
    }
    return name;
}

}  // namespace

StatusQuery parse_status_query(std::string_view query_string)
{
    bool full = false, html = false, xml = false, json = false, openmetrics = false;
    while (!query_string.empty()) {
        const std::size_t end = std::min(query_string.find('&'), query_string.size());
        const std::string name = variable_name(query_string.substr(0, end));
        query_string.remove_prefix(std::min(end + 1, query_string.size()));
        full = full || name == "full";
        html = html || name == "html";
        xml = xml || name == "xml";
        json = json || name == "json";
        openmetrics = openmetrics || name == "openmetrics";
    }
    StatusQuery query;
    query.full = full && (html || xml || json || !openmetrics); // it changes nothing there
    query.format = html          ? StatusFormat::html
                   : xml         ? StatusFormat::xml
                   : json        ? StatusFormat::json
                   : openmetrics ? StatusFormat::openmetrics
                                 : StatusFormat::text;
    return query;
}

}  // namespace ftm::observe
