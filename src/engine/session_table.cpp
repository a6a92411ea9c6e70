#include "engine/session_table.hpp"

namespace ftm::engine {

SessionTable::~SessionTable()
{
    for (auto& chunk : chunks_) {
        delete chunk.load();
    }
}

Session* SessionTable::acquire()
{
    Session* session = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            session = free_.back();
            free_.pop_back();
        } else {
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
            session = place.get();
            created_.store(index + 1);
        }
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
    session.read_right.retire();
    {
        const std::lock_guard lock(mutex_);
        free_.push_back(&session);
    }
    open_.fetch_sub(1);
}

}  // namespace ftm::engine
