#include "master/listening.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "master/socket_permissions.hpp"
#include "observe/log.hpp"

namespace ftm::master {
namespace {

using observe::Level;
using observe::log;
using observe::log_syserror;

constexpr std::size_t kPairsPerVariable = 128;
constexpr int kMaxVariables = 256;

std::string variable_name(int index) { return index == 0 ? "FPM_SOCKETS" : "FPM_SOCKETS_" + std::to_string(index); }

std::string bound_key(const sockaddr* address, int port)
{
    char host[INET6_ADDRSTRLEN] = "";
    const void* ip = address->sa_family == AF_INET6
                         ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
                         : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
    ::inet_ntop(address->sa_family, ip, host, sizeof host);
    return config::fpm_sockets_key(host, port);
}

bool listening(const config::Pool& pool, int fd, const std::string& what)
{
    if (::listen(fd, pool.listen_backlog) != 0) {
        log_syserror("failed to listen to address '%s'", what.c_str());
        return false;
    }
    return true;
}

}  // namespace

void ListeningSockets::import_inherited()
{
    for (int i = 0; i < kMaxVariables; ++i) {
        const char* value = ::getenv(variable_name(i).c_str());
        if (value == nullptr) {
            return;
        }
        std::string pairs = value;
        std::size_t at = 0;
        while (at < pairs.size()) {
            const std::size_t end = std::min(pairs.find(',', at), pairs.size());
            const std::string pair = pairs.substr(at, end - at);
            const std::size_t equals = pair.rfind('=');
            at = end + 1;
            if (equals == std::string::npos) {
                continue;
            }
            BoundSocket socket;
            socket.key = pair.substr(0, equals);
            const int fd = std::atoi(pair.c_str() + equals + 1);
            int listens = 0; // a number that means something else here must not be taken for it, and closed
            socklen_t size = sizeof listens;
            if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0 ||
                ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
                continue;
            }
            socket.fd.reset(fd);
            socket.unix_socket = socket.key.find('/') != std::string::npos;
            log(Level::notice, "using inherited socket fd=%d, \"%s\"", fd, socket.key.c_str());
            sockets_.push_back(std::move(socket));
        }
    }
}

int ListeningSockets::find(const std::string& key)
{
    for (BoundSocket& socket : sockets_) {
        if (socket.key == key) {
            socket.used = true;
            const int flags = ::fcntl(socket.fd.get(), F_GETFL);
            ::fcntl(socket.fd.get(), F_SETFL, flags | O_NONBLOCK);
            return socket.fd.get();
        }
    }
    return -1;
}

int ListeningSockets::open(const config::Pool& pool)
{
    return pool.listen_address.kind == config::ListenAddress::Kind::tcp ? open_tcp(pool) : open_unix(pool);
}

int ListeningSockets::open_unix(const config::Pool& pool)
{
    const auto permissions = SocketPermissions::resolve(pool);
    if (!permissions) {
        return -1;
    }
    std::string path = pool.listen_address.path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        const std::string cut = path.substr(0, sizeof address.sun_path - 1);
        log(Level::warning,
            "[pool %s] cannot bind to UNIX socket '%s' as path is too long (found length: %zu, maximal length: %zu), "
            "trying cut socket path instead '%s'",
            pool.name.c_str(), path.c_str(), path.size(), sizeof address.sun_path - 1, cut.c_str());
        path = cut;
    }
    const std::string key = config::fpm_sockets_key(path);
    if (const int inherited = find(key); inherited >= 0) {
        return inherited;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), generic, sizeof address) == 0) {
        log(Level::error, "Another FPM instance seems to already listen on %s", path.c_str());
        return -1;
    }
    BoundSocket socket;
    socket.key = key;
    socket.unix_socket = true;
    socket.used = true;
    socket.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.fd.valid()) {
        log_syserror("failed to create new listening socket: socket()");
        return -1;
    }
    ::unlink(path.c_str());
    const mode_t saved = ::umask(0777 & ~pool.listen_mode_bits());
    const int bound = ::bind(socket.fd.get(), generic, sizeof address);
    const int error = errno;
    ::umask(saved);
    if (bound != 0) {
        errno = error;
        log_syserror("unable to bind listening socket for address '%s'", pool.listen_address.path.c_str());
        return -1;
    }
    if (!permissions->apply(path) || !listening(pool, socket.fd.get(), pool.listen_address.path)) {
        return -1;
    }
    sockets_.push_back(std::move(socket));
    return sockets_.back().fd.get();
}

