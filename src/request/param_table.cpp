#include "request/param_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ftm::request {

namespace {

// Ordinary requests have 20 to 60 parameters in 1 to 4 KiB.
constexpr std::size_t kFirstChunkBytes = 4096;
constexpr std::size_t kKeptChunkBytes = 64 * 1024;
constexpr std::size_t kKeptEntries = 512;
// Up to here comparing all hashes is faster than keeping an index.
constexpr std::size_t kScannedEntries = 64;

constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15ULL;

std::uint64_t mix(std::uint64_t state, std::uint64_t word) noexcept
{
    state = (state ^ word) * kMultiplier;
    return state ^ state >> 32;
}

template <class Int>
Int load(const char* p) noexcept
{
    Int value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

}  // namespace

// Names come from the peer's client (HTTP_*): the address as seed keeps collisions from being prepared.
ParamTable::ParamTable() noexcept : seed_(mix(kMultiplier, reinterpret_cast<std::uintptr_t>(this))) {}

void ParamTable::swap(ParamTable& other) noexcept
{
    std::swap(seed_, other.seed_);
    std::swap(live_, other.live_);
    std::swap(filter_, other.filter_);
    entries_.swap(other.entries_);
    hashes_.swap(other.hashes_);
    index_.swap(other.index_);
    chunks_.swap(other.chunks_);
}

void ParamTable::reserve(std::size_t block_bytes)
{
    // A pair of an encoded block has at least two bytes of lengths, as many as the two NULs that end its strings.
    if (chunks_.empty() || chunks_.back().capacity - chunks_.back().used < block_bytes) {
        const std::size_t capacity = std::max(block_bytes, kFirstChunkBytes);
        chunks_.push_back({std::make_unique_for_overwrite<char[]>(capacity), capacity, 0});
    }
}

std::string_view ParamTable::set(std::string_view name, std::string_view value)
{
    const std::uint32_t name_hash = hash(name);
    const std::size_t found = find(name, name_hash);
    if (found != npos) {
        return entries_[found].value = store(value);
    }
    const std::string_view stored_name = store(name);
    const std::string_view stored_value = store(value);
    entries_.push_back({stored_name, stored_value});
    hashes_.push_back(name_hash);
    filter_[name_hash >> 6 & 7] |= std::uint64_t{1} << (name_hash & 63);
    ++live_;
    index_entry(entries_.size() - 1);
    return stored_value;
}

void ParamTable::erase(std::string_view name) noexcept
{
    const std::size_t found = find(name, hash(name));
    if (found != npos) {
        entries_[found].value = {};
        --live_;
    }
}

const std::string_view* ParamTable::get(std::string_view name) const noexcept
{
    const std::size_t found = find(name, hash(name));
    return found != npos ? &entries_[found].value : nullptr;
}

const char* ParamTable::value_z(std::string_view name) const noexcept
{
    const std::string_view* value = get(name);
    return value != nullptr ? value->data() : nullptr;
}

const ParamTable::Entry* ParamTable::next(std::size_t* cursor) const noexcept
{
    while (*cursor < entries_.size()) {
        const Entry& entry = entries_[entries_.size() - ++*cursor];
        if (entry.value.data() != nullptr) {
            return &entry;
        }
    }
    return nullptr;
}

void ParamTable::clear() noexcept
{
    entries_.clear();
    hashes_.clear();
    index_.clear();
    live_ = 0;
    filter_ = {};
    if (entries_.capacity() > kKeptEntries) {
        entries_.shrink_to_fit();
        hashes_.shrink_to_fit();
        index_.shrink_to_fit();
    }
    // The largest chunk of ordinary size stays.
    std::erase_if(chunks_, [](const Chunk& chunk) { return chunk.capacity > kKeptChunkBytes; });
    if (chunks_.size() > 1) {
        const auto largest = std::max_element(chunks_.begin(), chunks_.end(),
                                              [](const Chunk& a, const Chunk& b) { return a.capacity < b.capacity; });
        std::swap(chunks_.front(), *largest);
        chunks_.erase(chunks_.begin() + 1, chunks_.end());
    }
    if (!chunks_.empty()) {
        chunks_.front().used = 0;
    }
}

std::uint32_t ParamTable::hash(std::string_view name) const noexcept
{
    const char* p = name.data();
    const std::size_t size = name.size();
    std::uint64_t state = mix(seed_, size);
    if (size >= 8) {
        for (std::size_t at = 0; at + 8 < size; at += 8) {
            state = mix(state, load<std::uint64_t>(p + at));
        }
        state = mix(state, load<std::uint64_t>(p + size - 8));  // overlaps what came before
    } else if (size >= 4) {
        state = mix(state, std::uint64_t{load<std::uint32_t>(p)} << 32 | load<std::uint32_t>(p + size - 4));
    } else if (size != 0) {
        const auto byte = [p](std::size_t at) { return static_cast<std::uint64_t>(static_cast<unsigned char>(p[at])); };
        state = mix(state, byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1));
    }
    return static_cast<std::uint32_t>(state ^ state >> 32);
}

std::size_t ParamTable::find(std::string_view name, std::uint32_t name_hash) const noexcept
{
    const auto matches = [&](std::size_t i) {
        return hashes_[i] == name_hash && entries_[i].value.data() != nullptr && entries_[i].name == name;
    };
    if (!may_contain(name_hash)) {
        return npos;
    }
    if (index_.empty()) {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (matches(i)) {
                return i;
            }
        }
        return npos;
    }
    const std::size_t mask = index_.size() - 1;
    for (std::size_t slot = name_hash & mask; index_[slot] != 0; slot = (slot + 1) & mask) {
        if (matches(index_[slot] - 1)) {
            return index_[slot] - 1;
        }
    }
    return npos;
}

std::string_view ParamTable::store(std::string_view text)
{
    reserve(text.size() + 1);
    Chunk& chunk = chunks_.back();
    char* out = chunk.bytes.get() + chunk.used;
    if (!text.empty()) {
        std::memcpy(out, text.data(), text.size());
    }
    out[text.size()] = '\0';
    chunk.used += text.size() + 1;
    return {out, text.size()};
}

void ParamTable::index_entry(std::size_t entry)
{
    if (entries_.size() <= kScannedEntries) {
        return;
    }
    if (entries_.size() * 2 > index_.size()) {
        rebuild_index();
        return;
    }
    const std::size_t mask = index_.size() - 1;
    std::size_t slot = hashes_[entry] & mask;
    while (index_[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    index_[slot] = static_cast<std::uint32_t>(entry + 1);
}

// Four slots per entry, so that it is rebuilt when the number has doubled. Erased entries are left in: few are.
void ParamTable::rebuild_index()
{
    std::size_t slots = 4 * kScannedEntries;
    while (slots < entries_.size() * 4) {
        slots *= 2;
    }
    index_.assign(slots, 0);
    for (std::size_t entry = 0; entry < entries_.size(); ++entry) {
        index_entry(entry);
    }
}

}  // namespace ftm::request
