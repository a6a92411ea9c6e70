// Control messages between master, host and engine over a SOCK_SEQPACKET pair, with descriptors (SCM_RIGHTS).
// Versioned (RULES 21): a peer of another version yields Kind::unknown. One reader and any number of writers per end.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace ftm {

struct Message {
    enum class Kind : std::uint16_t {
        unknown,
        // engine → host → master
        engine_started,   // args: pid, 1 = told again to the next master image, or on demand; fds: stdout and stderr read ends when output is caught
        engine_ready,     // args: pid
        engine_exited,    // args: pid, wait status, lifetime in µs, 1 = expected
        want_generation,  // opcache asked for a restart
        want_successor,   // engine → host: replace me; args: 1 = a context is stuck, which ends with SIGTERM; 2 = SIGQUIT
        connection,       // hand-over of one connection; fds: socket[, bodies][, payload memfd]; text: payload
        give_up,          // to a wounded engine: its time is over, die as the fault wanted
        failed,           // text: why nothing can be started
        // master → host → engine
        drain,            // args: deadline in ms, 1 = php-fpm follows and wants blocking sockets; fds: hand-over socket
        take_over,        // fds: hand-over socket to receive connections from
        reopen_logs,      // fds: the error_log, for descriptor 2
        claim,            // a new master image took this host over
        reloading,        // the master is about to exec
        stop,             // args: signal
        reopen_access_log,  // fds: the file
        start_engine,     // a client waits for an ondemand pool that has no engine
        // engine → host → master
        slow_trace,       // args: pid; text: backtrace for the slowlog
        left_listeners,   // a draining engine, or all of a draining host's, accept no more
        // engine → host
        engine_idle,      // an ondemand engine that nobody needs: has left its listeners, wants to be drained
        // engine → host → master and back, with process.max
        want_contexts,    // args: pid, contexts it has, how many more it wants, 0 for news only
        may_start         // args: pid, how many of these it may start
    };

    Kind kind = Kind::unknown;
    std::array<std::int64_t, 4> args{};
    std::string text;
    std::vector<UniqueFd> fds;
};

class Channel {
public:
    Channel() = default;
    explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}

    // Two connected ends, close-on-exec. Aborts when the system has no descriptors left for it.
    static std::pair<Channel, Channel> make();

    // Blocks while the peer is slow. False: the peer is gone.
    bool send(Message::Kind kind, std::array<std::int64_t, 4> args = {}, const std::string& text = {},
              const std::vector<int>& fds = {}) const;

    enum class Receive { message, nothing, closed };
    // Does not block.
    Receive receive(Message& out) const;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] bool valid() const noexcept { return fd_.valid(); }
    UniqueFd release() noexcept { return std::move(fd_); }
    void close() noexcept { fd_.reset(); }

private:
    UniqueFd fd_;
};

}  // namespace ftm
