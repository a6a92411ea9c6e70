// What post-processing asks the machine, so that tests need neither root nor real users.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace ftm::config {

enum class LogFile { error_log, access_log, slowlog };

struct Environment {
    bool running_as_root = false;
    std::function<bool(const std::string& path)> is_directory;
    // Opens O_WRONLY|O_APPEND|O_CREAT, mode 0600, and returns 0 or errno. The default closes the file again; a caller
    // that wants the descriptors puts its own function here. Not called for an error_log of "syslog".
    std::function<int(LogFile kind, const std::string& path)> open_log;
    // errno of the failed look-up (0 if it left none), or nothing if the name exists.
    std::function<std::optional<int>(const std::string& name)> missing_user;
    std::function<std::optional<int>(const std::string& name)> missing_group;
    std::function<std::optional<std::string>(const std::string& name)> variable;
};

[[nodiscard]] Environment system_environment();

}  // namespace ftm::config
