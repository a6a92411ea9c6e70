// The user of an Authorization header as php_handle_auth_data() finds it, without PHP: for scoreboard and access log.
#pragma once

#include <string>

namespace ftm::php {

// Empty: no Basic authentication, or no ':' behind the name. The header may be nullptr.
[[nodiscard]] std::string basic_auth_user(const char* authorization);

}  // namespace ftm::php
