// PHP constants that configuration files use without libphp being there to ask.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ftm::config {

// E_*, LOG_*, PHP_* that do not depend on the runtime, M_PI, M_E; true, false and null in any case.
[[nodiscard]] std::optional<std::string> php_constant(std::string_view name);

}  // namespace ftm::config
