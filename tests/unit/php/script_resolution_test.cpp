#include "php/script_resolution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ftm::php {
namespace {

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

const char* const kNone = "-";

Pairs parameters(const ParamTable& table)
{
    Pairs out;
    table.for_each([&](std::string_view name, std::string_view value) { out.emplace_back(name, value); });
    std::sort(out.begin(), out.end());
    return out;
}

ParamTable table_of(const Pairs& pairs)
{
    ParamTable table;
    for (const auto& [name, value] : pairs) {
        table.set(name, value);
    }
    return table;
}

std::optional<std::string> text(const char* c_string)
{
    return c_string != nullptr ? std::optional<std::string>(c_string) : std::nullopt;
}

void check(const Row& row)
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

constexpr ScriptSettings kNoFix{false, false, {}};
constexpr ScriptSettings kNoFixDiscard{false, true, {}};

// What php-fpm 8.4 answered to these requests.
TEST(ResolveScript, observed_examples)
{
    const Row rows[] = {
        {"path info in SCRIPT_FILENAME only",
         {{"SCRIPT_FILENAME", "/w/pi.php/a/b"}, {"SCRIPT_NAME", "/pi.php/a/b"}, {"DOCUMENT_ROOT", "/w"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a/b"}, {"PATH_TRANSLATED", "/w"}},
         "/pi.php/a/b",
         "/w/pi.php"},
        {"Apache Action handler",
         {{"SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"SCRIPT_NAME", "/php/php-cgi"},
          {"PATH_INFO", "/pi.php/a/b"},
          {"PATH_TRANSLATED", "/w/pi.php/a/b"},
          {"REDIRECT_URL", "/pi.php/a/b"},
          {"DOCUMENT_ROOT", "/w"}},
         {{"SCRIPT_NAME", "/pi.php"},
          {"SCRIPT_FILENAME", "/w/pi.php"},
          {"PATH_INFO", "/a/b"},
          {"PATH_TRANSLATED", "/w/a/b"},
          {"ORIG_SCRIPT_NAME", "/php/php-cgi"},
          {"ORIG_SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"ORIG_PATH_INFO", "/pi.php/a/b"},
          {"ORIG_PATH_TRANSLATED", "/w/pi.php/a/b"}},
         "/pi.php",
         "/w/pi.php"},
        {"mod_proxy_fcgi, encoded path info",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h:9000/w/pi.php/a%20b"}, {"SCRIPT_NAME", "/pi.php/a b"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"SCRIPT_NAME", "/pi.php"},
          {"PATH_INFO", "/a b"},
          {"ORIG_SCRIPT_NAME", "/pi.php/a b"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a%20b"},
          {"PATH_TRANSLATED", "/w/a b"}},
         "/pi.php",
         "/w/pi.php"},
        {"mod_proxy_fcgi, query behind the name",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h:1/w/pi.php?x=/y"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}},
         std::nullopt,
         "/w/pi.php"},
        {"mod_proxy_fcgi without a path",
         {{"SCRIPT_FILENAME", "proxy:fcgi://host"}},
         {{"SCRIPT_FILENAME", kNone}, {"ORIG_SCRIPT_FILENAME", "proxy:fcgi://host"}},
         std::nullopt,
         std::nullopt},
        {"only PATH_TRANSLATED",
         {{"PATH_TRANSLATED", "/w/pi.php"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}},
         std::nullopt,
         "/w/pi.php"},
    };
    for (const Row& row : rows) {
        check(row);
    }
}

// Every branch of the rules.
TEST(ResolveScript, rules)
{
    const Row rows[] = {
        {"nothing names a script",
         {{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/x"}, {"PATH_INFO", "/y"}},
         {},
         std::nullopt,
         std::nullopt},
        {"plain script", {{"SCRIPT_FILENAME", "/w/pi.php"}, {"SCRIPT_NAME", "/pi.php"}}, {}, "/pi.php", "/w/pi.php"},
        {"plain script with path info from nginx",
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"SCRIPT_NAME", "/pi.php"}, {"PATH_INFO", "/a"}},
         {},
         "/pi.php",
         "/w/pi.php"},
        {"missing",
         {{"SCRIPT_FILENAME", "/w/no.php"}, {"SCRIPT_NAME", "/no.php"}},
         {{"SCRIPT_FILENAME", kNone}, {"ORIG_SCRIPT_FILENAME", "/w/no.php"}},
         "/no.php",
         std::nullopt},
        {"missing, named by PATH_TRANSLATED",
         {{"PATH_TRANSLATED", "/w/no.php"}, {"SCRIPT_NAME", "/no.php"}},
         {},
         "/no.php",
         std::nullopt},
        {"a directory exists and is opened later",
         {{"SCRIPT_FILENAME", "/w/sub"}, {"SCRIPT_NAME", "/sub"}},
         {},
         "/sub",
         "/w/sub"},
        {"trailing slash is split off even if it exists",
         {{"SCRIPT_FILENAME", "/w/"}, {"SCRIPT_NAME", "/"}},
         {{"SCRIPT_FILENAME", kNone}, {"ORIG_SCRIPT_FILENAME", "/w/"}},
         "/",
         std::nullopt},
        {"trailing slash behind a file",
         {{"SCRIPT_FILENAME", "/w/pi.php/"}, {"SCRIPT_NAME", "/pi.php"}, {"PATH_INFO", "/pi.php/"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/"},
          {"PATH_INFO", "/"},
          {"ORIG_PATH_INFO", "/pi.php/"},
          {"PATH_TRANSLATED", "/w/"}},
         "/pi.php",
         "/w/pi.php"},
        {"empty SCRIPT_FILENAME", {{"SCRIPT_FILENAME", ""}, {"SCRIPT_NAME", "/x"}}, {}, "/x", ""},
        {"relative, no slash",
         {{"SCRIPT_FILENAME", "no.php"}, {"SCRIPT_NAME", "/x"}},
         {{"SCRIPT_FILENAME", kNone}, {"ORIG_SCRIPT_FILENAME", "no.php"}},
         "/x",
         std::nullopt},
        {"backslash separates when there is no slash",
         {{"SCRIPT_FILENAME", "w\\no\\x"}},
         {{"SCRIPT_FILENAME", kNone}, {"ORIG_SCRIPT_FILENAME", "w\\no\\x"}},
         std::nullopt,
         std::nullopt},
        {"path info as long as the tail",
         {{"SCRIPT_FILENAME", "/w/pi.php/a"}, {"SCRIPT_NAME", "/n"}, {"PATH_INFO", "/a"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a"}},
         "/n",
         "/w/pi.php"},
        {"path info longer than the tail",
         {{"SCRIPT_FILENAME", "/w/pi.php/a"}, {"SCRIPT_NAME", "/n"}, {"PATH_INFO", "/pi.php/a"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a"},
          {"PATH_INFO", "/a"},
          {"ORIG_PATH_INFO", "/pi.php/a"},
          {"SCRIPT_NAME", "/pi.php"},
          {"ORIG_SCRIPT_NAME", "/n"}},
         "/pi.php",
         "/w/pi.php"},
        {"without SCRIPT_NAME it is made from path info",
         {{"SCRIPT_FILENAME", "/w/pi.php/a"}, {"PATH_INFO", "/pi.php/a"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a"},
          {"PATH_INFO", "/a"},
          {"ORIG_PATH_INFO", "/pi.php/a"},
          {"SCRIPT_NAME", "/pi.php"}},
         "/pi.php",
         "/w/pi.php"},
        {"document root guessed from SCRIPT_NAME",
         {{"SCRIPT_FILENAME", "/w/sub/in.php/a"}, {"SCRIPT_NAME", "/in.php"}, {"PATH_INFO", "/in.php/a"}},
         {{"SCRIPT_FILENAME", "/w/sub/in.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/sub/in.php/a"},
          {"PATH_INFO", "/a"},
          {"ORIG_PATH_INFO", "/in.php/a"},
          {"PATH_TRANSLATED", "/w/sub/a"}},
         "/in.php",
         "/w/sub/in.php"},
        {"document root with a slash",
         {{"SCRIPT_FILENAME", "/w/pi.php/a"}, {"DOCUMENT_ROOT", "/w/"}, {"PATH_TRANSLATED", "/old"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a"},
          {"PATH_TRANSLATED", "/w"},
          {"ORIG_PATH_TRANSLATED", "/old"}},
         std::nullopt,
         "/w/pi.php"},
        {"ini doc_root",
         {{"SCRIPT_FILENAME", "/w/pi.php"}},
         {{"DOCUMENT_ROOT", "/ini"}},
         std::nullopt,
         "/w/pi.php",
         {true, false, "/ini"}},
        {"ini doc_root yields to DOCUMENT_ROOT",
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"DOCUMENT_ROOT", "/w"}},
         {},
         std::nullopt,
         "/w/pi.php",
         {true, false, "/ini"}},
        {"redirect to an existing script",
         {{"SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"SCRIPT_NAME", "/cgi"},
          {"PATH_INFO", "/pi.php"},
          {"PATH_TRANSLATED", "/w/pi.php"},
          {"REDIRECT_URL", "/pi.php"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"SCRIPT_NAME", "/pi.php"},
          {"ORIG_SCRIPT_NAME", "/cgi"},
          {"PATH_INFO", kNone},
          {"ORIG_PATH_INFO", "/pi.php"},
          {"PATH_TRANSLATED", kNone},
          {"ORIG_PATH_TRANSLATED", "/w/pi.php"}},
         "/pi.php",
         "/w/pi.php"},
        {"redirect to a missing script",
         {{"SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"SCRIPT_NAME", "/cgi"},
          {"PATH_TRANSLATED", "/w/no"},
          {"REDIRECT_URL", "/r"}},
         {{"SCRIPT_FILENAME", kNone},
          {"ORIG_SCRIPT_FILENAME", "/usr/bin/php-cgi"},
          {"SCRIPT_NAME", "/r"},
          {"ORIG_SCRIPT_NAME", "/cgi"}},
         "/r",
         std::nullopt},
        {"REDIRECT_URL drops path info of an existing script",
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"SCRIPT_NAME", "/pi.php"}, {"PATH_INFO", "/a"}, {"REDIRECT_URL", "/r"}},
         {{"PATH_INFO", kNone}, {"ORIG_PATH_INFO", "/a"}},
         "/pi.php",
         "/w/pi.php"},
        {"Apache's proxy keeps it",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php"},
          {"SCRIPT_NAME", "/pi.php"},
          {"PATH_INFO", "/a"},
          {"REDIRECT_URL", "/r"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}},
         "/pi.php",
         "/w/pi.php"},
        {"prefix in capitals",
         {{"SCRIPT_FILENAME", "PROXY:FCGI://h/w/pi.php"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}},
         std::nullopt,
         "/w/pi.php"},
        {"Apache, path info differs from the tail",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php/a%20b"}, {"SCRIPT_NAME", "/n"}, {"PATH_INFO", "/a b"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a%20b"},
          {"ORIG_PATH_INFO", "/a b"},
          {"PATH_INFO", "/a%20b"},
          {"SCRIPT_NAME", "/a b"},
          {"ORIG_SCRIPT_NAME", "/n"}},
         "/a b",
         "/w/pi.php"},
        {"Apache, path info is the tail",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php/a"}, {"SCRIPT_NAME", "/n"}, {"PATH_INFO", "/a"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a"}},
         "/n",
         "/w/pi.php"},
        {"Apache, no SCRIPT_NAME: the tail stays encoded",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php/a%20b"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a%20b"}, {"PATH_INFO", "/a%20b"}},
         std::nullopt,
         "/w/pi.php"},
        {"Apache, broken escape",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php/%2"}, {"SCRIPT_NAME", "/pi.php/%2"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"},
          {"ORIG_SCRIPT_FILENAME", "/w/pi.php/%2"},
          {"PATH_INFO", "/%2"},
          {"SCRIPT_NAME", "/pi.php"},
          {"ORIG_SCRIPT_NAME", "/pi.php/%2"},
          {"PATH_TRANSLATED", "/w/%2"}},
         "/pi.php",
         "/w/pi.php"},
        {"Apache, escaped NUL",
         {{"SCRIPT_FILENAME", "proxy:fcgi://h/w/pi.php/a%00b"}, {"SCRIPT_NAME", "/pi.php/a"}},
         {{"SCRIPT_FILENAME", "/w/pi.php"}, {"ORIG_SCRIPT_FILENAME", "/w/pi.php/a%00b"}, {"PATH_INFO", "/a"}},
         "/pi.php/a",
         "/w/pi.php"},
        {"IIS",
         {{"SERVER_SOFTWARE", "Microsoft-IIS/10.0"},
          {"SCRIPT_FILENAME", "/w/pi.php"},
          {"SCRIPT_NAME", "/pi.php"},
          {"PATH_INFO", "/pi.php/a"}},
         {{"PATH_INFO", "/a"}, {"ORIG_PATH_INFO", "/pi.php/a"}},
         "/pi.php",
         "/w/pi.php"},
        {"IIS without path info",
         {{"SERVER_SOFTWARE", "Microsoft-IIS/10.0"},
          {"SCRIPT_FILENAME", "/w/pi.php"},
          {"SCRIPT_NAME", "/pi.php"},
          {"PATH_INFO", "/pi.php"}},
         {{"PATH_INFO", kNone}, {"ORIG_PATH_INFO", "/pi.php"}},
         "/pi.php",
         "/w/pi.php"},
        {"IIS, path info of its own",
         {{"SERVER_SOFTWARE", "Microsoft-IIS/10.0"},
          {"SCRIPT_FILENAME", "/w/pi.php"},
          {"SCRIPT_NAME", "/pi.php"},
          {"PATH_INFO", "/a"}},
         {},
         "/pi.php",
         "/w/pi.php"},
        {"a value ends at its NUL",
         {{"SCRIPT_FILENAME", std::string("/w/pi.php\0.txt", 14)}, {"SCRIPT_NAME", "/n"}},
         {},
         "/n",
         "/w/pi.php"},
        {"component ..", {{"SCRIPT_FILENAME", "/w/sub/../pi.php"}}, {}, std::nullopt, std::nullopt, kNoFix},
        {"component .. at the front", {{"SCRIPT_FILENAME", "../pi.php"}}, {}, std::nullopt, std::nullopt, kNoFix},
        {"component .. at the end", {{"SCRIPT_FILENAME", "/w/.."}}, {}, std::nullopt, std::nullopt, kNoFix},
        {"component .. behind dots", {{"SCRIPT_FILENAME", "/w/..a/../pi.php"}}, {}, std::nullopt, std::nullopt, kNoFix},
        {"dots inside names",
         {{"SCRIPT_FILENAME", "/w/..a/b../.../pi..php"}},
         {},
         std::nullopt,
         "/w/..a/b../.../pi..php",
         kNoFix},
        {"no fix: missing files are not looked for",
         {{"SCRIPT_FILENAME", "/w/no"}, {"SCRIPT_NAME", "/n"}},
         {},
         "/n",
         "/w/no",
         kNoFix},
    };
    for (const Row& row : rows) {
        check(row);
    }
}

