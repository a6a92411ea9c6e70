#include "config/config.hpp"

#include <cstdlib>

namespace ftm::config {

unsigned Pool::listen_mode_bits() const
{
    if (!listen_mode || listen_mode->empty()) {
        return 0660;
    }
    return static_cast<unsigned>(std::strtoul(listen_mode->c_str(), nullptr, 8));
}

std::string expand_env_value(const std::string& value)
{
    if (value.empty() || value[0] != '$') {
        return value;
    }
    const char* variable = std::getenv(value.c_str() + 1);
    return variable == nullptr ? std::string() : variable;
}

}  // namespace ftm::config
