// Writes configuration files into a directory of its own and reads them as the server would, on an imaginary machine.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "config/value_types.hpp"

namespace ftm::config {

class TempDir {
public:
    TempDir()
    {
        std::string name = (std::filesystem::temp_directory_path() / "ftm-config-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path(const std::string& name = "") const { return path_ + "/" + name; }

    std::string write(const std::string& name, const std::string& text) const
    {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }

private:
    std::string path_;
};

inline std::string shown(const Message& message)
{
    return message.raw ? message.text : std::string(level_name(message.level)) + ": " + message.text;
}

inline std::vector<std::string> shown(const Messages& messages)
{
    std::vector<std::string> lines;
    for (const Message& message : messages) {
        if (message.level != LogLevel::debug) {
            lines.push_back(shown(message));
        }
    }
    return lines;
}

// Root's machine with the directories and users that a test names; every log file opens.
struct Machine {
    std::set<std::string> directories{"/", "/tmp", "/srv", "/tmp//srv"};
    std::set<std::string> users{"www-data", "root"};
    std::set<std::string> unopenable;
    std::vector<std::string> opened;
    std::string watchdog;
    bool root = true;

    [[nodiscard]] Environment environment()
    {
        Environment environment;
        environment.running_as_root = root;
        environment.is_directory = [this](const std::string& path) { return directories.count(path) > 0; };
        environment.open_log = [this](LogFile, const std::string& path) {
            opened.push_back(path);
            return path.empty() || unopenable.count(path) > 0 ? 2 : 0;
        };
        const auto missing = [this](const std::string& name) {
            return users.count(name) > 0 ? std::optional<int>() : std::optional<int>(0);
        };
        environment.missing_user = missing;
        environment.missing_group = missing;
        environment.variable = [this](const std::string& name) {
            return name == "WATCHDOG_USEC" && !watchdog.empty() ? std::optional<std::string>(watchdog) : std::nullopt;
        };
        return environment;
    }
};

struct Outcome {
    Configuration configuration;
    std::vector<std::string> lines;  // without those about directives that have no effect yet

    [[nodiscard]] bool ok() const { return configuration.config.has_value(); }
    [[nodiscard]] const Global& global() const { return configuration.config->global; }
    [[nodiscard]] const Pool& pool(std::size_t index = 0) const { return configuration.config->pools.at(index); }
    [[nodiscard]] std::string all() const
    {
        std::string text;
        for (const std::string& line : lines) {
            text += line + "\n";
        }
        return text;
    }
};

inline Outcome read_text(const std::string& text, Machine& machine, Invocation invocation = {},
                         const ValueLookups& lookups = {})
{
    const TempDir directory;
    invocation.file = directory.write("php-fpm.conf", text);
    Outcome outcome;
    outcome.configuration = read_configuration(invocation, lookups, machine.environment());
    for (std::string line : shown(outcome.configuration.messages)) {
        if (line.find("in this version") != std::string::npos) {
            continue;
        }
        if (const std::size_t at = line.find(*invocation.file); at != std::string::npos) {
            line.replace(at, invocation.file->size(), "FILE");
        }
        outcome.lines.push_back(line);
    }
    return outcome;
}

inline Outcome read_text(const std::string& text)
{
    Machine machine;
    return read_text(text, machine);
}

inline const std::string kPool = "[www]\nlisten = /run/www.sock\nuser = www-data\npm = static\npm.max_children = 2\n";

}  // namespace ftm::config
