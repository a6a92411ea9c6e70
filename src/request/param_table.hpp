// The parameters of one request in php-fpm's order: iteration yields the newest first, a repeated name keeps its
// first position and takes the last value (observable in $_SERVER and getallheaders()).
// Owner: the request. Threads: one at a time. Names and values are copied into the table's arena, each followed by a
// NUL, so data() of any view it returns is a C string (a value with a NUL inside is longer than strlen says).
// Every view and pointer stays valid until clear(), also when its entry is set again or erased.
// Errors: none; out of memory terminates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ftm::request {

class ParamTable {
public:
    struct Entry {
        std::string_view name;
        std::string_view value;  // data() == nullptr: erased
    };

    ParamTable() noexcept;
    ParamTable(ParamTable&& other) noexcept : ParamTable() { swap(other); }
    ParamTable& operator=(ParamTable&& other) noexcept
    {
        swap(other);
        return *this;
    }
    ~ParamTable() = default;
    void swap(ParamTable& other) noexcept;

    // Makes room for the pairs of an encoded block of this size, so that decoding it allocates at most once.
    void reserve(std::size_t block_bytes);

    // Adds an entry as the newest, or gives an existing one a new value in its place. Returns the stored value.
    // name and value may be views into this table.
    std::string_view set(std::string_view name, std::string_view value);
    // An erased name that is set again counts as newest.
    void erase(std::string_view name) noexcept;

    // nullptr: absent. The entry's address is valid until the next set() or clear().
    [[nodiscard]] const std::string_view* get(std::string_view name) const noexcept;
    // The value as a C string; nullptr: absent. Valid until clear().
    [[nodiscard]] const char* value_z(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return get(name) != nullptr; }

    // Entries that are not erased.
    [[nodiscard]] std::size_t size() const noexcept { return live_; }
    [[nodiscard]] bool empty() const noexcept { return live_ == 0; }

    // visit(name, value), newest first. The table must not change meanwhile.
    template <class Visit>
    void for_each(Visit&& visit) const
    {
        for (std::size_t i = entries_.size(); i-- > 0;) {
            if (entries_[i].value.data() != nullptr) {
                visit(entries_[i].name, entries_[i].value);
            }
        }
    }

    // The same for C callers: start with *cursor = 0; nullptr at the end.
    [[nodiscard]] const Entry* next(std::size_t* cursor) const noexcept;

    // Empties the table; keeps ordinary capacity, returns what an unusual request needed.
    void clear() noexcept;

private:
    struct Chunk {
        std::unique_ptr<char[]> bytes;
        std::size_t capacity = 0;
        std::size_t used = 0;
    };

    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    [[nodiscard]] std::uint32_t hash(std::string_view name) const noexcept;
    [[nodiscard]] std::size_t find(std::string_view name, std::uint32_t hash) const noexcept;
    std::string_view store(std::string_view text);
    void index_entry(std::size_t entry);
    void rebuild_index();

    [[nodiscard]] bool may_contain(std::uint32_t hash) const noexcept
    {
        return (filter_[hash >> 6 & 7] >> (hash & 63) & 1) != 0;
    }

    std::uint64_t seed_;
    std::size_t live_ = 0;
    std::array<std::uint64_t, 8> filter_{};  // one bit per hash seen: most names are new, most look-ups find nothing
    std::vector<Entry> entries_;             // in order of arrival, with erased ones
    std::vector<std::uint32_t> hashes_;      // parallel to entries_
    std::vector<std::uint32_t> index_;       // open addressing, entry + 1; empty while the table is small
    std::vector<Chunk> chunks_;              // the last one is filled
};

}  // namespace ftm::request
