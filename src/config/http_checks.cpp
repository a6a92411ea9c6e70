// The directives of a pool's HTTP listener.
#include <string_view>
#include <utility>

#include "base/ip_block.hpp"
#include "base/words.hpp"
#include "config/pool_checks.hpp"
#include "config/text.hpp"

namespace ftm::config {
namespace {

bool given(const std::optional<std::string>& text) { return text && !text->empty(); }

// The first entry of http.trusted_proxies that is none; empty if all are well.
std::string wrong_proxy(std::string_view list)
{
    for (const std::string_view one : words(list, ", \t")) {
        if (one != "unix:" && !parse_ip_block(one)) {
            return std::string(one);
        }
    }
    return {};
}

}  // namespace

// As for listen and chdir.
bool PoolChecks::check_http(Pool& pool)
{
    if (!given(pool.http_listen)) {
        return true;
    }
    if (!given(pool.http_root)) {
        return refuse(pool, "'http.root' must be specified for use with 'http.listen'");
    }
    pool.http_root = full(*pool.http_root, pool);
    if (!starts_with_slash(*pool.http_root)) {
        return refuse(pool, "the http.root path '" + *pool.http_root + "' must start with a '/'");
    }
    const std::string inside = (pool.chroot ? *pool.chroot + "/" : std::string()) + *pool.http_root;
    if (!environment_.is_directory(inside)) {
        return refuse(pool, "the http.root path '" + inside + "' does not exist or is not a directory");
    }
    if (pool.http_index && pool.http_index->find('/') != std::string::npos) {
        return refuse(pool, "the http.index '" + *pool.http_index + "' must not contain a '/'");
    }
    for (const auto& [name, value] : {std::pair{"http.request_timeout", pool.http_request_timeout},
                                      std::pair{"http.keepalive_timeout", pool.http_keepalive_timeout}}) {
        if (value.count() < 0) {
            return refuse(pool, std::string(name) + "(" + std::to_string(value.count()) + ") must not be negative");
        }
    }
    if (const std::string wrong = wrong_proxy(pool.http_trusted_proxies.value_or("")); !wrong.empty()) {
        return refuse(pool, "Wrong IP address '" + wrong + "' in http.trusted_proxies");
    }
    if (!is_tcp_listen(*pool.http_listen)) {
        pool.http_listen = full(*pool.http_listen, pool);
    }
    Pool http = pool;
    http.listen = pool.http_listen;
    const auto address = parse_listen_address(*http.listen);
    if (!address) {
        return refuse(pool, "http.listen: " + address.error());
    }
    http.listen_address = address.value();
    config_.http_pools.push_back(std::move(http));
    return true;
}

}  // namespace ftm::config
