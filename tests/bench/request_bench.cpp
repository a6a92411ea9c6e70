// What one ordinary request from nginx costs before PHP sees it: parsing, decoding into a table, resolving the script.
#include <benchmark/benchmark.h>

#include "fcgi/conversation.hpp"
#include "php/script_resolution.hpp"
#include "request/param_table.hpp"

namespace {

using namespace ftm;

std::string nginx_block()
{
    std::string block;
    const std::pair<const char*, const char*> parameters[] = {
        {"QUERY_STRING", "p=1&preview=true"},
        {"REQUEST_METHOD", "GET"},
        {"CONTENT_TYPE", ""},
        {"CONTENT_LENGTH", ""},
        {"SCRIPT_NAME", "/index.php"},
        {"REQUEST_URI", "/index.php?p=1&preview=true"},
        {"DOCUMENT_URI", "/index.php"},
        {"DOCUMENT_ROOT", "/srv/www/site/public"},
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"REQUEST_SCHEME", "https"},
        {"HTTPS", "on"},
        {"GATEWAY_INTERFACE", "CGI/1.1"},
        {"SERVER_SOFTWARE", "nginx/1.22.1"},
        {"REMOTE_ADDR", "192.0.2.17"},
        {"REMOTE_PORT", "52312"},
        {"SERVER_ADDR", "192.0.2.1"},
        {"SERVER_PORT", "443"},
        {"SERVER_NAME", "www.example.org"},
        {"REDIRECT_STATUS", "200"},
        {"SCRIPT_FILENAME", "/srv/www/site/public/index.php"},
        {"HTTP_HOST", "www.example.org"},
        {"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
        {"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"},
        {"HTTP_ACCEPT_ENCODING", "gzip, deflate, br"},
        {"HTTP_COOKIE", "session=0123456789abcdef0123456789abcdef; consent=yes; theme=dark"},
        {"HTTP_CONNECTION", "keep-alive"},
        {"HTTP_UPGRADE_INSECURE_REQUESTS", "1"},
        {"HTTP_SEC_FETCH_DEST", "document"},
        {"HTTP_SEC_FETCH_MODE", "navigate"},
    };
    for (const auto& [name, value] : parameters) {
        fcgi::append_pair(block, name, value);
    }
    return block;
}

// One received buffer, one whole request.
void parse(fcgi::ConnectionMachine& machine, std::string_view input)
{
    for (;;) {
        const fcgi::Step step = machine.step(input);
        input.remove_prefix(step.consumed);
        if (step.kind == fcgi::StepKind::stdin_end) {
            return;
        }
    }
}

bool decode(const fcgi::ConnectionMachine& machine, request::ParamTable& table)
{
    const std::string_view block = machine.params(1);
    table.reserve(block.size());
    return fcgi::decode_params(block, [&](std::string_view name, std::string_view value) { table.set(name, value); });
}

void bench_parse(benchmark::State& state)
{
    const std::string input = fcgi::testing::get_request(1, nginx_block());
    fcgi::ConnectionMachine machine({}, {});
    for (auto _ : state) {
        parse(machine, input);
        machine.request_ended(1);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * input.size()));
}
BENCHMARK(bench_parse);

void bench_parse_and_decode(benchmark::State& state)
{
    const std::string input = fcgi::testing::get_request(1, nginx_block());
    fcgi::ConnectionMachine machine({}, {});
    request::ParamTable table;
    for (auto _ : state) {
        parse(machine, input);
        benchmark::DoNotOptimize(decode(machine, table));
        table.clear();
        machine.request_ended(1);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * input.size()));
}
BENCHMARK(bench_parse_and_decode);

void bench_parse_decode_and_resolve(benchmark::State& state)
{
    const std::string input = fcgi::testing::get_request(1, nginx_block());
    fcgi::ConnectionMachine machine({}, {});
    request::ParamTable table;
    php::FileProbe found;  // without the file system's time
    found.is_regular_file = [](const char*, void*) noexcept { return true; };
    found.exists = [](const char*, void*) noexcept { return true; };
    for (auto _ : state) {
        parse(machine, input);
        benchmark::DoNotOptimize(decode(machine, table));
        benchmark::DoNotOptimize(php::resolve_script(table, {}, found));
        table.clear();
        machine.request_ended(1);
    }
}
BENCHMARK(bench_parse_decode_and_resolve);

}  // namespace
