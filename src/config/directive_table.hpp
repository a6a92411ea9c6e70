// The one table of directives. Parsing, the dump of -tt, the NOTICE about directives without effect, the documentation
// and the test of the sample files all come from its rows.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/value_types.hpp"

namespace ftm::config {

enum class Section { global, pool };

struct Directive {
    Section section;
    std::string_view name;
    const char* type;               // for people
    std::string_view default_text;  // as one would write it; empty: none
    bool is_array;                  // name[key] = value
    bool has_key;                   // of an array: env[K], but not access.suppress_path[]
    bool expands_pool;              // $pool in the value stands for the pool's name
    bool acting;                    // false: known and checked, but without effect yet
    bool own;                       // php-fpm does not have it
    bool dumped;                    // shown by -tt
    std::string_view help;

    // `owner` is a Global or a Pool, as `section` says. `key` is empty unless has_key.
    ValueError (*parse)(void* owner, const std::string& key, const std::string& value);
    // Appends "name = value" (arrays: one line per entry, perhaps none).
    void (*show)(const void* owner, std::string_view name, std::vector<std::string>& lines);
};

// In the order of -tt: php-fpm's own order, then our directives.
[[nodiscard]] std::span<const Directive> directives();

// Plain names match in any case, array names exactly, as in php-fpm. Null if there is none.
[[nodiscard]] const Directive* find_directive(Section section, std::string_view name);
[[nodiscard]] const Directive* find_array_directive(std::string_view name);

// The text of docs/CONFIGURATION.md.
[[nodiscard]] std::string directives_markdown();

// The text of etc/php-fpm.conf and etc/pool.d/www.conf: every directive with its meaning, most of them as comments.
[[nodiscard]] std::string sample_file(Section section);

// What -tt prints, line by line.
[[nodiscard]] std::vector<std::string> dump(const Config& config);

// One sentence per directive that is set to something other than its default and has no effect yet. Takes the
// configuration as loaded, before post_process() fills in defaults.
[[nodiscard]] std::vector<std::string> without_effect(const Config& config);

}  // namespace ftm::config