// The cases of php-src's sapi/fpm/tests/fcgi-env-*.phpt. There DOCUMENT_ROOT is the directory of the tests.
TEST(ResolveScript, cases_of_php_src)
{
    const std::string file = "/w/pi.php";
    const std::string name = "/pi.php";
    const std::string fcgi = "proxy:fcgi://127.0.0.1:9000";
    const std::string balancer = "proxy:balancer://127.0.0.1:9000";
    struct Case {
        const char* name;
        ScriptSettings settings;
        std::string script_filename;  // "": not sent
        std::string script_name;
        std::string path_info;        // "": not sent
        std::string path_translated;  // "": not sent
        Pairs expected;               // in $_SERVER; "-": unset
        std::string request_uri;
    };
    const ScriptSettings fix;
    const Case cases[] = {
        {"nopif-apache-handler-with-pi-with-pt-pd",
         kNoFixDiscard,
         fcgi + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-with-pt-pd",
         kNoFixDiscard,
         file,
         name,
         "/pinfo",
         "/w",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-with-pt",
         kNoFix,
         file + "/pinfo",
         name,
         "/pinfo",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file + "/pinfo"}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-without-pt",
         kNoFix,
         file,
         name,
         "/pinfo",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-without-pi-with-pt",
         kNoFix,
         file + "/pinfo",
         name,
         "",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file + "/pinfo"}, {"PATH_INFO", kNone}},
         name},
        {"nopif-custom-without-pi-without-pt",
         kNoFix,
         file,
         name,
         "",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", kNone}},
         name},
        {"nopif-custom-without-sf-with-pt",
         kNoFixDiscard,
         "",
         name,
         "/pinfo",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", kNone}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"pif-apache-balancer-legacy",
         fix,
         balancer + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-balancer-real",
         fix,
         file + "/pinfo",
         "",
         file + "/pinfo",
         "proxy:balancer://myappcluster/w" + file + "/pinfo/w" + file + "/pinfo",
         {{"SCRIPT_NAME", file}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         file},
        {"pif-apache-handler-uds",
         fix,
         "proxy:fcgi://localhost" + file,
         name,
         "",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", kNone}},
         name},
        {"pif-apache-handler-with-pi",
         fix,
         fcgi + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-handler-with-query",
         fix,
         fcgi + file + "?q=1",
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-pp-sn-strip-basic",
         fix,
         fcgi + file + "/pinfo",
         name + "/pinfo",
         "",
         "",
         {{"SCRIPT_NAME", name},
          {"ORIG_SCRIPT_NAME", name + "/pinfo"},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-pp-sn-strip-encoded-plus",
         fix,
         fcgi + file + "/1%20+2",
         name + "/1 +2",
         "",
         "",
         {{"SCRIPT_NAME", name},
          {"ORIG_SCRIPT_NAME", name + "/1 +2"},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/1 +2"}},
         name},
        {"pif-apache-pp-sn-strip-encoded",
         fix,
         fcgi + file + "/1%202",
         name + "/1 2",
         "",
         "",
         {{"SCRIPT_NAME", name}, {"ORIG_SCRIPT_NAME", name + "/1 2"}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/1 2"}},
         name},
        {"pif-apache-pp-sn-strip-invalid",
         fix,
         fcgi + file + "/pinfoy",
         name + "/pinfox",
         "",
         "",
         {{"SCRIPT_NAME", name + "/pinfox"},
          {"ORIG_SCRIPT_NAME", kNone},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/pinfoy"}},
         name + "/pinfox"},
    };
    for (const Case& c : cases) {
        for (const bool with_document_root : {true, false}) {  // pif-apache-handler-without-docroot
            SCOPED_TRACE(c.name);
            ParamTable params;
            params.set("REQUEST_METHOD", "GET");
            if (!c.script_filename.empty()) {
                params.set("SCRIPT_FILENAME", c.script_filename);
            }
            params.set("SCRIPT_NAME", c.script_name);
            if (with_document_root) {
                params.set("DOCUMENT_ROOT", "/w");
            }
            if (!c.path_info.empty()) {
                params.set("PATH_INFO", c.path_info);
            }
            if (!c.path_translated.empty()) {
                params.set("PATH_TRANSLATED", c.path_translated);
            }
            Files files{{file}, {"/w"}};
            const ResolvedScript script = resolve_script(params, c.settings, files.probe());
            EXPECT_EQ(text(script.path_translated), file);
            EXPECT_EQ(text(script.request_uri), c.request_uri);
            for (const auto& [key, value] : c.expected) {
                EXPECT_EQ(text(params.value_z(key)).value_or(kNone), value) << key;
            }
        }
    }
}

TEST(ResolveScript, new_parameters_are_the_newest)
{
    ParamTable params = table_of({{"SCRIPT_FILENAME", "/w/pi.php/a"},
                                  {"PATH_INFO", "/pi.php/a"},
                                  {"SCRIPT_NAME", "/n"},
                                  {"DOCUMENT_ROOT", "/w"}});
    Files files{{"/w/pi.php"}, {}};
    static_cast<void>(resolve_script(params, {}, files.probe()));
    std::vector<std::string> order;
    params.for_each([&](std::string_view name, std::string_view) { order.emplace_back(name); });
    EXPECT_EQ(order,
              (std::vector<std::string>{"PATH_TRANSLATED", "ORIG_SCRIPT_FILENAME", "ORIG_SCRIPT_NAME", "ORIG_PATH_INFO",
                                        "DOCUMENT_ROOT", "SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME"}));
}

TEST(ResolveScript, fills_in_the_request)
{
    Files files{{"/a.php"}, {}};
    const struct {
        const char* sent;
        long long length;
    } lengths[] = {{"0", 0},
                   {"12", 12},
                   {" +12", 12},
                   {"-1", -1},
                   {"12x", 12},
                   {"x", 0},
                   {"", 0},
                   {"99999999999999999999", 9223372036854775807LL},
                   {"5000000000", 5000000000LL}};
    for (const auto& row : lengths) {
        ParamTable params = table_of({{"SCRIPT_FILENAME", "/a.php"}, {"CONTENT_LENGTH", row.sent}});
        EXPECT_EQ(resolve_script(params, {}, files.probe()).content_length, row.length) << row.sent;
    }

    ParamTable full = table_of({{"SCRIPT_FILENAME", "/a.php"},
                                {"REQUEST_METHOD", "PUT"},
                                {"QUERY_STRING", "q=1"},
                                {"CONTENT_TYPE", "text/x"},
                                {"HTTP_AUTHORIZATION", "Basic x"}});
    ResolvedScript script = resolve_script(full, {}, files.probe());
    EXPECT_STREQ(script.request_method, "PUT");
    EXPECT_STREQ(script.query_string, "q=1");
    EXPECT_STREQ(script.content_type, "text/x");
    EXPECT_STREQ(script.authorization, "Basic x");
    EXPECT_EQ(script.content_length, 0);
    EXPECT_EQ(script.response_code, 200);

    ParamTable bare = table_of({{"SCRIPT_FILENAME", "/a.php"}});
    script = resolve_script(bare, {}, files.probe());
    EXPECT_EQ(script.request_method, nullptr);
    EXPECT_EQ(script.query_string, nullptr);
    EXPECT_STREQ(script.content_type, "");
    EXPECT_EQ(script.authorization, nullptr);

    ParamTable nameless =
        table_of({{"REQUEST_METHOD", "GET"}, {"QUERY_STRING", "q"}, {"CONTENT_LENGTH", "3"}, {"CONTENT_TYPE", "t"}});
    script = resolve_script(nameless, {}, files.probe());
    EXPECT_STREQ(script.request_method, "GET");
    EXPECT_EQ(script.query_string, nullptr);
    EXPECT_EQ(script.content_type, nullptr);
    EXPECT_EQ(script.content_length, 0);
    EXPECT_EQ(script.response_code, 200);

    ParamTable missing = table_of({{"SCRIPT_FILENAME", "/no.php"}});
    EXPECT_EQ(resolve_script(missing, {}, files.probe()).response_code, 404);
}

}  // namespace
}  // namespace ftm::php
