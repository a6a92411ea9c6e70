#include "engine/http_params.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "http/text.hpp"

namespace ftm::engine {
namespace {

// Fields whose name has anything but letters, digits and hyphens are not passed, as in nginx: an underscore would look
// like a hyphen. "Proxy" is not: HTTP_PROXY means something to programs.
bool passes(std::string_view name)
{
    return std::all_of(name.begin(), name.end(), [](char c) { return http::is_alphanumeric(c) || c == '-'; }) &&
           !http::equal_ignoring_case(name, "proxy");
}

std::string_view without_port(std::string_view host)
{
    const std::size_t colon = host.rfind(':');
    return colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos ? host.substr(0, colon) : host;
}

std::string_view port_of(std::string_view host)
{
    const std::string_view name = without_port(host);
    return name.size() < host.size() ? host.substr(name.size() + 1) : std::string_view();
}

std::string_view value_of(const http::Head& head, std::string_view name)
{
    for (const http::Field& field : head.fields) {
        if (http::equal_ignoring_case(field.name, name)) {
            return field.value;
        }
    }
    return {};
}

void set_fields(request::ParamTable& params, const http::Head& head)
{
    std::string name;
    for (const http::Field& field : head.fields) {
        if (!passes(field.name)) {
            continue;
        }
        name = "HTTP_";
        for (const char c : field.name) {
            name.push_back(c == '-' ? '_' : http::upper(c));
        }
        if (const std::string_view* before = params.get(name)) { // as nginx since 1.23
            const std::string_view comma = name == "HTTP_COOKIE" ? "; " : ", ";
            params.set(name, std::string(*before).append(comma).append(field.value));
        } else {
            params.set(name, field.value);
        }
    }
}

}  // namespace

void set_http_params(request::ParamTable& params, const HttpRequestFacts& facts)
{
    const http::Head& head = facts.head;
    const http::Forwarded said = facts.ends.trusted ? http::forwarded(head, facts.proxies) : http::Forwarded();
    const bool https = http::equal_ignoring_case(said.proto, "https");
    const std::string_view host = said.host.empty() ? head.host : said.host;
    std::string_view port = said.port;
    if (port.empty() && !(said.host.empty() && said.proto.empty())) { // the front's, not the one it has connected to
        port = port_of(host);
        port = port.empty() ? (https ? "443" : "80") : port;
    }
    if (port.empty()) {
        port = facts.ends.server_port;
    }
    std::size_t bytes = 1024 + facts.document_root.size();
    for (const http::Field& field : head.fields) {
        bytes += field.name.size() + field.value.size() + 8;
    }
    params.reserve(bytes + 3 * head.target.size());

    params.set("FCGI_ROLE", "RESPONDER"); // what php-fpm's scripts find there
    params.set("SCRIPT_FILENAME", facts.answer.script_file);
    params.set("QUERY_STRING", facts.target.query);
    params.set("REQUEST_METHOD", head.method);
    params.set("CONTENT_TYPE", value_of(head, "content-type"));
    params.set("CONTENT_LENGTH", value_of(head, "content-length"));
    params.set("SCRIPT_NAME", facts.answer.script_name);
    params.set("REQUEST_URI", head.target);
    params.set("DOCUMENT_URI", facts.answer.script_name + facts.answer.path_info);
    params.set("DOCUMENT_ROOT", facts.document_root);
    params.set("SERVER_PROTOCOL", head.http10 ? "HTTP/1.0" : "HTTP/1.1");
    params.set("REQUEST_SCHEME", https ? "https" : "http");
    if (https) {
        params.set("HTTPS", "on");
    }
    params.set("GATEWAY_INTERFACE", "CGI/1.1");
    params.set("SERVER_SOFTWARE", "php-ftm");
    params.set("REMOTE_ADDR", said.client.empty() ? facts.ends.client : said.client);
    params.set("REMOTE_PORT", said.client.empty() ? std::string_view(facts.ends.client_port) : std::string_view());
    params.set("SERVER_ADDR", facts.ends.server);
    params.set("SERVER_PORT", port);
    params.set("SERVER_NAME", host.empty() ? std::string_view(facts.ends.server) : without_port(host));
    params.set("REDIRECT_STATUS", "200");
    if (!facts.answer.path_info.empty()) {
        params.set("PATH_INFO", facts.answer.path_info);
    }
    set_fields(params, head);
    if (!said.host.empty()) {
        params.set("HTTP_HOST", said.host);
    }
}

}  // namespace ftm::engine
