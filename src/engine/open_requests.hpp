// The requests of one connection between their BEGIN_REQUEST and the moment when its reader has seen that they are
// answered. The first is part of the session, so that a connection with one request at a time allocates nothing; others
// come when a front multiplexes. Places are recycled, never freed: a context may hold one as long as its request runs.
// Threads: OpenRequest says; everything else belongs to the holder of the read right.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "http/response.hpp"

namespace ftm::engine {

struct Job;

struct OpenRequest {
    // any thread
    std::atomic<bool> ended{false};    // its END_REQUEST is sent; the reader may let the machine go on
    std::atomic<bool> aborted{false};  // the peer gave it up
    std::atomic<bool> cut{false};      // ended for the client while its context is stuck; nothing more may be sent
    std::atomic<http::Asked> http_asked{0};  // how an HTTP client asked; 0: it is FastCGI's

    // holder of the read right
    bool open = false;
    std::uint16_t id = 0;
    std::unique_ptr<Job> building;  // while its records arrive
};

class OpenRequests {
public:
    // The place of a request that begins.
    OpenRequest& add(std::uint16_t id);
    [[nodiscard]] OpenRequest* find(std::uint16_t id) noexcept;
    // It is answered, or was never run.
    void remove(OpenRequest& request) noexcept;
    void clear() noexcept;

    [[nodiscard]] bool any() const noexcept { return open_ != 0; }
    [[nodiscard]] unsigned open() const noexcept { return open_; }
    [[nodiscard]] bool any_building() const noexcept;
    // Calls handle(OpenRequest&) for each open one; it may remove that.
    template <class Handle>
    void for_each(Handle&& handle)
    {
        if (first_.open) {
            handle(first_);
        }
        for (auto& request : more_) {
            if (request->open) {
                handle(*request);
            }
        }
    }

private:
    OpenRequest first_;
    std::vector<std::unique_ptr<OpenRequest>> more_;
    unsigned open_ = 0;
};

}  // namespace ftm::engine
