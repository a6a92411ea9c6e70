#include "resolution_rows.hpp"

namespace ftm::php::testing {
namespace {

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
}  // namespace ftm::php::testing
