#include "config/listen_address.hpp"

#include <gtest/gtest.h>

namespace ftm::config {
namespace {

ListenAddress parsed(const std::string& text)
{
    const auto address = parse_listen_address(text);
    EXPECT_TRUE(address.has_value()) << text;
    return address ? address.value() : ListenAddress();
}

std::string refusal(const std::string& text)
{
    const auto address = parse_listen_address(text);
    return address ? "" : address.error();
}

TEST(ListenAddress, takes_a_colon_or_only_digits_for_tcp)
{
    EXPECT_TRUE(is_tcp_listen("127.0.0.1:9000"));
    EXPECT_TRUE(is_tcp_listen("9000"));
    EXPECT_TRUE(is_tcp_listen("/tmp/a:b.sock"));
    EXPECT_FALSE(is_tcp_listen("/tmp/a.sock"));
    EXPECT_FALSE(is_tcp_listen("php.sock"));
}

TEST(ListenAddress, splits_at_the_last_colon_and_strips_brackets)
{
    EXPECT_EQ(parsed("127.0.0.1:9000").host, "127.0.0.1");
    EXPECT_EQ(parsed("127.0.0.1:9000").port, 9000);
    EXPECT_EQ(parsed("[::1]:9000").host, "::1");
    EXPECT_EQ(parsed("::1:9000").host, "::1");
    EXPECT_EQ(parsed("localhost:1").host, "localhost");
    EXPECT_EQ(parsed(":9000").host, "");
    EXPECT_FALSE(parsed(":9000").any_host);
    EXPECT_TRUE(parsed("9000").any_host);
    EXPECT_EQ(parsed("9000").port, 9000);
}

TEST(ListenAddress, keeps_a_path)
{
    EXPECT_EQ(parsed("/run/php.sock").kind, ListenAddress::Kind::unix_socket);
    EXPECT_EQ(parsed("/run/php.sock").path, "/run/php.sock");
}

TEST(ListenAddress, refuses_ports_out_of_range)
{
    EXPECT_EQ(refusal("host:0"), "invalid port value '0'");
    EXPECT_EQ(refusal("host:65536"), "invalid port value '65536'");
    EXPECT_EQ(refusal("host:x"), "invalid port value 'x'");
    EXPECT_EQ(refusal("99999"), "invalid port value '99999'");
    EXPECT_EQ(refusal("host:65535"), "");
}

TEST(ListenAddress, names_sockets_as_fpm_sockets_does)
{
    EXPECT_EQ(fpm_sockets_key("::1", 9000), "::1:9000");
    EXPECT_EQ(fpm_sockets_key("/run/php.sock"), "/run/php.sock");
}

}  // namespace
}  // namespace ftm::config
