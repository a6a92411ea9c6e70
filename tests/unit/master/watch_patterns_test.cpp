#include "master/watch_patterns.hpp"

#include <gtest/gtest.h>

namespace ftm::master {
namespace {

WatchPatterns patterns(const std::vector<std::string>& lines) { return {lines, "/srv/app/public", ""}; }

TEST(WatchPatterns, files)
{
    const struct {
        const char* pattern;
        const char* file;
        bool matches;
    } rows[] = {
        {"/srv/app/src/**.php", "/srv/app/src/a.php", true},
        {"/srv/app/src/**.php", "/srv/app/src/a/b/c.php", true},
        {"/srv/app/src/**.php", "/srv/app/src/a.txt", false},
        {"/srv/app/src/**.php", "/srv/app/srcs/a.php", false},
        {"/srv/app/src/**/*.php", "/srv/app/src/a.php", true},
        {"/srv/app/src/**/*.php", "/srv/app/src/a/b.php", true},
        {"/srv/app/src/*.php", "/srv/app/src/a.php", true},
        {"/srv/app/src/*.php", "/srv/app/src/a/b.php", false},
        {"/srv/*/src/?.php", "/srv/app/src/a.php", true},
        {"/srv/*/src/?.php", "/srv/app/src/ab.php", false},
        {"/srv/app/{src,lib}/**.{php,yaml}", "/srv/app/lib/x/a.yaml", true},
        {"/srv/app/{src,lib}/**.{php,yaml}", "/srv/app/tmp/a.yaml", false},
        {"/srv/app/.env", "/srv/app/.env", true},
        {"/srv/app/.env", "/srv/app/.env.local", false},
        {"/srv/app/config", "/srv/app/config/a/b", true},
        {"/srv/app/config/", "/srv/app/config/a", true},
        {"/srv/app/config", "/srv/app/configs", false},
        {"../src/**.php", "/srv/app/src/a.php", true},
        {"index.php", "/srv/app/public/index.php", true},
        {"", "/srv/app/public/index.php", false},
        {"/srv/{a", "/srv/{a", true},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(patterns({row.pattern}).matches(row.file), row.matches) << row.pattern << " " << row.file;
    }
}

TEST(WatchPatterns, exclusions)
{
    const WatchPatterns some = patterns({"/srv/app/**.php", "!/srv/app/var", "!/srv/app/**Test.php"});
    EXPECT_TRUE(some.matches("/srv/app/src/a.php"));
    EXPECT_FALSE(some.matches("/srv/app/var/a.php"));
    EXPECT_FALSE(some.matches("/srv/app/src/aTest.php"));
    EXPECT_TRUE(some.leads_to_some("/srv/app/src"));
    EXPECT_FALSE(some.leads_to_some("/srv/app/var"));
    EXPECT_FALSE(some.leads_to_some("/srv/app/var/cache"));
    EXPECT_FALSE(patterns({"/srv/**.php", "!/srv/var/**"}).leads_to_some("/srv/var"));
}

TEST(WatchPatterns, directories)
{
    const struct {
        const char* pattern;
        const char* directory;
        bool leads;
    } rows[] = {
        {"/srv/app/src/**.php", "/srv/app/src", true},
        {"/srv/app/src/**.php", "/srv/app/src/a/b", true},
        {"/srv/app/src/**.php", "/srv/app/other", false},
        {"/srv/app/src/*.php", "/srv/app/src", true},
        {"/srv/app/src/*.php", "/srv/app/src/a", false},
        {"/srv/*/config/*.php", "/srv/a", true},
        {"/srv/*/config/*.php", "/srv/a/config", true},
        {"/srv/*/config/*.php", "/srv/a/src", false},
        {"/srv/app/config", "/srv/app/config/a", true},
        {"/srv/app/config", "/srv/app", true},
        {"/srv/app/config", "/srv/other", false},
        {"/*.php", "/", true},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(patterns({row.pattern}).leads_to_some(row.directory), row.leads) << row.pattern << " " << row.directory;
    }
}

TEST(WatchPatterns, beginnings)
{
    using List = std::vector<std::string>;
    EXPECT_EQ(patterns({"/srv/a/**.php", "/srv/a/*.{x,y}", "/srv/*/b", "/srv/c/d.php", "/*.php", "!/srv/e"}).beginnings(),
              (List{"/srv/a", "/srv", "/srv/c/d.php", "/"}));
    EXPECT_EQ(WatchPatterns({"/srv/a"}, "/", "/jail").beginnings(), List{"/jail/srv/a"});
}

}  // namespace
}  // namespace ftm::master
