#include "php/basic_auth.hpp"

#include <gtest/gtest.h>

namespace ftm::php {
namespace {

TEST(BasicAuth, finds_the_user_as_php_does)
{
    EXPECT_EQ(basic_auth_user("Basic YWxpY2U6c2VjcmV0"), "alice");
    EXPECT_EQ(basic_auth_user("basic YWxpY2U6"), "alice");
    EXPECT_EQ(basic_auth_user("Basic YWxp Y2U6\tc2VjcmV0=="), "alice");
    EXPECT_EQ(basic_auth_user("Basic OnB3"), "");       // ":pw"
    EXPECT_EQ(basic_auth_user("Basic YWxpY2U="), "");   // no ':'
    EXPECT_EQ(basic_auth_user("Basic YQBiOmM="), "");   // "a\0b:c"
    EXPECT_EQ(basic_auth_user("Basic"), "");
    EXPECT_EQ(basic_auth_user("Digest username=\"alice\""), "");
    EXPECT_EQ(basic_auth_user(""), "");
    EXPECT_EQ(basic_auth_user(nullptr), "");
}

}  // namespace
}  // namespace ftm::php
