// All sessions of an engine by index. Lookup, and taking and giving back one that was used before, take no lock; sessions
// are created on demand and live as long as the table. Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/session.hpp"

namespace ftm::engine {

class SessionTable {
public:
    SessionTable(const fcgi::Limits& limits, const fcgi::ValuesReply& values) : limits_(limits), values_(values) {}
    ~SessionTable();

    // Where unsent output goes; lives as long as the table. Before the first connection.
    void set_spool_directory(const char* directory) noexcept { spool_directory_.store(directory); }
    // A closed session, its read right owned by the caller; nullptr when the table is full.
    Session* acquire();
    // By the owner of both rights, after closing.
    void release(Session& session);

    [[nodiscard]] Session& at(std::uint32_t index) noexcept
    {
        return *(*chunks_[index / kChunk].load(std::memory_order_acquire))[index % kChunk];
    }
    [[nodiscard]] std::uint32_t created() const noexcept { return created_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint32_t open() const noexcept { return open_.load(std::memory_order_acquire); }

private:
    Session* pop_free() noexcept;
    Session* create();

    static constexpr std::uint32_t kChunk = 256;
    static constexpr std::uint32_t kChunks = 1024;
    using Chunk = std::array<std::unique_ptr<Session>, kChunk>;

    const fcgi::Limits limits_;
    const fcgi::ValuesReply values_;
    std::array<std::atomic<Chunk*>, kChunks> chunks_{};
    std::atomic<const char*> spool_directory_{"/tmp"};
    std::atomic<std::uint32_t> created_{0};
    std::atomic<std::uint32_t> open_{0};
    // The free ones, last in, first out: warm memory first. Index + 1 of the first, which names the next (Session::next_free);
    // above them a count of changes, so that nobody who has looked at an old first takes it for the same (ABA).
    std::atomic<std::uint64_t> free_{0};
    std::mutex create_mutex_;
};

}  // namespace ftm::engine
