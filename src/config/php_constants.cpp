#include "config/php_constants.hpp"

#include <array>

#include "config/text.hpp"

namespace ftm::config {
namespace {

struct Constant {
    std::string_view name;
    std::string_view value;
};

constexpr std::array kConstants{
    Constant{"E_ALL", "30719"},
    Constant{"E_COMPILE_ERROR", "64"},
    Constant{"E_COMPILE_WARNING", "128"},
    Constant{"E_CORE_ERROR", "16"},
    Constant{"E_CORE_WARNING", "32"},
    Constant{"E_DEPRECATED", "8192"},
    Constant{"E_ERROR", "1"},
    Constant{"E_NOTICE", "8"},
    Constant{"E_PARSE", "4"},
    Constant{"E_RECOVERABLE_ERROR", "4096"},
    Constant{"E_STRICT", "2048"},
    Constant{"E_USER_DEPRECATED", "16384"},
    Constant{"E_USER_ERROR", "256"},
    Constant{"E_USER_NOTICE", "1024"},
    Constant{"E_USER_WARNING", "512"},
    Constant{"E_WARNING", "2"},
    Constant{"DIRECTORY_SEPARATOR", "/"},
    Constant{"LOG_ALERT", "1"},
    Constant{"LOG_AUTH", "32"},
    Constant{"LOG_CRIT", "2"},
    Constant{"LOG_DAEMON", "24"},
    Constant{"LOG_DEBUG", "7"},
    Constant{"LOG_EMERG", "0"},
    Constant{"LOG_ERR", "3"},
    Constant{"LOG_INFO", "6"},
    Constant{"LOG_LOCAL0", "128"},
    Constant{"LOG_NOTICE", "5"},
    Constant{"LOG_USER", "8"},
    Constant{"LOG_WARNING", "4"},
    Constant{"M_E", "2.718281828459"},
    Constant{"M_PI", "3.1415926535898"},
    Constant{"PATH_SEPARATOR", ":"},
    Constant{"PHP_DEBUG", "0"},
    Constant{"PHP_EOL", "\n"},
    Constant{"PHP_INT_MAX", "9223372036854775807"},
    Constant{"PHP_INT_MIN", "-9223372036854775808"},
    Constant{"PHP_INT_SIZE", "8"},
    Constant{"PHP_MAXPATHLEN", "4096"},
    Constant{"PHP_OS", "Linux"},
    Constant{"PHP_OS_FAMILY", "Linux"},
    Constant{"PHP_SAPI", "fpm-fcgi"},
};

}  // namespace

std::optional<std::string> php_constant(std::string_view name)
{
    for (const Constant& constant : kConstants) {
        if (constant.name == name) {
            return std::string(constant.value);
        }
    }
    if (equals_ignoring_case(name, "true")) {
        return "1";
    }
    if (equals_ignoring_case(name, "false") || equals_ignoring_case(name, "null")) {
        return "";
    }
    return std::nullopt;
}

}  // namespace ftm::config
