#include "engine/session_table.hpp"

namespace ftm::engine {
namespace {

// The count of changes of `free`, one more.
constexpr std::uint64_t changed(std::uint64_t free) noexcept
{
    return ((free >> 32) + 1) << 32;
}

}  // namespace

SessionTable::~SessionTable()
{
    for (auto& chunk : chunks_) {
        delete chunk.load();
    }
}

Session* SessionTable::pop_free() noexcept
{
    std::uint64_t first = free_.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(first) != 0) {
        Session& session = at(static_cast<std::uint32_t>(first) - 1);
        const std::uint64_t rest = changed(first) | session.next_free.load(std::memory_order_relaxed);
        if (free_.compare_exchange_weak(first, rest, std::memory_order_acq_rel, std::memory_order_acquire)) {
            return &session;
        }
    }
    return nullptr;
}

Session* SessionTable::create()
{
    const std::lock_guard lock(create_mutex_);
    const std::uint32_t index = created_.load();
    if (index == kChunk * kChunks) {
        return nullptr;
    }
    auto& slot = chunks_[index / kChunk];
    if (slot.load() == nullptr) {
        slot.store(new Chunk);
    }
    auto& place = (*slot.load())[index % kChunk];
    place = std::make_unique<Session>(index, limits_, values_);
    created_.store(index + 1);
    return place.get();
}

Session* SessionTable::acquire()
{
    Session* session = pop_free();
    if (session == nullptr && (session = create()) == nullptr) {
        return nullptr;
    }
    open_.fetch_add(1);
    session->output.open(spool_directory_.load());
    session->in_flight.store(0);
    session->shared.store(false, std::memory_order_relaxed);
    session->has_pending.store(false);
    session->close_wanted.store(false);
    session->watched.store(false);
    session->eof.store(false);
    session->registration.store(Registration::none);
    return session;
}

void SessionTable::release(Session& session)
{
    session.machine.reset();
    session.pending.clear();
    session.requests.clear();
    session.http_deadline_us.store(0, std::memory_order_relaxed);
    if (session.is_http) {
        session.is_http = false;
        session.http->reset();
    }
    session.read_right.retire();
    std::uint64_t first = free_.load(std::memory_order_relaxed);
    std::uint64_t mine = 0;
    do {
        session.next_free.store(static_cast<std::uint32_t>(first), std::memory_order_relaxed);
        mine = changed(first) | (session.index + 1);
    } while (!free_.compare_exchange_weak(first, mine, std::memory_order_acq_rel, std::memory_order_relaxed));
    open_.fetch_sub(1);
}

}  // namespace ftm::engine
