// ConnectionMachine::save() and restore(): the format in which a half-read connection travels to another process.
//   version u8 | phase u8 | error u8 | type u8 | partial_size u8 | padding_left u8 | id u16 | content_left u16
//   | partial 8 bytes | management: u64 length, bytes | open requests: u16 count, each
//     id u16 | aborted u8 | keep_conn u8 | role u8 | progress u8 | params: u64 length, bytes
// Numbers are little-endian.
#include <concepts>
#include <cstring>

#include "fcgi/connection_machine.hpp"

namespace ftm::fcgi {

namespace {

constexpr std::uint8_t kFormatVersion = 1;

template <std::unsigned_integral Int>
void put(std::string& out, Int value)
{
    for (std::size_t i = 0; i < sizeof value; ++i) {
        out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
}

void put_bytes(std::string& out, std::string_view bytes)
{
    put<std::uint64_t>(out, bytes.size());
    out.append(bytes);
}

// Reads what put() wrote; after the end it yields zeros and ok() is false.
class Reader {
public:
    explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

    template <std::unsigned_integral Int>
    Int get() noexcept
    {
        std::uint64_t value = 0;
        const std::string_view bytes = raw(sizeof(Int));
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        }
        return static_cast<Int>(value);
    }

    std::string_view raw(std::uint64_t n) noexcept
    {
        if (n > rest_.size()) {
            ok_ = false;
            return {};
        }
        const std::string_view bytes = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return bytes;
    }

    std::string_view bytes() noexcept { return raw(get<std::uint64_t>()); }

    // An enumerator from first to last.
    template <class Enum>
    Enum one_of(Enum first, Enum last) noexcept
    {
        const auto value = get<std::uint8_t>();
        if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) {
            ok_ = false;
            return first;
        }
        return static_cast<Enum>(value);
    }

    bool flag() noexcept { return one_of<std::uint8_t>(0, 1) != 0; }

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return ok_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace

std::string ConnectionMachine::save() const
{
    std::string out;
    put(out, kFormatVersion);
    put(out, static_cast<std::uint8_t>(phase_));
    put(out, static_cast<std::uint8_t>(error_));
    put(out, type_);
    put(out, partial_size_);
    put(out, padding_left_);
    put(out, id_);
    put(out, content_left_);
    out.append(partial_.data(), partial_.size());
    put_bytes(out, phase_ == Phase::values_body ? std::string_view(management_) : std::string_view());
    put(out, static_cast<std::uint16_t>(open_count_));
    for (const Slot& slot : slots_) {
        if (!slot.open) {
            continue;
        }
        put(out, slot.id);
        put<std::uint8_t>(out, slot.aborted);
        put<std::uint8_t>(out, slot.keep_conn);
        put(out, static_cast<std::uint8_t>(slot.role));
        put(out, static_cast<std::uint8_t>(slot.progress));
        put_bytes(out, slot.params);
    }
    return out;
}

bool ConnectionMachine::restore(std::string_view saved, ConnectionMachine& machine)
{
    machine.reset();
    if (machine.restore_from(saved)) {
        return true;
    }
    machine.reset();
    return false;
}

bool ConnectionMachine::restore_from(std::string_view saved)
{
    Reader in(saved);
    if (in.get<std::uint8_t>() != kFormatVersion) {
        return false;
    }
    phase_ = in.one_of(Phase::header, Phase::failed);
    error_ = in.one_of(Error::none, Error::management_malformed);
    type_ = in.get<std::uint8_t>();
    partial_size_ = in.get<std::uint8_t>();
    padding_left_ = in.get<std::uint8_t>();
    id_ = in.get<std::uint16_t>();
    content_left_ = in.get<std::uint16_t>();
    const std::string_view partial = in.raw(partial_.size());
    if (!in.ok()) {
        return false;
    }
    std::memcpy(partial_.data(), partial.data(), partial.size());
    management_ = in.bytes();

    const auto count = in.get<std::uint16_t>();
    if (!in.ok() || count > limits_.max_requests) {
        return false;
    }
    const std::uint16_t record_id = id_;
    for (unsigned i = 0; i < count; ++i) {
        id_ = in.get<std::uint16_t>();
        const bool aborted = in.flag();
        const bool keep_conn = in.flag();
        const Role role = in.one_of(Role::responder, Role::filter);
        const Progress progress = in.one_of(Progress::params, Progress::whole);
        const std::string_view params = in.bytes();
        if (!in.ok() || params.size() > limits_.max_params_bytes || find(id_) != nullptr) {
            return false;
        }
        open_request(role, keep_conn);
        Slot* slot = find(id_);
        slot->aborted = aborted;
        slot->progress = progress;
        slot->params = params;
    }
    id_ = record_id;
    return in.at_end() && consistent();
}

// What step() takes for granted about the record it is in.
bool ConnectionMachine::consistent() const noexcept
{
    const bool may_hold_partial = phase_ == Phase::header || phase_ == Phase::begin_body;
    if (partial_size_ >= partial_.size() || (partial_size_ != 0 && !may_hold_partial) ||
        (phase_ == Phase::failed) != (error_ != Error::none)) {
        return false;
    }
    const Slot* slot = find(id_);
    switch (phase_) {
        case Phase::header:
            return content_left_ == 0 && padding_left_ == 0;
        case Phase::dispatch:
        case Phase::failed:
            return true;
        case Phase::begin_body:
            return content_left_ == kBeginBodyBytes && slot == nullptr;
        case Phase::params_body:
            return content_left_ != 0 &&
                   (slot == nullptr || (slot->progress == Progress::params &&
                                        content_left_ <= limits_.max_params_bytes - slot->params.size()));
        case Phase::stdin_body:
            return content_left_ != 0 && (slot == nullptr || slot->progress == Progress::std_in);
        case Phase::values_body:
            return content_left_ != 0 && management_.size() + content_left_ <= kMaxManagementBytes;
        case Phase::skip_body:
            return content_left_ != 0;
        case Phase::padding:
            return content_left_ == 0 && padding_left_ != 0;
    }
    return false;
}

}  // namespace ftm::fcgi
