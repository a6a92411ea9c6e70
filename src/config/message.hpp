// A line that the configuration code wants logged. It never logs on its own: the caller knows where lines go.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace ftm::config {

struct Message {
    LogLevel level = LogLevel::error;
    std::string text;
    bool raw = false;  // to stderr as it stands: no timestamp, no level, no log file

    bool operator==(const Message&) const = default;
};

using Messages = std::vector<Message>;

}  // namespace ftm::config
