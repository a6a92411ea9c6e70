// FastCGI (or, with --web, HTTP/1.1) load on one server over a Unix or loopback TCP socket: a fixed number of clients, each with one request at a
// time, on a kept connection or a new one per request. One thread, one epoll, no allocation per request, so that it
// takes little of the cores that it shares with the server. Every answer is checked; all runs are bounded.
// Without options: 8 clients, 10,000 requests, a new connection each. --help lists the rest.
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr Nanoseconds kStall = 10 * kSecond;  // no answer for so long ends the run
constexpr unsigned kMaxClients = 20'000;
constexpr std::uint64_t kMaxRequests = 50'000'000;
constexpr double kMaxSeconds = 600;

Nanoseconds now() noexcept
{
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * kSecond + t.tv_nsec;
}

// With the shortest slice (Linux 6.12), or what is measured is how long this process waits for a core.
void run_soon_after_waking() noexcept
{
    struct {
        std::uint32_t size, policy;
        std::uint64_t flags;
        std::int32_t nice;
        std::uint32_t priority;
        std::uint64_t runtime, deadline, period;
    } attributes{};
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0) {
        attributes.runtime = 100'000;
        ::syscall(SYS_sched_setattr, 0, &attributes, 0);
    }
}

[[noreturn]] void die(const char* what)
{
    std::fprintf(stderr, "fcgi_load: %s: %s\n", what, std::strerror(errno));
    std::exit(2);
}

// -------------------------------------------------------------------------------------------------------- options

constexpr char kUsage[] =
    "usage: fcgi_load [options] ADDRESS SCRIPT_FILENAME\n"
    "  ADDRESS               /path/of/socket or 127.0.0.1:port (loopback only)\n"
    "  -c, --clients=N       clients, each with one request at a time (8)\n"
    "  -k, --keep            each client keeps its connection; otherwise a new one per request\n"
    "  -n, --requests=N      requests in all (10000)\n"
    "  -t, --seconds=S       for so long, instead of a number of requests\n"
    "  -e, --expect=TEXT     body every answer must have (default: that of the first answer)\n"
    "  -a, --any-body        bodies may differ; only the status is checked\n"
    "  -b, --post=BYTES      POST with a body of so many bytes\n"
    "  -p, --param=NAME=VAL  sets, or with an empty value removes, a parameter; may be repeated\n"
    "  -i, --interval=MS     pause between two requests; one client only\n"
    "  -H, --hold            one request on each kept connection, then hold all idle until end of file on stdin\n"
    "  -w, --web             HTTP/1.1 for the script's name instead of FastCGI\n"
    "  -j, --json            one line of JSON instead of text\n";

struct Options {
    std::string address;
    std::string script;
    unsigned clients = 8;
    bool keep = false;
    std::uint64_t requests = 10'000;
    double seconds = 0;
    std::optional<std::string> expect;
    bool any_body = false;
    std::size_t post_bytes = 0;
    std::vector<std::pair<std::string, std::string>> params;
    unsigned interval_ms = 0;
    bool hold = false;
    bool web = false;
    bool json = false;
};

[[noreturn]] void usage(int code)
{
    std::fputs(kUsage, code == 0 ? stdout : stderr);
    std::exit(code);
}

