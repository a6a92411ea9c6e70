// Checks access.format as php-fpm does before it starts: each %-token, its {modifier}, and their combination.
#pragma once

#include <optional>
#include <string>

namespace ftm::config {

// Nothing, or php-fpm's WARNING about the first mistake.
[[nodiscard]] std::optional<std::string> access_format_problem(const std::string& format);

}  // namespace ftm::config
