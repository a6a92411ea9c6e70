// The ready set: one epoll instance with the engine's listeners, every idle or half-read connection, and an eventfd for
// queued work, all edge-triggered (DESIGN 3, RULES 1-2). epoll data is a table index and a generation, never a pointer.
// Threads: any.
#pragma once

#include <cstdint>

#include "base/unique_fd.hpp"

namespace ftm::engine {

struct Event {
    enum class Kind { none, listener, work, session };
    Kind kind = Kind::none;
    std::uint32_t index = 0;  // of the listener or session
    std::uint32_t generation = 0;
    std::uint32_t flags = 0;  // EPOLLIN …
};

class ReadySet {
public:
    ReadySet();

    void add_listener(int fd, std::uint32_t index) const;
    void rearm_listener(int fd, std::uint32_t index) const;
    // False: the kernel refused (memory).
    bool add_session(int fd, std::uint32_t index, std::uint32_t generation) const;
    void rearm_session(int fd, std::uint32_t index, std::uint32_t generation) const;
    void remove(int fd) const;

    // One event; -1 waits for it. The kernel wakes exactly one waiter per event.
    [[nodiscard]] Event wait(int timeout_ms) const;
    // Wakes one waiter.
    void notify() const;

    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

private:
    UniqueFd epoll_;
    UniqueFd work_;
};

}  // namespace ftm::engine