Options parse_options(int argc, char** argv)
{
    static const option kLong[] = {
        {"clients", required_argument, nullptr, 'c'}, {"keep", no_argument, nullptr, 'k'},
        {"requests", required_argument, nullptr, 'n'}, {"seconds", required_argument, nullptr, 't'},
        {"expect", required_argument, nullptr, 'e'},  {"any-body", no_argument, nullptr, 'a'},
        {"post", required_argument, nullptr, 'b'},    {"param", required_argument, nullptr, 'p'},
        {"interval", required_argument, nullptr, 'i'},
        {"web", no_argument, nullptr, 'w'},
        {"hold", no_argument, nullptr, 'H'},          {"json", no_argument, nullptr, 'j'},
        {"help", no_argument, nullptr, 'h'},          {}};
    Options options;
    for (int c; (c = ::getopt_long(argc, argv, "c:kn:t:e:ab:p:i:Hwjh", kLong, nullptr)) != -1;) {
        const std::string_view text = optarg != nullptr ? optarg : "";
        switch (c) {
            case 'c': options.clients = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10)); break;
            case 'k': options.keep = true; break;
            case 'n': options.requests = std::strtoull(optarg, nullptr, 10); break;
            case 't': options.seconds = std::strtod(optarg, nullptr); break;
            case 'e': options.expect = text; break;
            case 'a': options.any_body = true; break;
            case 'b': options.post_bytes = std::strtoull(optarg, nullptr, 10); break;
            case 'p': {
                const std::size_t equals = text.find('=');
                if (equals == std::string_view::npos) {
                    usage(2);
                }
                options.params.emplace_back(text.substr(0, equals), text.substr(equals + 1));
                break;
            }
            case 'i': options.interval_ms = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10)); break;
            case 'H': options.hold = options.keep = true; break;
            case 'w': options.web = true; break;
            case 'j': options.json = true; break;
            case 'h': usage(0);
            default: usage(2);
        }
    }
    const bool paused_alone = options.interval_ms == 0 || (options.interval_ms <= 1000 && options.clients == 1);
    if (argc - optind != 2 || !paused_alone || options.clients == 0 || options.clients > kMaxClients ||
        options.requests == 0 || options.requests > kMaxRequests || options.seconds < 0 || options.seconds > kMaxSeconds) {
        usage(2);
    }
    options.address = argv[optind];
    options.script = argv[optind + 1];
    if (options.seconds != 0) {
        options.requests = kMaxRequests;
    }
    if (options.hold) {
        options.requests = options.clients;
        options.seconds = 0;
    }
    return options;
}

// ----------------------------------------------------------------------------------------------------- the request

constexpr char kBegin = 1, kEnd = 3, kParams = 4, kStdin = 5, kStdout = 6;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kMaxContent = 65'528;

void append_record(std::string& out, char type, std::string_view content)
{
    const char header[kHeader] = {1, type, 0, 1, static_cast<char>(content.size() >> 8),
                                  static_cast<char>(content.size()), 0, 0};
    out.append(header, kHeader);
    out.append(content);
}

void append_stream(std::string& out, char type, std::string_view content)
{
    for (; !content.empty(); content.remove_prefix(std::min(content.size(), kMaxContent))) {
        append_record(out, type, content.substr(0, kMaxContent));
    }
    append_record(out, type, {});
}

void append_length(std::string& out, std::size_t n)
{
    if (n < 128) {
        out.push_back(static_cast<char>(n));
        return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((n >> shift & 0xff) | (shift == 24 ? 0x80 : 0)));
    }
}

// What nginx's fastcgi.conf and a browser make of one page view.
std::string params_block(const Options& options)
{
    const std::size_t slash = options.script.rfind('/');
    const std::string root = options.script.substr(0, slash);
    const std::string name = options.script.substr(slash == std::string::npos ? 0 : slash);
    const bool post = options.post_bytes != 0;
    std::vector<std::pair<std::string, std::string>> params = {
        {"SCRIPT_FILENAME", options.script},
        {"QUERY_STRING", ""},
        {"REQUEST_METHOD", post ? "POST" : "GET"},
        {"CONTENT_TYPE", post ? "application/octet-stream" : ""},
        {"CONTENT_LENGTH", post ? std::to_string(options.post_bytes) : ""},
        {"SCRIPT_NAME", name},
        {"REQUEST_URI", name},
        {"DOCUMENT_URI", name},
        {"DOCUMENT_ROOT", root},
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"REQUEST_SCHEME", "http"},
        {"GATEWAY_INTERFACE", "CGI/1.1"},
        {"SERVER_SOFTWARE", "nginx/1.26.3"},
        {"REMOTE_ADDR", "127.0.0.1"},
        {"REMOTE_PORT", "52312"},
        {"SERVER_ADDR", "127.0.0.1"},
        {"SERVER_PORT", "80"},
        {"SERVER_NAME", "localhost"},
        {"REDIRECT_STATUS", "200"},
        {"HTTP_HOST", "localhost"},
        {"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
        {"HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"},
        {"HTTP_ACCEPT_ENCODING", "gzip, deflate, br"},
        {"HTTP_CONNECTION", "keep-alive"},
        {"HTTP_COOKIE", "session=0123456789abcdef0123456789abcdef; consent=yes"},
    };
    for (const auto& [key, value] : options.params) {
        std::erase_if(params, [&key = key](const auto& param) { return param.first == key; });
        if (!value.empty()) {
            params.emplace_back(key, value);
        }
    }
    std::string block;
    for (const auto& [key, value] : params) {
        append_length(block, key.size());
        append_length(block, value.size());
        block += key;
        block += value;
    }
    return block;
}

