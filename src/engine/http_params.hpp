// The parameters that nginx with its fastcgi_params would pass for an HTTP request (ngx_http_fastcgi_create_request).
#pragma once

#include "engine/http_connection.hpp"
#include "http/head.hpp"
#include "http/target.hpp"
#include "http/trusted_proxies.hpp"
#include "request/param_table.hpp"

namespace ftm::engine {

struct HttpRequestFacts {
    const http::Head& head;
    const http::Target& target;
    const Ends& ends;
    const HttpAnswer& answer;
    const http::TrustedProxies& proxies;  // looked at only if the peer is one
    std::string_view document_root;
};

void set_http_params(request::ParamTable& params, const HttpRequestFacts& facts);

}  // namespace ftm::engine
