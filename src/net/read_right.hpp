// The right to read a connection: generation and state share one 64-bit atomic, so an event that belongs to an earlier
// connection of the same table index fails its compare-and-swap (RULES 1). Any thread; no lock.
// A template over its atomic, so that the model test runs this very code through every interleaving.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace ftm::net {

template <class Atomic>
class BasicReadRight {
    static constexpr bool kNoexcept = noexcept(std::declval<Atomic&>().load());

public:
    enum class Take {
        taken,  // the caller owns the right
        news,   // another thread owns it and has been told to look again
        stale   // the event belongs to a connection that is gone
    };

    // A new connection at this index: its accepting thread owns the right. Needs both rights of the old one.
    void open_owned(std::uint32_t generation) noexcept(kNoexcept) { word_.store(pack(generation, kOwned)); }

    // An event arrived, or somebody has bytes to be looked at.
    Take take(std::uint32_t generation) noexcept(kNoexcept)
    {
        std::uint64_t seen = word_.load();
        for (;;) {
            if (generation_of(seen) != generation) {
                return Take::stale;
            }
            const bool idle = state_of(seen) == kIdle;
            if (word_.compare_exchange_weak(seen, pack(generation, idle ? kOwned : kNews))) {
                return idle ? Take::taken : Take::news;
            }
        }
    }

    // False: there was news meanwhile; the caller still owns the right and must look again.
    [[nodiscard]] bool give_back() noexcept(kNoexcept)
    {
        std::uint64_t seen = word_.load();
        if (state_of(seen) == kOwned && word_.compare_exchange_strong(seen, pack(generation_of(seen), kIdle))) {
            return true;
        }
        word_.store(pack(generation_of(seen), kOwned));
        return false;
    }

    // Closing or handing over, by the owner of the right: every event still under way becomes stale.
    void retire() noexcept(kNoexcept) { word_.store(pack(generation() + 1, kOwned)); }

    [[nodiscard]] std::uint32_t generation() const noexcept(kNoexcept) { return generation_of(word_.load()); }

private:
    static constexpr std::uint64_t kIdle = 0;
    static constexpr std::uint64_t kOwned = 1;
    static constexpr std::uint64_t kNews = 2;
    static constexpr std::uint64_t pack(std::uint32_t generation, std::uint64_t state) noexcept
    {
        return (std::uint64_t{generation} << 2) | state;
    }
    static constexpr std::uint64_t state_of(std::uint64_t word) noexcept { return word & 3; }
    static constexpr std::uint32_t generation_of(std::uint64_t word) noexcept
    {
        return static_cast<std::uint32_t>(word >> 2);
    }

    Atomic word_{pack(0, kOwned)};
};

using ReadRight = BasicReadRight<std::atomic<std::uint64_t>>;

}  // namespace ftm::net