std::string request_bytes(const Options& options)
{
    std::string out;
    if (options.web) {
        out = (options.post_bytes != 0 ? "POST " : "GET ") + options.script.substr(options.script.rfind('/')) + " HTTP/1.1\r\nHost: localhost\r\n";
        for (const std::string_view field :
             {"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Accept-Language: en-US,en;q=0.5",
              "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Encoding: gzip, deflate, br",
              "Cookie: session=0123456789abcdef0123456789abcdef; consent=yes"}) {
            out.append(field).append("\r\n");
        }
        out += options.keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
        if (options.post_bytes != 0) {
            out += "Content-Length: " + std::to_string(options.post_bytes) + "\r\n";
        }
        return out + "\r\n" + std::string(options.post_bytes, 'x');
    }
    const char begin[8] = {0, 1, static_cast<char>(options.keep ? 1 : 0), 0, 0, 0, 0, 0};
    append_record(out, kBegin, {begin, sizeof begin});
    append_stream(out, kParams, params_block(options));
    append_stream(out, kStdin, std::string(options.post_bytes, 'x'));
    return out;
}

// -------------------------------------------------------------------------------------------------------- latencies

// 64 buckets per power of two: 1.6 % resolution, a few hundred cache lines.
class Histogram {
public:
    void add(Nanoseconds value) noexcept
    {
        ++counts_[bucket(static_cast<std::uint64_t>(std::max<Nanoseconds>(value, 0)))];
        ++total_;
        max_ = std::max(max_, value);
    }
    [[nodiscard]] Nanoseconds quantile(double q) const noexcept
    {
        const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted) {
                return std::min(lower_bound(i), max_);
            }
        }
        return max_;
    }
    [[nodiscard]] Nanoseconds max() const noexcept { return max_; }

private:
    static constexpr unsigned kBits = 6;

    static std::size_t bucket(std::uint64_t value) noexcept
    {
        const unsigned width = static_cast<unsigned>(std::bit_width(value));
        if (width <= kBits + 1) {
            return value;
        }
        const unsigned shift = width - kBits - 1;
        return (std::size_t{shift} << kBits) + (value >> shift);
    }
    static Nanoseconds lower_bound(std::size_t index) noexcept
    {
        if (index < std::size_t{2} << kBits) {
            return static_cast<Nanoseconds>(index);
        }
        const std::size_t shift = (index >> kBits) - 1;
        return static_cast<Nanoseconds>((index - (shift << kBits)) << shift);
    }

    std::array<std::uint64_t, (64 - kBits) << kBits> counts_{};
    std::uint64_t total_ = 0;
    Nanoseconds max_ = 0;
};

// ------------------------------------------------------------------------------------------------------ the clients

struct Client {
    int fd = -1;
    bool waiting = false;      // a request is under way
    bool wants_write = false;  // registered for EPOLLOUT
    std::size_t sent = 0;
    Nanoseconds since = 0;
    std::uint64_t served = 0;
    std::string input;   // an incomplete record
    std::string answer;  // STDOUT of the request under way
};

struct Address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    int family = AF_UNIX;
};

Address parse_address(const std::string& text)
{
    Address address;
    if (text.starts_with('/')) {
        auto* un = reinterpret_cast<sockaddr_un*>(&address.bytes);
        if (text.size() >= sizeof un->sun_path) {
            usage(2);
        }
        un->sun_family = AF_UNIX;
        std::memcpy(un->sun_path, text.c_str(), text.size() + 1);
        address.size = sizeof *un;
        return address;
    }
    const std::size_t colon = text.rfind(':');
    auto* in = reinterpret_cast<sockaddr_in*>(&address.bytes);
    in->sin_family = AF_INET;
    if (colon == std::string::npos || ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &in->sin_addr) != 1 ||
        (ntohl(in->sin_addr.s_addr) >> 24) != 127) {
        usage(2);
    }
    in->sin_port = htons(static_cast<std::uint16_t>(std::strtoul(text.c_str() + colon + 1, nullptr, 10)));
    address.family = AF_INET;
    address.size = sizeof *in;
    return address;
}

