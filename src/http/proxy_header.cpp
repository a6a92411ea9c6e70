#include "http/proxy_header.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/ip_block.hpp"
#include "http/text.hpp"

namespace ftm::http {
namespace {

using Result = ProxyHeader::Result;

constexpr std::string_view kText = "PROXY ";
constexpr std::string_view kBinary("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kMaxLine = 107;  // its CRLF included
constexpr std::size_t kFixed = 16;     // of version 2

bool is_port(std::string_view text)
{
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port <= 65535 && text.size() <= 5;
}

ProxyHeader of(Result result)
{
    ProxyHeader header;
    header.result = result;
    return header;
}

// PROXY TCP4 CLIENT SERVER CLIENT-PORT SERVER-PORT
ProxyHeader parse_text(std::string_view bytes)
{
    const std::size_t end = bytes.substr(0, kMaxLine).find("\r\n");
    if (end == std::string_view::npos) {
        return of(bytes.size() < kMaxLine ? Result::need_more : Result::malformed);
    }
    std::vector<std::string_view> words;
    for (std::string_view rest = bytes.substr(0, end);;) {
        const std::size_t blank = rest.find(' ');
        words.push_back(rest.substr(0, blank));
        if (blank == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(blank + 1);
    }
    ProxyHeader header = of(Result::whole);
    header.size = end + 2;
    if (words[1] == "UNKNOWN") {
        return header;
    }
    if ((words[1] != "TCP4" && words[1] != "TCP6") || words.size() != 6 || !parse_ip(words[2]) || !parse_ip(words[3]) ||
        !is_port(words[4]) || !is_port(words[5])) {
        return of(Result::malformed);
    }
    header.names_client = true;
    header.client = words[2];
    header.server = words[3];
    header.client_port = words[4];
    header.server_port = words[5];
    return header;
}

unsigned big_endian(std::string_view bytes)
{
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[0])) << 8 | static_cast<unsigned char>(bytes[1]);
}

ProxyHeader parse_binary(std::string_view bytes)
{
    if (bytes.size() < kFixed) {
        return of(Result::need_more);
    }
    const unsigned command = static_cast<unsigned char>(bytes[12]);
    const unsigned family = static_cast<unsigned char>(bytes[13]);
    const std::size_t size = big_endian(bytes.substr(14));
    if (command >> 4 != 2 || (command & 15) > 1 || size > 4096) {
        return of(Result::malformed);
    }
    if (bytes.size() < kFixed + size) {
        return of(Result::need_more);
    }
    ProxyHeader header = of(Result::whole);
    header.size = kFixed + size;
    const int domain = family >> 4 == 1 ? AF_INET : family >> 4 == 2 ? AF_INET6 : AF_UNSPEC;
    if ((command & 15) == 0 || domain == AF_UNSPEC) {
        return header;
    }
    const std::size_t each = domain == AF_INET ? 4 : 16;
    const std::string_view addresses = bytes.substr(kFixed, size);
    if (addresses.size() < 2 * each + 4) {
        return of(Result::malformed);
    }
    char text[INET6_ADDRSTRLEN] = "";
    header.names_client = true;
    ::inet_ntop(domain, addresses.data(), text, sizeof text);
    header.client = text;
    ::inet_ntop(domain, addresses.data() + each, text, sizeof text);
    header.server = text;
    header.client_port = std::to_string(big_endian(addresses.substr(2 * each)));
    header.server_port = std::to_string(big_endian(addresses.substr(2 * each + 2)));
    return header;
}

bool begins_like(std::string_view bytes, std::string_view start)
{
    return bytes.substr(0, start.size()) == start.substr(0, bytes.size());
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes)
{
    for (const bool text : {true, false}) {
        const std::string_view start = text ? kText : kBinary;
        if (bytes.size() < start.size() && begins_like(bytes, start)) {
            return of(Result::need_more);
        }
        if (bytes.starts_with(start)) {
            return text ? parse_text(bytes) : parse_binary(bytes);
        }
    }
    return of(Result::none);
}

}  // namespace ftm::http
