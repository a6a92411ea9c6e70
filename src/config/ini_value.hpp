// One line of a configuration file, read as Zend's INI scanner reads it in NORMAL mode: quotes, booleans, ${VAR},
// constants and integer expressions become plain strings. Pure apart from the injected lookups.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ftm::config {

// Where ${NAME} and bare constants get their values. Each may be empty.
struct ValueLookups {
    using Lookup = std::function<std::optional<std::string>(const std::string& name)>;
    Lookup ini;  // a directive given in php.ini or with -d; asked before the environment
    Lookup environment;
    Lookup constant;  // a PHP constant; asked before the built-in table (php_constants.hpp)
};

struct Statement {
    enum class Kind {
        section,      // [name]
        entry,        // name = value
        array_entry,  // name[key] = value
        bare_name,    // name, without '='
    };
    Kind kind = Kind::entry;
    std::string name;
    std::string key;
    std::string value;
    bool operator==(const Statement&) const = default;
};

struct ParsedLine {
    std::vector<Statement> statements;  // usually none or one; php-fpm acts on those before an error, too
    std::string error;                  // empty, or "syntax error, unexpected … in Unknown on line N"
};

// `line` is one physical line without its newline. php-fpm hands each to the scanner alone, so N counts from 1 within it.
[[nodiscard]] ParsedLine parse_ini_line(std::string_view line, const ValueLookups& lookups);

}  // namespace ftm::config