class Load {
public:
    explicit Load(const Options& options)
        : options_(options), address_(parse_address(options.address)), request_(request_bytes(options)),
          clients_(options.clients), epoll_(::epoll_create1(EPOLL_CLOEXEC))
    {
        if (epoll_ < 0) {
            die("epoll_create1");
        }
    }

    void run();
    void hold();
    int report() const;

private:
    void start_clients();
    void start(unsigned index);
    bool connect(unsigned index);
    void send(unsigned index);
    void receive(unsigned index);
    bool consume(Client& client, std::string_view input);
    bool consume_web(Client& client, std::string_view input);
    void answered(unsigned index);
    void broken(unsigned index, const char* why);
    void close(Client& client);
    void fail(const char* why) { ++failures_[why]; }
    const char* wrong(std::string_view answer);
    [[nodiscard]] bool over() const { return over_; }

    const Options options_;
    const Address address_;
    const std::string request_;
    std::vector<Client> clients_;
    const int epoll_;
    std::vector<unsigned> retry_;  // to be started again soon: the backlog was full, or the connection broke
    unsigned unstarted_ = 0;       // clients from here on have not begun (a bounded number begins at a time)
    unsigned under_way_ = 0;
    std::uint64_t issued_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t backlog_full_ = 0;
    std::uint64_t lost_ = 0;
    bool over_ = false;
    Nanoseconds begin_ = 0;
    Nanoseconds end_ = 0;
    Nanoseconds now_ = 0;
    std::string good_;  // a whole answer that was right
    std::map<std::string, std::uint64_t> failures_;
    Histogram latencies_;
    std::array<char, 65'536> buffer_;
};

void Load::close(Client& client)
{
    ::close(client.fd);
    client.fd = -1;
    client.waiting = client.wants_write = false;
    client.input.clear();
    client.answer.clear();
}

bool Load::connect(unsigned index)
{
    Client& client = clients_[index];
    client.fd = ::socket(address_.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client.fd < 0) {
        die("socket");
    }
    if (address_.family == AF_INET) {
        const int one = 1;
        ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    const auto* address = reinterpret_cast<const sockaddr*>(&address_.bytes);
    if (::connect(client.fd, address, address_.size) != 0 && errno != EINPROGRESS) {
        const bool full = errno == EAGAIN;
        close(client);
        if (full) {
            ++backlog_full_;
            retry_.push_back(index);
        } else {
            fail("connect");
            over_ = true;  // no server: nothing would come of going on
        }
        return false;
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u32 = index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) != 0) {
        die("epoll_ctl");
    }
    return true;
}

void Load::start(unsigned index)
{
    Client& client = clients_[index];
    if (client.since == 0) {
        client.since = now_;
        ++under_way_;
        ++issued_;
    }
    if (client.fd < 0 && !connect(index)) {
        return;
    }
    client.waiting = true;
    client.sent = 0;
    send(index);
}

void Load::send(unsigned index)
{
    Client& client = clients_[index];
    while (client.sent < request_.size()) {
        const ssize_t n = ::send(client.fd, request_.data() + client.sent, request_.size() - client.sent, MSG_NOSIGNAL);
        if (n > 0) {
            client.sent += static_cast<std::size_t>(n);
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else {
            broken(index, "send");
            return;
        }
    }
    const bool wants_write = client.sent < request_.size();
    if (wants_write != client.wants_write) {
        client.wants_write = wants_write;
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET | (wants_write ? EPOLLOUT : 0u);
        event.data.u32 = index;
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
    }
}

// The connection ended before the answer did.
void Load::broken(unsigned index, const char* why)
{
    Client& client = clients_[index];
    fail(why);
    close(client);
    client.since = 0;
    --under_way_;
    ++done_;
    if (issued_ < options_.requests) {
        retry_.push_back(index);
    }
}

// nullptr: the answer is as it should be.
const char* Load::wrong(std::string_view answer)
{
    const std::size_t end = answer.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        return "no header block";
    }
    const std::string_view head = answer.substr(0, end);
    if (options_.web ? !head.starts_with("HTTP/1.1 200 ") : head.starts_with("Status:") || head.find("\nStatus:") != std::string_view::npos) {
        return "status";
    }
    const std::string_view body = answer.substr(end + 4);
    if (options_.any_body) {
        return nullptr;
    }
    if (options_.expect ? body != *options_.expect
                        : !good_.empty() && body != std::string_view(good_).substr(good_.find("\r\n\r\n") + 4)) {
        return "body";
    }
    good_ = answer;
    return nullptr;
}

