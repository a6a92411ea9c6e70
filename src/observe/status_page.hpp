// The status page's formats (fpm_status.c: fpm_status_handle_request). Values; any thread.
#pragma once

#include <string>
#include <string_view>

#include "observe/pool_status.hpp"

namespace ftm::observe {

enum class StatusFormat { text, html, xml, json, openmetrics };

struct StatusQuery {
    StatusFormat format = StatusFormat::text;
    bool full = false;
};

// By the names in the query string, whatever their values, read as PHP reads them into $_GET.
[[nodiscard]] StatusQuery parse_status_query(std::string_view query_string);

// As php-fpm sets it, before PHP adds a charset.
[[nodiscard]] std::string_view content_type(StatusFormat format);

// `status` has its processes exactly when query.full.
[[nodiscard]] std::string status_body(const PoolStatus& status, StatusQuery query);

}  // namespace ftm::observe
