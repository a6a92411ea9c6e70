// Two of PHP's rules about paths as text. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

namespace ftm::php {

// What php_raw_url_decode() does: only %XX is decoded, '+' stays. The result may hold NULs.
[[nodiscard]] std::string raw_url_decode(std::string_view text);

// False if ".." is a whole component of path.
[[nodiscard]] bool is_valid_path(std::string_view path) noexcept;

}  // namespace ftm::php
