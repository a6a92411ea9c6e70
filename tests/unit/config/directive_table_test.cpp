#include "config/directive_table.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "config/ini_value.hpp"

namespace ftm::config {
namespace {

std::vector<std::string> shown(const Directive& directive, const void* owner)
{
    std::vector<std::string> lines;
    directive.show(owner, directive.name, lines);
    return lines;
}

TEST(DirectiveTable, names_each_directive_once)
{
    std::set<std::pair<Section, std::string>> names;
    for (const Directive& directive : directives()) {
        EXPECT_TRUE(names.insert({directive.section, std::string(directive.name)}).second) << directive.name;
        EXPECT_FALSE(directive.help.empty()) << directive.name;
        EXPECT_EQ(directive.help.back(), '.') << directive.name;
    }
}

TEST(DirectiveTable, states_the_defaults_that_the_structs_have)
{
    // What the structs leave open for post_process() to fill in.
    const std::set<std::string_view> later{"error_log", "syslog.ident", "log_level", "systemd_interval",
                                           "access.format", "ping.response", "security.limit_extensions"};
    for (const Directive& directive : directives()) {
        if (directive.default_text.empty()) {
            continue;
        }
        const ParsedLine line = parse_ini_line("x = " + std::string(directive.default_text), {});
        ASSERT_EQ(line.statements.size(), 1U) << directive.name;
        Global global;
        Pool pool;
        void* owner = directive.section == Section::global ? static_cast<void*>(&global) : &pool;
        const std::vector<std::string> before = shown(directive, owner);
        EXPECT_EQ(directive.parse(owner, "", line.statements[0].value), nullptr) << directive.name;
        if (later.count(directive.name) == 0) {
            EXPECT_EQ(shown(directive, owner), before) << directive.name;
        }
    }
}

TEST(DirectiveTable, finds_plain_names_in_any_case_and_array_names_exactly)
{
    ASSERT_NE(find_directive(Section::pool, "PM.Max_Children"), nullptr);
    EXPECT_EQ(find_directive(Section::pool, "PM.Max_Children")->name, "pm.max_children");
    EXPECT_EQ(find_directive(Section::global, "listen"), nullptr);
    EXPECT_EQ(find_directive(Section::pool, "env"), nullptr);
    EXPECT_NE(find_array_directive("env"), nullptr);
    EXPECT_EQ(find_array_directive("Env"), nullptr);
    EXPECT_EQ(find_array_directive("listen"), nullptr);
}

TEST(DirectiveTable, is_what_the_documentation_says)
{
    std::ifstream file(FTM_SOURCE_DIR "/docs/CONFIGURATION.md");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), directives_markdown())
        << "write it anew with php-fpm --print-config-docs";
}

TEST(DirectiveTable, shows_sizes_with_the_largest_unit_that_fits)
{
    const std::pair<const char*, const char*> kCases[] = {{"0", "0"},       {"1000", "1000"}, {"1024", "1K"},
                                                          {"1536m", "1536M"}, {"2048M", "2G"},  {"3k", "3K"}};
    for (const auto& [text, expected] : kCases) {
        std::int64_t size = -1;
        EXPECT_EQ(SizeValue::parse(text, size), nullptr) << text;
        EXPECT_EQ(SizeValue::show(size), expected) << text;
    }
    std::int64_t size = 7;
    for (const char* text : {"", "K", "-1", "1T", "1 M", "99999999999999999999", "1MM"}) {
        EXPECT_STREQ(SizeValue::parse(text, size), "invalid size value") << text;
    }
    EXPECT_EQ(size, 7);
}

}  // namespace
}  // namespace ftm::config
