#include "config/access_format.hpp"

#include <gtest/gtest.h>

namespace ftm::config {
namespace {

TEST(AccessFormat, accepts_what_php_fpm_accepts)
{
    for (const char* format : {"", "%", "plain", "%R - %u %t \"%m %r%Q%q\" %s %f %{milli}d %{kilo}M %C%%",
                               "%{REQUEST_METHOD}e %{Content-Type}o %{%Y-%m-%dT%H:%M:%S%z}t %{x}T", "%{USER}C%l%n%p%P",
                               "%{mili}d %{seconds}d %{bytes}M"}) {
        EXPECT_EQ(access_format_problem(format), std::nullopt) << format;
    }
}

TEST(AccessFormat, names_the_first_mistake)
{
    const std::pair<const char*, const char*> kCases[] = {
        {"%z", "Invalid token in the access.format (%z)"},
        {"%e", "the name of the environment variable must be set between embraces for %e"},
        {"%o", "the name of the header must be set between embraces for %o"},
        {"%{x}C", "only 'total', 'user' or 'system' are allowed as a modifier for %C ('x')"},
        {"%{x}d",
         "only 'seconds', 'milli', 'milliseconds', 'micro' or 'microseconds' are allowed as a modifier for %d ('x')"},
        {"%{x}M", "only 'bytes', 'kilo', 'kilobytes', 'mega' or 'megabytes' are allowed as a modifier for %M ('x')"},
        {"%{x}r", "embrace is not allowed for modifier %r"},
        {"%{x", "missing closing embrace in the access.format"},
        {"%{x}", "missing closing embrace in the access.format"},
    };
    for (const auto& [format, problem] : kCases) {
        EXPECT_EQ(access_format_problem(format), problem) << format;
    }
}

}  // namespace
}  // namespace ftm::config