void Load::answered(unsigned index)
{
    Client& client = clients_[index];
    now_ = now();
    latencies_.add(now_ - client.since);
    if (client.answer != good_ || good_.empty()) {
        if (const char* why = wrong(client.answer)) {
            fail(why);
        }
    }
    client.answer.clear();
    client.waiting = false;
    client.since = 0;
    ++client.served;
    ++done_;
    --under_way_;
    if (!options_.keep) {
        close(client);
    }
    if (options_.seconds != 0 ? now_ >= end_ : issued_ >= options_.requests) {
        over_ = over_ || options_.seconds != 0 || done_ >= options_.requests;
        return;
    }
    if (!options_.hold) {
        if (options_.interval_ms != 0) {
            ::usleep(options_.interval_ms * 1000);
            now_ = now();
        }
        start(index);
    }
}

// Takes whole records from the input and keeps the rest. True: the request has ended.
// Answers of a known length only.
bool Load::consume_web(Client& client, std::string_view input)
{
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    client.answer.append(input);
    const std::size_t end = client.answer.find("\r\n\r\n");
    const std::size_t length = client.answer.find(kLength);
    return end != std::string::npos && length < end &&
           client.answer.size() - end - 4 >= std::strtoull(client.answer.c_str() + length + kLength.size(), nullptr, 10);
}

bool Load::consume(Client& client, std::string_view input)
{
    if (options_.web) {
        return consume_web(client, input);
    }
    if (!client.input.empty()) {
        client.input.append(input);
        input = client.input;
    }
    bool ended = false;
    while (input.size() >= kHeader && !ended) {
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(input[i]); };
        const std::size_t content = static_cast<std::size_t>(byte(4)) << 8 | byte(5);
        const std::size_t whole = kHeader + content + byte(6);
        if (input.size() < whole) {
            break;
        }
        if (input[1] == kStdout) {
            client.answer.append(input.substr(kHeader, content));
        } else if (input[1] == kEnd) {
            ended = true;
            if (content < 5 || byte(kHeader + 4) != 0) {
                fail("protocol status");
            }
        }
        input.remove_prefix(whole);
    }
    if (input.empty()) {
        client.input.clear();
    } else {
        client.input = std::string(input);
    }
    return ended;
}

void Load::receive(unsigned index)
{
    Client& client = clients_[index];
    for (;;) {
        const ssize_t n = ::recv(client.fd, buffer_.data(), buffer_.size(), 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            if (client.waiting) {
                broken(index, n == 0 ? "closed" : "reset");
            } else {
                ++lost_;
                close(client);
            }
            return;
        }
        if (consume(client, {buffer_.data(), static_cast<std::size_t>(n)})) {
            answered(index);
            return;  // the next answer is a new edge
        }
        if (static_cast<std::size_t>(n) < buffer_.size()) {
            return;
        }
    }
}

// Holding thousands of connections is no reason to open them all at once.
void Load::start_clients()
{
    const unsigned window = options_.hold ? 64 : options_.clients;
    while (unstarted_ < options_.clients && under_way_ < window && issued_ < options_.requests && retry_.empty() &&
           !over_) {
        start(unstarted_++);
    }
}

