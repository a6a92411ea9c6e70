// The status page's figures for Prometheus (fpm_status.c: fpm_status_handle_request, ?openmetrics). Values; any thread.
#pragma once

#include <string>

#include "observe/pool_status.hpp"

namespace ftm::observe {

[[nodiscard]] std::string openmetrics_page(const PoolStatus& status);

}  // namespace ftm::observe
