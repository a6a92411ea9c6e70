// Rows for tests of the script resolution, and a file system made of a list.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "php/script_resolution.hpp"

namespace ftm::php::testing {

using request::ParamTable;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using Paths = std::vector<std::string>;

// A file system with these regular files and directories.
struct Files {
    Paths regular;
    Paths directories;

    [[nodiscard]] FileProbe probe()
    {
        FileProbe probe;
        probe.context = this;
        probe.is_regular_file = [](const char* path, void* context) noexcept {
            return has(static_cast<Files*>(context)->regular, path);
        };
        probe.exists = [](const char* path, void* context) noexcept {
            const auto* files = static_cast<Files*>(context);
            return has(files->regular, path) || has(files->directories, path);
        };
        return probe;
    }

    static bool has(const Paths& paths, const char* path)
    {
        return std::find(paths.begin(), paths.end(), path) != paths.end();
    }
};

struct Row {
    const char* name;
    Pairs sent;
    Pairs changed;  // against what was sent; the value "-" means deleted
    std::optional<std::string> request_uri;
    std::optional<std::string> path_translated;
    ScriptSettings settings = {};
};

inline const char* const kNone = "-";

inline Pairs parameters(const ParamTable& table)
{
    Pairs out;
    table.for_each([&](std::string_view name, std::string_view value) { out.emplace_back(name, value); });
    std::sort(out.begin(), out.end());
    return out;
}

inline ParamTable table_of(const Pairs& pairs)
{
    ParamTable table;
    for (const auto& [name, value] : pairs) {
        table.set(name, value);
    }
    return table;
}

inline std::optional<std::string> text(const char* c_string)
{
    return c_string != nullptr ? std::optional<std::string>(c_string) : std::nullopt;
}

inline void check(const Row& row)
{
    SCOPED_TRACE(row.name);
    Files files{{"/w/pi.php", "/w/sub/in.php", "/a.php", "/usr/bin/php-cgi"}, {"/w", "/w/sub", "/w/"}};
    ParamTable params = table_of(row.sent);
    const ResolvedScript script = resolve_script(params, row.settings, files.probe());

    ParamTable expected = table_of(row.sent);
    for (const auto& [name, value] : row.changed) {
        if (value == kNone) {
            expected.erase(name);
        } else {
            expected.set(name, value);
        }
    }
    EXPECT_EQ(parameters(params), parameters(expected));
    EXPECT_EQ(text(script.request_uri), row.request_uri);
    EXPECT_EQ(text(script.path_translated), row.path_translated);
}

inline constexpr ScriptSettings kNoFix{false, false, {}};
inline constexpr ScriptSettings kNoFixDiscard{false, true, {}};

}  // namespace ftm::php::testing
