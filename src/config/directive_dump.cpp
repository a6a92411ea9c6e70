// What the directive table prints: the dump of -tt, the documentation, the sample files, the list of directives without
// effect.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "config/directive_table.hpp"

namespace ftm::config {
namespace {

void dump_section(Section section, const void* owner, std::vector<std::string>& lines)
{
    std::vector<std::string> shown;
    for (const Directive& directive : directives()) {
        if (directive.section == section && directive.dumped) {
            directive.show(owner, directive.name, shown);
        }
    }
    for (const std::string& line : shown) {
        lines.push_back("\t" + line);
    }
    lines.emplace_back(" ");
}

std::vector<std::string> shown(const Directive& directive, const void* owner)
{
    std::vector<std::string> lines;
    directive.show(owner, directive.name, lines);
    return lines;
}

void collect_without_effect(Section section, const void* owner, const void* defaults, const std::string& where,
                            std::vector<std::string>& sentences)
{
    for (const Directive& directive : directives()) {
        if (directive.section == section && !directive.acting && shown(directive, owner) != shown(directive, defaults)) {
            sentences.push_back(where + "'" + std::string(directive.name) +
                                "' is checked but has no effect in this version");
        }
    }
}

struct SampleValue {
    std::string_view name;
    std::string_view value;
};

// The lines of the sample files that are not comments.
constexpr std::array kGlobalValues{
    SampleValue{"pid", "/run/php/php8.4-fpm.pid"},
    SampleValue{"error_log", "/var/log/php8.4-fpm.log"},
};
constexpr std::array kPoolValues{
    SampleValue{"user", "www-data"},
    SampleValue{"group", "www-data"},
    SampleValue{"listen", "/run/php/php8.4-fpm.sock"},
    SampleValue{"listen.owner", "www-data"},
    SampleValue{"listen.group", "www-data"},
    SampleValue{"pm", "static"},
    SampleValue{"pm.max_children", "5"},
};

template <std::size_t N>
std::string sample_line(const Directive& directive, const std::array<SampleValue, N>& values)
{
    const std::string name(directive.name);
    for (const SampleValue& sample : values) {
        if (sample.name == directive.name) {
            return name + " = " + std::string(sample.value) + "\n";
        }
    }
    if (directive.is_array) {
        return ";" + name + (directive.has_key ? "[NAME] = value\n" : "[] = /path\n");
    }
    return ";" + name + " =" + (directive.default_text.empty() ? "" : " ") + std::string(directive.default_text) + "\n";
}

void append_table(Section section, bool own, std::string& text)
{
    text += "| directive | type | default | meaning |\n|---|---|---|---|\n";
    for (const Directive& directive : directives()) {
        if (directive.section != section || directive.own != own) {
            continue;
        }
        std::string name(directive.name);
        if (directive.is_array) {
            name += directive.has_key ? "[NAME]" : "[]";
        }
        text += "| `" + name + "` | " + directive.type + " | ";
        text += directive.default_text.empty() ? "–" : "`" + std::string(directive.default_text) + "`";
        text += " | " + std::string(directive.help) + (directive.acting ? "" : " *No effect yet.*") + " |\n";
    }
    text += "\n";
}

}  // namespace

std::vector<std::string> dump(const Config& config)
{
    std::vector<std::string> lines{"[global]"};
    dump_section(Section::global, &config.global, lines);
    for (const Pool& pool : config.pools) {
        lines.push_back("[" + pool.name + "]");
        dump_section(Section::pool, &pool, lines);
    }
    return lines;
}

std::vector<std::string> without_effect(const Config& config)
{
    const Global global_defaults;
    const Pool pool_defaults;
    std::vector<std::string> sentences;
    collect_without_effect(Section::global, &config.global, &global_defaults, "", sentences);
    for (const Pool& pool : config.pools) {
        const std::string where = "[pool " + pool.name + "] ";
        collect_without_effect(Section::pool, &pool, &pool_defaults, where, sentences);
    }
    return sentences;
}

std::string sample_file(Section section)
{
    std::string text =
        section == Section::global
            ? "; php-ftm configuration. Commented lines show the defaults. docs/CONFIGURATION.md explains the values.\n"
              "; Relative paths start at the installation prefix, or at the directory given with -p.\n\n"
              "[global]\n"
            : "; A pool: scripts that run as one user, behind one listening socket. $pool stands for the pool's name.\n"
              "; Commented lines show the defaults.\n\n"
              "[www]\n";
    for (const Directive& directive : directives()) {
        if (directive.section == section) {
            text += "\n; " + std::string(directive.help) + "\n";
            text += section == Section::global ? sample_line(directive, kGlobalValues)
                                               : sample_line(directive, kPoolValues);
        }
    }
    if (section == Section::global) {
        text += "\n; Each file of this directory is a pool.\ninclude = /etc/php/8.4/fpm/pool.d/*.conf\n";
    }
    return text;
}

std::string directives_markdown()
{
    std::string text =
        "# Configuration\n\n"
        "<!-- Written by `php-fpm --print-config-docs` from src/config/directives.inc; do not edit. -->\n\n"
        "php-ftm reads php-fpm's files: `php-fpm.conf` with a `[global]` section and one section per pool, usually in\n"
        "`pool.d/*.conf` through `include`. Directives marked *No effect yet* are checked like all others; setting one\n"
        "gives a NOTICE at start.\n\n";
    text += "## [global]\n\n";
    append_table(Section::global, /*own=*/false, text);
    text += "Not in php-fpm:\n\n";
    append_table(Section::global, /*own=*/true, text);
    text += "## Pools\n\n";
    append_table(Section::pool, /*own=*/false, text);
    text += "Not in php-fpm:\n\n";
    append_table(Section::pool, /*own=*/true, text);
    return text;
}

}  // namespace ftm::config
