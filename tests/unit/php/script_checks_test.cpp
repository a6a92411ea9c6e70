#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "php/path_text.hpp"
#include "php/script_resolution.hpp"

namespace ftm::php {
namespace {

TEST(ExtensionAllowed, compares_ends)
{
    const std::vector<std::string> usual = {".php", ".phar"};
    for (const char* path : {"/a.php", "a.php", "/x/.a.phar", "/a.php.php"}) {
        EXPECT_TRUE(extension_allowed(path, usual)) << path;
    }
    for (const char* path : {"", ".php", ".phar", "/a.PHP", "/a.php5", "/a.txt", "/aphp", "/a.php/"}) {
        EXPECT_FALSE(extension_allowed(path, usual)) << path;
    }
    EXPECT_TRUE(extension_allowed("/.php", usual));
    EXPECT_TRUE(extension_allowed("/etc/passwd", {}));
    EXPECT_TRUE(extension_allowed("", {}));
}

TEST(BuiltinPage, compares_the_whole_request_uri)
{
    const BuiltinPaths both{"/ping", "/status"};
    ResolvedScript script;
    script.request_method = "DELETE";
    const auto page = [&](const char* uri, const BuiltinPaths& paths) {
        script.request_uri = uri;
        return builtin_page(script, paths);
    };
    EXPECT_EQ(page("/ping", both), BuiltinPage::ping);
    EXPECT_EQ(page("/status", both), BuiltinPage::status);
    EXPECT_EQ(page("/status", {"/status", "/status"}), BuiltinPage::ping);
    EXPECT_EQ(page("/status/", both), BuiltinPage::none);
    EXPECT_EQ(page("/statu", both), BuiltinPage::none);
    EXPECT_EQ(page("", {}), BuiltinPage::none);
    EXPECT_EQ(page(nullptr, both), BuiltinPage::none);
    script.request_method = nullptr;
    EXPECT_EQ(page("/ping", both), BuiltinPage::none);
}

TEST(MayBeBuiltinPage, never_misses_one)
{
    const BuiltinPaths both{"/ping", "/status"};
    const auto may = [&](std::initializer_list<std::pair<const char*, const char*>> sent, const BuiltinPaths& paths) {
        request::ParamTable params;
        for (const auto& [name, value] : sent) {
            params.set(name, value);
        }
        return may_be_builtin_page(params, paths);
    };
    EXPECT_TRUE(may({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/status"}}, both));
    EXPECT_TRUE(may({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/x"}, {"PATH_INFO", "/ping"}}, both));
    EXPECT_TRUE(may({{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/ping/tail"}}, both));
    EXPECT_TRUE(may({{"REQUEST_METHOD", "GET"}, {"REDIRECT_URL", "/ping"}}, both));
    EXPECT_TRUE(
        may({{"REQUEST_METHOD", "GET"}, {"SERVER_SOFTWARE", "Microsoft-IIS/9"}, {"PATH_INFO", "/x/ping"}}, both));
    EXPECT_FALSE(may({{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/x/ping"}}, both));
    EXPECT_FALSE(may({{"SCRIPT_NAME", "/status"}}, both));
    EXPECT_FALSE(may({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/index.php"}}, both));
    EXPECT_FALSE(may({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/status"}}, {}));
}

TEST(PathText, decodes_only_whole_escapes)
{
    EXPECT_EQ(raw_url_decode("/a%20b%2fC%2F+%"), "/a b/C/+%");
    EXPECT_EQ(raw_url_decode("%4"), "%4");
    EXPECT_EQ(raw_url_decode("%4g%g4%%41"), "%4g%g4%A");
    EXPECT_EQ(raw_url_decode("%00x"), std::string("\0x", 2));
    EXPECT_EQ(raw_url_decode(""), "");
}

TEST(SystemFileProbe, follows_links)
{
    char dir[] = "/tmp/ftm-probe-XXXXXX";
    ASSERT_NE(::mkdtemp(dir), nullptr);
    const std::string base = dir;
    std::ofstream(base + "/file") << "x";
    ASSERT_EQ(::symlink("file", (base + "/link").c_str()), 0);
    ASSERT_EQ(::symlink("nowhere", (base + "/dangling").c_str()), 0);

    const FileProbe probe = system_file_probe();
    const auto regular = [&](const std::string& name) {
        return probe.is_regular_file((base + name).c_str(), probe.context);
    };
    const auto exists = [&](const std::string& name) { return probe.exists((base + name).c_str(), probe.context); };
    EXPECT_TRUE(regular("/file"));
    EXPECT_TRUE(regular("/link"));
    EXPECT_FALSE(regular(""));
    EXPECT_FALSE(regular("/dangling"));
    EXPECT_TRUE(exists("/file"));
    EXPECT_TRUE(exists("/link"));
    EXPECT_TRUE(exists(""));
    EXPECT_FALSE(exists("/dangling"));
    EXPECT_FALSE(exists("/file/below"));
    EXPECT_FALSE(exists("/" + std::string(5000, 'x')));

    for (const char* name : {"/file", "/link", "/dangling", ""}) {
        ::remove((base + name).c_str());
    }
}

}  // namespace
}  // namespace ftm::php
