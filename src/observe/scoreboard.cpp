#include "observe/scoreboard.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/check.hpp"

namespace ftm::observe {
namespace {

constexpr std::uint32_t kVersion = 3;

std::size_t bytes_for(unsigned slots) { return sizeof(ScoreboardHeader) + std::size_t{slots} * sizeof(Slot); }

template <std::size_t N>
void copy(char (&to)[N], std::string_view from) noexcept
{
    const std::size_t n = std::min(from.size(), N - 1);
    if (n != 0) {
        std::memcpy(to, from.data(), n);
    }
    to[n] = '\0';
}

// Texts are read while they are written (the sequence tells), so both go by words: release and acquire keep them between
// the two looks at the sequence.
using Word [[gnu::may_alias]] = std::uint64_t;

template <std::size_t N>
void copy_words(char (&to)[N], std::string_view from) noexcept
{
    static_assert(N % sizeof(Word) == 0);
    const std::string_view text = from.substr(0, N - 1);
    auto* words = reinterpret_cast<Word*>(to);
    for (std::size_t at = 0;; at += sizeof(Word)) {
        Word word = 0;
        const std::size_t n = std::min(text.size() - at, sizeof word);
        if (n != 0) {
            std::memcpy(&word, text.data() + at, n);
        }
        __atomic_store_n(words++, word, __ATOMIC_RELEASE);
        if (n < sizeof word) { // the NUL is written
            return;
        }
    }
}

}  // namespace

Scoreboard& Scoreboard::operator=(Scoreboard&& other) noexcept
{
    std::swap(fd_, other.fd_);
    std::swap(header_, other.header_);
    std::swap(size_, other.size_);
    std::swap(slots_, other.slots_);
    return *this;
}

Scoreboard::~Scoreboard()
{
    if (header_ != nullptr) {
        ::munmap(header_, size_);
    }
}

Scoreboard Scoreboard::create(std::string_view pool, unsigned slots)
{
    UniqueFd fd(::memfd_create("php-fpm scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    FTM_CHECK(fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(bytes_for(slots))) == 0);
    // Engines hold it too, as the pool's user: cut, it would end master and host with SIGBUS.
    FTM_CHECK(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    Scoreboard board;
    board.size_ = bytes_for(slots);
    void* memory = ::mmap(nullptr, board.size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    FTM_CHECK(memory != MAP_FAILED);
    board.header_ = static_cast<ScoreboardHeader*>(memory);
    board.header_->version = kVersion;
    board.header_->slots = slots;
    board.slots_ = slots;
    board.header_->start_time = std::time(nullptr);
    copy(board.header_->pool, pool);
    board.fd_ = std::move(fd);
    return board;
}

Scoreboard Scoreboard::map(UniqueFd fd)
{
    Scoreboard board;
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0 || static_cast<std::size_t>(st.st_size) < sizeof(ScoreboardHeader)) {
        return board;
    }
    void* memory = ::mmap(nullptr, static_cast<std::size_t>(st.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (memory == MAP_FAILED) {
        return board;
    }
    auto* header = static_cast<ScoreboardHeader*>(memory);
    const std::uint32_t slots = header->slots;
    if (header->version != kVersion || bytes_for(slots) > static_cast<std::size_t>(st.st_size)) {
        ::munmap(memory, static_cast<std::size_t>(st.st_size));
        return board;
    }
    board.size_ = static_cast<std::size_t>(st.st_size);
    board.header_ = header;
    board.slots_ = slots;
    board.fd_ = std::move(fd);
    return board;
}

Slot& Scoreboard::slot(unsigned index) noexcept
{
    return reinterpret_cast<Slot*>(reinterpret_cast<char*>(header_) + sizeof(ScoreboardHeader))[index];
}

Slot* Scoreboard::acquire()
{
    const auto pid = static_cast<std::int32_t>(::getpid());
    for (unsigned i = 0; i < slots(); ++i) {
        std::int32_t free = 0;
        if (slot(i).pid.compare_exchange_strong(free, pid)) {
            Slot& s = slot(i);
            s.tid.store(::gettid());
            s.started.store(std::time(nullptr));
            s.requests.store(0);
            s.accepted_us.store(0);
            s.duration_us.store(0);
            s.cpu_us.store(0);
            s.cpu_duration_us.store(0);
            s.content_length.store(0);
            s.memory_peak.store(0);
            s.worker_state.store(static_cast<std::uint32_t>(WorkerState::none));
            s.worker_reason.store(static_cast<std::uint32_t>(RestartReason::none));
            s.worker_requests.store(0);
            s.worker_restarts.store(0);
            s.worker_boot_us.store(0);
            s.worker_memory.store(0);
            set_text(s, {}, {}, {}, {}, {});
            s.state.store(static_cast<std::uint32_t>(SlotState::idle));
            return &s;
        }
    }
    return nullptr;
}

void Scoreboard::release(Slot& slot) noexcept
{
    slot.state.store(static_cast<std::uint32_t>(SlotState::unused));
    slot.pid.store(0);
}

void Scoreboard::release_pid(std::int32_t pid) noexcept
{
    for (unsigned i = 0; i < slots(); ++i) {
        if (slot(i).pid.load() == pid) {
            release(slot(i));
        }
    }
}

PoolFigures Scoreboard::figures() noexcept
{
    PoolFigures figures;
    for (unsigned i = 0; i < slots(); ++i) {
        if (slot(i).pid.load(std::memory_order_relaxed) == 0) {
            continue;
        }
        switch (static_cast<SlotState>(slot(i).state.load(std::memory_order_relaxed))) {
            case SlotState::unused:
            case SlotState::crashed:
                break;
            case SlotState::idle:
                ++figures.idle;
                break;
            default:
                ++figures.active;
        }
    }
    return figures;
}

RequestText text_of(const Slot& slot) noexcept
{
    RequestText text;
    for (int i = 0; i < 10; ++i) {
        const std::uint32_t before = slot.text_sequence.load(std::memory_order_acquire);
        std::memcpy(&text, &slot.text, sizeof text);
        std::atomic_thread_fence(std::memory_order_acquire);
        if ((before & 1) == 0 && slot.text_sequence.load(std::memory_order_relaxed) == before) {
            break;
        }
    }
    return text;
}

void set_text(Slot& slot, std::string_view uri, std::string_view query, std::string_view method, std::string_view script,
              std::string_view user) noexcept
{
    const std::uint32_t sequence = slot.text_sequence.load(std::memory_order_relaxed);
    slot.text_sequence.store(sequence + 1, std::memory_order_release);
    copy_words(slot.text.uri, uri);
    copy_words(slot.text.query, query);
    copy_words(slot.text.method, method);
    copy_words(slot.text.script, script);
    copy_words(slot.text.user, user);
    slot.text_sequence.store(sequence + 2, std::memory_order_release);
}

RequestText get_text(const Slot& slot) noexcept
{
    RequestText text;
    for (int i = 0; i < 10; ++i) {
        const std::uint32_t before = slot.text_sequence.load(std::memory_order_acquire);
        const auto* from = reinterpret_cast<const Word*>(&slot.text);
        auto* to = reinterpret_cast<Word*>(&text);
        for (std::size_t word = 0; word < sizeof text / sizeof(Word); ++word) {
            to[word] = __atomic_load_n(from + word, __ATOMIC_ACQUIRE);
        }
        if ((before & 1) == 0 && slot.text_sequence.load(std::memory_order_relaxed) == before) {
            break;
        }
    }
    // Whatever the pool's user may have written there.
    text.uri[sizeof text.uri - 1] = text.query[sizeof text.query - 1] = text.method[sizeof text.method - 1] =
        text.script[sizeof text.script - 1] = text.user[sizeof text.user - 1] = '\0';
    return text;
}

}  // namespace ftm::observe
