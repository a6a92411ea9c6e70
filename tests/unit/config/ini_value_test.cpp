#include "config/ini_value.hpp"

#include <gtest/gtest.h>

#include <map>

namespace ftm::config {
namespace {

ValueLookups test_lookups()
{
    ValueLookups lookups;
    lookups.ini = [](const std::string& name) {
        return name == "memory_limit" ? std::optional<std::string>("32M") : std::nullopt;
    };
    lookups.environment = [](const std::string& name) {
        static const std::map<std::string, std::string> kVariables{{"HOME", "/home/x"}, {"memory_limit", "no"}};
        const auto found = kVariables.find(name);
        return found == kVariables.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
    lookups.constant = [](const std::string& name) {
        return name == "MY_CONSTANT" ? std::optional<std::string>("mine") : std::nullopt;
    };
    return lookups;
}

std::string value_of(const std::string& text)
{
    const ParsedLine parsed = parse_ini_line("key = " + text, test_lookups());
    if (!parsed.error.empty()) {
        return "error: " + parsed.error;
    }
    if (parsed.statements.size() != 1 || parsed.statements[0].kind != Statement::Kind::entry) {
        return "not one entry";
    }
    return parsed.statements[0].value;
}

TEST(IniValue, reads_values_as_php_does)
{
    const std::map<std::string, std::string> kCases{
        {"x", "x"},
        {"  x  ", "x"},
        {"x ; comment", "x"},
        {"x;c", "x"},
        {"; only a comment", ""},
        {"", ""},
        {"true", "1"},
        {"ON", "1"},
        {"Yes", "1"},
        {"false", ""},
        {"off", ""},
        {"no", ""},
        {"None", ""},
        {"null", ""},
        {"nullify", "nullify"},
        {"yes please", "error: syntax error, unexpected TC_CONSTANT in Unknown on line 1"},
        {"\"YES\"", "YES"},
        {"'a \"b\" ${HOME} \\n'", "a \"b\" ${HOME} \\n"},
        {"\"a\\\"b\\\\c\\$d\\n\"", "a\"b\\c$d\\n"},
        {"\"C:\\path\\\"", "C:\\path\\"},
        {"\"in ${HOME}!\"", "in /home/x!"},
        {"1e3 \"two\" three", "1e3twothree"},
        {"two  words", "two  words"},
        {"${HOME}/x", "/home/x/x"},
        {"${memory_limit}", "32M"},
        {"${NOT_SET}", ""},
        {"${NOT_SET:-a default}", "a default"},
        {"${NOT_SET:-${HOME}}", "/home/x"},
        {"${HOME:-unused}", "/home/x"},
        {"$HOME", "$HOME"},
        {"E_ALL", "30719"},
        {"E_ALL & ~E_NOTICE", "30711"},
        {"MY_CONSTANT x", "mine x"},
        {"PHP_OS", "Linux"},
        {"NO_SUCH_CONSTANT", "NO_SUCH_CONSTANT"},
        {"3 | 4", "7"},
        {"(1|2)", "3"},
        {"~0", "-1"},
        {"!5", "0"},
        {"!0", "1"},
        {"6 ^ 3", "5"},
        {"x=y", "error: syntax error, unexpected '=' in Unknown on line 1"},
        {"a & ", "error: syntax error, unexpected END_OF_LINE in Unknown on line 2"},
        {"(1", "error: syntax error, unexpected END_OF_LINE, expecting '^' or '|' or '&' or ')' in Unknown on line 2"},
        {"a!b", "error: syntax error, unexpected '!' in Unknown on line 1"},
        {"a%b@c:d/e,f{g}[h]#i\\j", "a%b@c:d/e,f{g}[h]#i\\j"},
        {"\"open",
         "error: syntax error, unexpected end of file, expecting TC_DOLLAR_CURLY or TC_QUOTED_STRING or '\"' in "
         "Unknown on line 2"},
        {"'open", "error: syntax error, unexpected end of file in Unknown on line 1"},
        {"${open", "error: syntax error, unexpected end of file, expecting TC_FALLBACK or '}' in Unknown on line 1"},
        {"x\r", "x"},
    };
    for (const auto& [text, expected] : kCases) {
        EXPECT_EQ(value_of(text), expected) << text;
    }
}

TEST(IniValue, keeps_values_of_any_length)
{
    const std::string text(10240, 'x');
    EXPECT_EQ(value_of(text), text);
    EXPECT_EQ(value_of("\"" + text + "\" 'y'"), text + "y");
}

TEST(IniValue, reads_names_and_keys)
{
    const std::vector<std::pair<std::string, Statement>> kCases{
        {"pm.max_children=5", {Statement::Kind::entry, "pm.max_children", "", "5"}},
        {"\t two words \t= x", {Statement::Kind::entry, "two words", "", "x"}},
        {"bare", {Statement::Kind::bare_name, "bare", "", ""}},
        {"# no comment", {Statement::Kind::bare_name, "# no comment", "", ""}},
        {"[www]", {Statement::Kind::section, "www", "", ""}},
        {"[a b] ; comment", {Statement::Kind::section, "a b", "", ""}},
        {"[E_ALL]", {Statement::Kind::section, "E_ALL", "", ""}},
        {"[]", {Statement::Kind::section, "", "", ""}},
        {"env[A] = 1", {Statement::Kind::array_entry, "env", "A", "1"}},
        {"env [ A ] = 1", {Statement::Kind::array_entry, "env", "A ", "1"}},
        {"env[] = 1", {Statement::Kind::array_entry, "env", "", "1"}},
        {"php_value[E_ALL] = 1", {Statement::Kind::array_entry, "php_value", "30719", "1"}},
        {"env[a=b] = 1", {Statement::Kind::array_entry, "env", "a=b", "1"}},
        {"\xef\xbb\xbfpid = x", {Statement::Kind::entry, "pid", "", "x"}},
    };
    for (const auto& [text, expected] : kCases) {
        const ParsedLine parsed = parse_ini_line(text, test_lookups());
        EXPECT_EQ(parsed.error, "") << text;
        ASSERT_EQ(parsed.statements.size(), 1U) << text;
        EXPECT_EQ(parsed.statements[0], expected) << text;
    }
}

TEST(IniValue, refuses_a_blank_before_a_section)
{
    EXPECT_EQ(parse_ini_line("  [www]", {}).error,
              "syntax error, unexpected END_OF_LINE, expecting '=' in Unknown on line 2");
    EXPECT_EQ(parse_ini_line("\t[www]", {}).error, "");
}

TEST(IniValue, agrees_with_recorded_results_of_php)
{
    struct Recorded {
        std::string line;
        std::string result;
    };
    static const Recorded kRecorded[] = {
#include "scanner_lines.inc"
    };
    for (const Recorded& recorded : kRecorded) {
        const ParsedLine parsed = parse_ini_line(recorded.line, test_lookups());
        std::string result;
        for (const Statement& statement : parsed.statements) {
            result += std::to_string(static_cast<int>(statement.kind));
            result += "|" + statement.name + "|" + statement.key + "|" + statement.value + "\036";
        }
        EXPECT_EQ(result + "E:" + parsed.error, recorded.result) << recorded.line;
    }
}

}  // namespace
}  // namespace ftm::config