void Load::run()
{
    begin_ = now_ = now();
    end_ = begin_ + static_cast<Nanoseconds>(options_.seconds * static_cast<double>(kSecond));
    std::uint64_t done_before = 0;
    Nanoseconds progress = now_;
    std::array<epoll_event, 64> events;
    start_clients();
    while (!over()) {
        const int n = ::epoll_wait(epoll_, events.data(), events.size(), retry_.empty() ? 50 : 1);
        if (n < 0 && errno != EINTR) {
            die("epoll_wait");
        }
        for (int i = 0; i < n && !over(); ++i) {
            const unsigned index = events[static_cast<std::size_t>(i)].data.u32;
            const std::uint32_t flags = events[static_cast<std::size_t>(i)].events;
            if ((flags & EPOLLOUT) != 0 && clients_[index].wants_write) {
                send(index);
            }
            if ((flags & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && clients_[index].fd >= 0) {
                receive(index);
            }
        }
        if (!over() && !retry_.empty()) {
            for (const unsigned index : std::exchange(retry_, {})) {
                start(index);
            }
        }
        start_clients();
        if (n == 0 || done_ != done_before) {
            now_ = now();
            if (done_ != done_before) {
                done_before = done_;
                progress = now_;
            }
        }
        if (options_.seconds != 0 && now_ >= end_) {
            break;
        }
        if (done_ >= options_.requests && options_.seconds == 0) {
            break;
        }
        if (now_ - progress > kStall) {
            fail("stalled");
            break;
        }
    }
    now_ = now();
}

void Load::hold()
{
    std::printf("holding %llu\n", static_cast<unsigned long long>(done_));
    std::fflush(stdout);
    pollfd input{STDIN_FILENO, POLLIN, 0};
    char byte;
    while (::poll(&input, 1, static_cast<int>(kMaxSeconds) * 1000) > 0 && ::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    for (const Client& client : clients_) {
        if (client.fd < 0 || ::recv(client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN) {
            ++lost_;
        }
    }
}

double milliseconds(Nanoseconds n) { return static_cast<double>(n) / 1e6; }

double own_cpu_seconds()
{
    timespec t;
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

int Load::report() const
{
    std::vector<std::uint64_t> served;
    Nanoseconds oldest = 0;
    for (const Client& client : clients_) {
        served.push_back(client.served);
        if (client.since != 0) {
            oldest = std::max(oldest, now_ - client.since);
        }
    }
    std::sort(served.begin(), served.end());
    const auto never = static_cast<unsigned>(std::upper_bound(served.begin(), served.end(), 0u) - served.begin());
    std::uint64_t failed = 0;
    for (const auto& [why, count] : failures_) {
        failed += count;
    }
    const double elapsed = static_cast<double>(now_ - begin_) / 1e9;
    const double rate = static_cast<double>(done_) / elapsed;
    const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    const char* format =
        options_.json
            ? "{\"requests\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,"
              "\"failed\":%llu,\"lost\":%llu,\"backlog_full\":%llu,\"served_min\":%llu,\"served_median\":%llu,"
              "\"served_max\":%llu,\"never_served\":%u,\"clients\":%u,\"oldest_unanswered_ms\":%.4f,\"own_cpu\":%.6f"
            : "%llu requests in %.3f s: %.0f/s; latency p50 %.3f ms, p99 %.3f, max %.3f\n"
              "%llu failed, %llu idle connections lost, %llu times the backlog was full\n"
              "served per connection: least %llu, median %llu, most %llu; %u of %u never\n"
              "oldest request left unanswered %.1f ms; own CPU %.3f s";
    std::printf(format, number(done_), elapsed, rate, milliseconds(latencies_.quantile(0.5)),
                milliseconds(latencies_.quantile(0.99)), milliseconds(latencies_.max()), number(failed), number(lost_),
                number(backlog_full_), number(served.front()), number(served[served.size() / 2]),
                number(served.back()), never, options_.clients, milliseconds(oldest), own_cpu_seconds());
    std::printf(options_.json ? ",\"failures\":{" : "\n");
    const char* separator = "";
    for (const auto& [why, count] : failures_) {
        std::printf(options_.json ? "%s\"%s\":%llu" : "%sfailed (%s): %llu\n", separator, why.c_str(), number(count));
        separator = options_.json ? "," : "";
    }
    std::printf("%s", options_.json ? "}}\n" : "");
    return failed == 0 && lost_ == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv)
{
    const Options options = parse_options(argc, argv);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (options.interval_ms != 0) {
        run_soon_after_waking();
    }
    Load load(options);
    load.run();
    if (options.hold) {
        load.hold();
    }
    return load.report();
}