int ListeningSockets::open_tcp(const config::Pool& pool)
{
    if (const auto address = config::parse_listen_address(*pool.listen); !address) {
        log(Level::error, "%s", address.error().c_str());
        return -1;
    }
    if (!pool.listen_address.any_host) {
        return bind_tcp(pool, pool.listen_address.host, false);
    }
    if (const int fd = bind_tcp(pool, "::", true); fd >= 0) {
        return fd;
    }
    log(Level::notice, "Failed implicitly binding to ::, retrying with 0.0.0.0");
    return bind_tcp(pool, "0.0.0.0", false);
}

int ListeningSockets::bind_tcp(const config::Pool& pool, const std::string& host, bool quiet)
{
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string port = pool.listen->substr(pool.listen->rfind(':') + 1); // npos + 1: all of it
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
        log(Level::error, "getaddrinfo: %s", ::gai_strerror(error));
        return -1;
    }
    int result = -1;
    for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
        const std::string key = bound_key(a->ai_addr, pool.listen_address.port);
        if (result >= 0) {
            log(Level::warning, "Found multiple addresses for %s, %s ignored", host.c_str(),
                key.substr(0, key.rfind(':')).c_str());
            continue;
        }
        if (result = find(key); result >= 0) {
            continue;
        }
        BoundSocket socket;
        socket.key = key;
        socket.used = true;
        socket.fd.reset(::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket.fd.valid()) {
            if (!quiet) {
                log_syserror("failed to create new listening socket: socket()");
            }
            continue;
        }
        const int on = 1;
        if (::setsockopt(socket.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
            log(Level::warning, "failed to change socket attribute");
        }
        if (::bind(socket.fd.get(), a->ai_addr, a->ai_addrlen) != 0) {
            if (!quiet) {
                log_syserror("unable to bind listening socket for address '%s'", pool.listen->c_str());
            }
            continue;
        }
        if (!listening(pool, socket.fd.get(), *pool.listen)) {
            continue;
        }
        sockets_.push_back(std::move(socket));
        result = sockets_.back().fd.get();
    }
    ::freeaddrinfo(found);
    return result;
}

bool ListeningSockets::can_open(const config::Pool& pool)
{
    const std::size_t before = sockets_.size();
    const bool opened = open(pool) >= 0;
    for (std::size_t i = before; i < sockets_.size(); ++i) {
        if (sockets_[i].unix_socket) {
            ::unlink(sockets_[i].key.c_str());
        }
    }
    return opened;
}

void ListeningSockets::close_unused()
{
    const auto unused = [](BoundSocket& socket) {
        if (!socket.used && socket.unix_socket) {
            ::unlink(socket.key.c_str());
        }
        return !socket.used;
    };
    sockets_.erase(std::remove_if(sockets_.begin(), sockets_.end(), unused), sockets_.end());
}

void ListeningSockets::export_all()
{
    int variable = 0;
    for (std::size_t i = 0; i < sockets_.size(); i += kPairsPerVariable, ++variable) {
        std::string value;
        for (std::size_t j = i; j < std::min(i + kPairsPerVariable, sockets_.size()); ++j) {
            value += (value.empty() ? "" : ",") + sockets_[j].key + "=" + std::to_string(sockets_[j].fd.get());
            ::fcntl(sockets_[j].fd.get(), F_SETFD, 0);
        }
        ::setenv(variable_name(variable).c_str(), value.c_str(), 1);
    }
    ::unsetenv(variable_name(variable).c_str());
}

void ListeningSockets::unlink_all()
{
    for (const BoundSocket& socket : sockets_) {
        if (socket.unix_socket) {
            ::unlink(socket.key.c_str());
        }
    }
}

}  // namespace ftm::master
