#include "observe/access_log.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ctime>

namespace ftm::observe {
namespace {

const AccessPool kPool{"www", 123, 45};

AccessEntry sample()
{
    AccessEntry entry;
    entry.uri = "/a.php";
    entry.query = "x=1";
    entry.method = "GET";
    entry.script = "/srv/a.php";
    entry.peer = "127.0.0.1";
    entry.content_length = 12;
    entry.status = 200;
    entry.memory = 3 << 20;
    entry.accepted = 1000000;
    entry.logged = 1000002;
    entry.duration_us = 1234567;
    entry.cpu_us = 740740;
    entry.cpu_user_us = 617283;
    entry.cpu_system_us = 123456;
    return entry;
}

std::string made(std::string_view format, const AccessEntry& entry = sample())
{
    bool cut = false;
    const std::string line = AccessFormat(format).line(entry, kPool, cut);
    EXPECT_FALSE(cut);
    return line;
}

TEST(AccessFormat, tokens)
{
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    EXPECT_EQ(made("%R - %u %t \"%m %r%Q%q\" %s"),
              "127.0.0.1 -  12/Jan/1970:13:46:40 +0000 \"GET /a.php?x=1\" 200\n");
    EXPECT_EQ(made("%f %l %n %p %P %%"), "/srv/a.php 12 www 123 45 %\n");
    EXPECT_EQ(made("%d %{seconds}d %{MILLI}d %{miliseconds}d %{micro}d"), "1.235 1.235 1234.567 1234.567 1234567\n");
    EXPECT_EQ(made("%M %{kilo}M %{megabytes}M"), "3145728 3072 3\n");
    EXPECT_EQ(made("%C %{user}C %{system}C %{total}C"), "60.00 50.00 10.00 60.00\n");
    EXPECT_EQ(made("%{%s}t %{%H:%M}T"), "1000000 13:46\n");
}

TEST(AccessFormat, what_is_not_there)
{
    AccessEntry empty;
    EXPECT_EQ(made("%R|%u|%m|%r|%Q|%q|%f|%{X}e|%{X}o", empty), "-||-||||-|-|-\n");
    EXPECT_EQ(made("%u%q", empty), ""); // php-fpm writes no empty line
    EXPECT_EQ(made("a%", empty), "a\n");
    empty.content_length = -1;
    EXPECT_EQ(made("%l", empty), "18446744073709551615\n");
}

TEST(AccessFormat, headers_and_parameters)
{
    AccessEntry entry = sample();
    const std::string_view headers[] = {"", "X-A: one", "Content-type: text/html", "X-A: two", "xy: odd ab", "X-Empty: "};
    entry.headers = headers;
    EXPECT_EQ(made("%{X-A}o", entry), "one\n");
    EXPECT_EQ(made("%{x-a}o", entry), "-\n");
    EXPECT_EQ(made("%{Content-type}o", entry), "text/html\n");
    EXPECT_EQ(made("%{ab}o", entry), "odd ab\n"); // php-fpm's search
    EXPECT_EQ(made("%{X-Empty}o", entry), "-\n");
    entry.parameter = [](const void*, std::string_view name) { return name == "HOST" ? "here" : static_cast<const char*>(nullptr); };
    EXPECT_EQ(made("%{HOST}e %{NONE}e", entry), "here -\n");
}

TEST(AccessFormat, texts_are_cut_as_in_the_scoreboard)
{
    AccessEntry entry = sample();
    const std::string text(2000, 'x');
    entry.uri = entry.query = entry.method = entry.script = entry.user = text;
    EXPECT_EQ(made("%r", entry).size(), 128U);
    EXPECT_EQ(made("%q", entry).size(), 512U);
    EXPECT_EQ(made("%m", entry).size(), 16U);
    EXPECT_EQ(made("%f", entry).size(), 256U);
    EXPECT_EQ(made("%u", entry).size(), 32U);
}

TEST(AccessFormat, a_long_line_ends_at_1024_bytes)
{
    AccessEntry entry = sample();
    const std::string text(600, 'x');
    entry.query = text;
    bool cut = false;
    const std::string printed = AccessFormat("%q%q%q").line(entry, kPool, cut);
    EXPECT_TRUE(cut);
    EXPECT_EQ(printed, std::string(1022, 'x') + "x" + std::string(1, '\0') + "\n");
    const std::string literal = AccessFormat(std::string(1500, 'y')).line(entry, kPool, cut);
    EXPECT_TRUE(cut);
    EXPECT_EQ(literal, std::string(1024, 'y') + "\n");
    const std::string fits = AccessFormat(std::string(1024, 'y')).line(entry, kPool, cut);
    EXPECT_FALSE(cut);
    EXPECT_EQ(fits, literal);
}

TEST(AccessLog, suppresses_what_went_well_without_query_or_body)
{
    const UniqueFd file(::memfd_create("access", MFD_CLOEXEC));
    const AccessLog log(file.get(), "%m %r %s", {"/ping"}, kPool);
    const auto written = [&](auto change) {
        AccessEntry entry = sample();
        entry.uri = "/ping";
        entry.query = "";
        entry.content_length = 0;
        change(entry);
        const off_t before = ::lseek(file.get(), 0, SEEK_END);
        log.write(entry);
        return ::lseek(file.get(), 0, SEEK_END) != before;
    };
    EXPECT_FALSE(written([](AccessEntry&) {}));
    EXPECT_FALSE(written([](AccessEntry& e) { e.method = "HEAD"; e.status = 204; e.content_length = -1; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.query = "a"; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.method = "POST"; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.status = 404; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.status = 199; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.content_length = 1; }));
    EXPECT_TRUE(written([](AccessEntry& e) { e.uri = "/ping/"; }));
}

TEST(AccessLog, reopens_under_the_same_descriptor)
{
    const UniqueFd first(::memfd_create("first", MFD_CLOEXEC));
    const UniqueFd used(::dup(first.get()));
    const UniqueFd second(::memfd_create("second", MFD_CLOEXEC));
    const AccessLog log(used.get(), "%r", {}, kPool);
    log.write(sample());
    log.reopen(second.get());
    log.write(sample());
    char text[32] = "";
    EXPECT_EQ(::pread(first.get(), text, sizeof text, 0), 7);
    EXPECT_EQ(::pread(second.get(), text, sizeof text, 0), 7);
    EXPECT_EQ(std::string_view(text, 7), "/a.php\n");
}

}  // namespace
}  // namespace ftm::observe
