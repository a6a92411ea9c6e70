// Paths, proxies and what they say.
#include "http/target.hpp"

#include <gtest/gtest.h>

#include "http/proxy_header.hpp"
#include "http/trusted_proxies.hpp"

namespace ftm::http {
namespace {

std::string path_of(std::string_view target)
{
    Target out;
    return parse_target(target, out) ? out.path : "refused";
}

TEST(Target, is_a_path_in_the_root)
{
    EXPECT_EQ(path_of("/"), "/");
    EXPECT_EQ(path_of("/a/b?c/../d"), "/a/b");
    EXPECT_EQ(path_of("//a///b//"), "/a/b/");
    EXPECT_EQ(path_of("/a/./b/."), "/a/b/");
    EXPECT_EQ(path_of("/a/b/../c"), "/a/c");
    EXPECT_EQ(path_of("/a/b/.."), "/a/");
    EXPECT_EQ(path_of("/a/.."), "/");
    EXPECT_EQ(path_of("/%61%2Fb%20c"), "/a/b c");
    EXPECT_EQ(path_of("/a+b"), "/a+b");
    EXPECT_EQ(path_of("/.../a"), "/.../a");
}

TEST(Target, does_not_leave_it)
{
    for (const char* target : {"/..", "/../etc/passwd", "/%2e%2e/x", "/%2e./x", "/a/../../x", "/a/%2e%2e/%2e%2e/x", "/..%2fx", "/a%00b",
                               "/%", "/%4", "/%zz", "", "a"}) {
        EXPECT_EQ(path_of(target), "refused") << target;
    }
}

TEST(Target, keeps_the_query_as_it_is)
{
    Target out;
    ASSERT_TRUE(parse_target("/a?b=%20?c", out));
    EXPECT_EQ(out.query, "b=%20?c");
    EXPECT_EQ(encode_path("/a b/\"<ä"), "/a%20b/%22%3C%C3%A4");
}

TEST(ProxyHeader, version_1)
{
    const ProxyHeader header = parse_proxy_header("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /");
    EXPECT_EQ(header.result, ProxyHeader::Result::whole);
    EXPECT_EQ(header.size, 42u);
    EXPECT_EQ(header.client + " " + header.client_port + " " + header.server + " " + header.server_port, "192.0.2.1 56324 192.0.2.2 443");
    EXPECT_FALSE(parse_proxy_header("PROXY UNKNOWN\r\n").names_client);
    EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN\r\n").result, ProxyHeader::Result::whole);
    for (const char* part : {"P", "PROXY", "PROXY TCP4 192.0.2.1 192"}) {
        EXPECT_EQ(parse_proxy_header(part).result, ProxyHeader::Result::need_more) << part;
    }
    for (const char* wrong : {"PROXY TCP4 x 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 70000\r\n", "PROXY TCP5 a b 1 2\r\n",
                              "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"}) {
        EXPECT_EQ(parse_proxy_header(wrong).result, ProxyHeader::Result::malformed) << wrong;
    }
    EXPECT_EQ(parse_proxy_header("PROXY " + std::string(120, 'x')).result, ProxyHeader::Result::malformed);
    EXPECT_EQ(parse_proxy_header("GET / HTTP/1.1\r\n").result, ProxyHeader::Result::none);
}

TEST(ProxyHeader, version_2)
{
    const std::string fixed("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16);
    const std::string addresses("\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", 12);
    const ProxyHeader header = parse_proxy_header(fixed + addresses + "GET /");
    EXPECT_EQ(header.result, ProxyHeader::Result::whole);
    EXPECT_EQ(header.size, 28u);
    EXPECT_EQ(header.client + " " + header.client_port + " " + header.server + " " + header.server_port, "192.0.2.1 56324 192.0.2.2 443");
    for (std::size_t cut = 1; cut < 28; ++cut) {
        EXPECT_EQ(parse_proxy_header((fixed + addresses).substr(0, cut)).result, ProxyHeader::Result::need_more) << cut;
    }
    EXPECT_FALSE(parse_proxy_header(std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16)).names_client);
    EXPECT_EQ(parse_proxy_header(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\4abcd", 20)).result, ProxyHeader::Result::malformed);
    EXPECT_EQ(parse_proxy_header(std::string("\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", 16)).result, ProxyHeader::Result::malformed);
}

TEST(TrustedProxies, addresses_blocks_and_unix)
{
    std::vector<std::string> wrong;
    const TrustedProxies proxies("127.0.0.1, 10.0.0.0/8 fd00::/8,unix:,no,1.2.3.4/33", wrong);
    EXPECT_EQ(wrong, (std::vector<std::string>{"no", "1.2.3.4/33"}));
    EXPECT_TRUE(proxies.trusts_unix());
    for (const char* one : {"127.0.0.1", "10.255.3.4", "fd12::1", "::ffff:10.0.0.1"}) {
        EXPECT_TRUE(proxies.trusts(*parse_ip(one))) << one;
    }
    for (const char* one : {"127.0.0.2", "11.0.0.1", "fe00::1", "::1"}) {
        EXPECT_FALSE(proxies.trusts(*parse_ip(one))) << one;
    }
}

TEST(TrustedProxies, the_last_address_that_is_not_one_is_the_clients)
{
    std::vector<std::string> wrong;
    const TrustedProxies proxies("10.0.0.0/8", wrong);
    const auto client = [&](std::string_view chain) {
        Head head;
        head.fields = {{"X-Forwarded-For", chain}};
        return forwarded(head, proxies).client;
    };
    EXPECT_EQ(client("192.0.2.9"), "192.0.2.9");
    EXPECT_EQ(client("6.6.6.6, 192.0.2.9, 10.1.1.1"), "192.0.2.9");
    EXPECT_EQ(client("10.1.1.2, 10.1.1.1"), "10.1.1.2");
    EXPECT_EQ(client("192.0.2.9:1234"), "192.0.2.9");
    EXPECT_EQ(client("[2001:db8::1]:443"), "2001:db8::1");
    EXPECT_EQ(client("2001:db8::1"), "2001:db8::1");
    EXPECT_EQ(client("192.0.2.9, evil"), "");
    EXPECT_EQ(client(""), "");
    Head head;
    head.fields = {{"X-Forwarded-Proto", "http, https"}, {"x-forwarded-host", "a.example:8443"}, {"X-Forwarded-Port", "x"}};
    EXPECT_EQ(forwarded(head, proxies).proto, "https");
    EXPECT_EQ(forwarded(head, proxies).host, "a.example:8443");
    EXPECT_EQ(forwarded(head, proxies).port, "");
    head.fields = {{"X-Forwarded-Proto", "javascript"}, {"X-Forwarded-Host", "a/b"}};
    EXPECT_EQ(forwarded(head, proxies).proto, "");
    EXPECT_EQ(forwarded(head, proxies).host, "");
}

}  // namespace
}  // namespace ftm::http
