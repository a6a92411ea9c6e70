// The open requests of a ConnectionMachine.
#include <algorithm>
#include <utility>

#include "fcgi/connection_machine.hpp"

namespace ftm::fcgi {

namespace {

// A slot keeps parameters' memory for the next request up to this size.
constexpr std::size_t kKeptParamsCapacity = 16 * 1024;

}  // namespace

void ConnectionMachine::open_request(Role role, bool keep_conn) noexcept
{
    auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.open; });
    if (slot == slots_.end()) {
        slot = slots_.emplace(slots_.end());
    }
    slot->id = id_;
    slot->open = true;
    slot->aborted = false;
    slot->keep_conn = keep_conn;
    slot->role = role;
    slot->progress = Progress::params;
    slot->params.clear();
    ++open_count_;
}

std::string_view ConnectionMachine::params(std::uint16_t id) const noexcept
{
    const Slot* slot = find(id);
    return slot != nullptr ? std::string_view(slot->params) : std::string_view();
}

std::string ConnectionMachine::take_params(std::uint16_t id) noexcept
{
    Slot* slot = find(id);
    return slot != nullptr ? std::exchange(slot->params, std::string()) : std::string();
}

void ConnectionMachine::request_ended(std::uint16_t id) noexcept
{
    Slot* slot = find(id);
    if (slot == nullptr) {
        return;
    }
    slot->open = false;
    slot->params.clear();
    if (slot->params.capacity() > kKeptParamsCapacity) {
        slot->params = std::string();
    }
    --open_count_;
}

bool ConnectionMachine::idle() const noexcept
{
    return open_count_ == 0 && at_record_boundary();
}

bool ConnectionMachine::at_record_boundary() const noexcept
{
    return phase_ == Phase::header && partial_size_ == 0;
}

void ConnectionMachine::reset() noexcept
{
    for (Slot& slot : slots_) {
        if (slot.open) {
            request_ended(slot.id);
        }
    }
    phase_ = Phase::header;
    error_ = Error::none;
    hold_new_ = false;
    partial_size_ = 0;
    padding_left_ = 0;
    content_left_ = 0;
    management_.clear();
}

void ConnectionMachine::trim() noexcept
{
    if (open_count_ == 0) {
        slots_ = std::vector<Slot>();
    }
    if (phase_ != Phase::values_body) {
        management_ = std::string();
    }
}

ConnectionMachine::Slot* ConnectionMachine::find(std::uint16_t id) noexcept
{
    return const_cast<Slot*>(std::as_const(*this).find(id));
}

const ConnectionMachine::Slot* ConnectionMachine::find(std::uint16_t id) const noexcept
{
    for (const Slot& slot : slots_) {
        if (slot.open && slot.id == id) {
            return &slot;
        }
    }
    return nullptr;
}

bool ConnectionMachine::no_open_request_expects_records() const noexcept
{
    return std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.open || s.expects_nothing(); });
}

}  // namespace ftm::fcgi
