// A cooperative scheduler that runs a small concurrent program through every interleaving of its shared operations:
// depth-first, by running it again and again with another choice at the last open decision. Tasks are fibers of one
// thread; an operation on model::Atomic, model::Mutex or anything else that calls step() is where another task may go on.
//
// States that have been seen are not explored again. A state is what the world says of itself, every atomic and mutex,
// and for each task a hash of all it has been told since its last checkpoint(): the code between two operations is
// deterministic, so that hash stands for its program counter and locals. What a task learns from the world without an
// Atomic must be told() to it, too; the explorer notices where that was forgotten.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ftm::model {

class Hash {
public:
    Hash() = default;
    explicit Hash(std::uint64_t seed) : value_(seed) {}
    void add(std::uint64_t v) noexcept
    {
        value_ ^= v + 0x9e3779b97f4a7c15ull + (value_ << 12) + (value_ >> 4);
        value_ *= 0xff51afd7ed558ccdull;
        value_ ^= value_ >> 32;
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

private:
    std::uint64_t value_ = 0x243f6a8885a308d3ull;
};

// What is explored: made afresh for each run.
class World {
public:
    virtual ~World() = default;
    [[nodiscard]] virtual std::vector<std::function<void()>> tasks() = 0;
    // No task can go on. True: something was changed, look again; false: this run ends. May call Explorer::fail().
    virtual bool at_rest() = 0;
    // State that no Atomic and no Mutex holds.
    virtual void describe(Hash& hash) const = 0;
};

class SharedObject {
public:
    SharedObject();
    SharedObject(const SharedObject&) = delete;
    SharedObject& operator=(const SharedObject&) = delete;
    [[nodiscard]] virtual std::uint64_t state() const noexcept = 0;

protected:
    ~SharedObject() = default;
};

struct Limits {
    std::size_t runs = 5'000'000;
    std::size_t steps = 2'000;  // of one run; more is a task that spins
    unsigned preemptions = ~0u;  // how often a task that could go on is made to wait
};

struct Outcome {
    std::size_t runs = 0;
    std::size_t states = 0;
    std::size_t depth = 0;   // most decisions in one run
    bool complete = false;   // every interleaving within the limits was run
    std::string failure;     // the first one, with its schedule
};

class Explorer {
public:
    Explorer();
    ~Explorer();
    Explorer(const Explorer&) = delete;
    Explorer& operator=(const Explorer&) = delete;

    Outcome explore(const std::function<std::unique_ptr<World>()>& make, Limits limits = {});

    // For tasks and worlds of the exploration under way. A run that is cut short ends by an exception out of the
    // operations, so the code under test must let it through: no noexcept around them.
    static Explorer& current() noexcept;
    // Another task may go on here; `what` names the operation that follows.
    void step(const char* what) { pause(nullptr, what); }
    // The task goes on only when `ready` is true.
    void block(const char* what, const std::function<bool()>& ready) { pause(&ready, what); }
    // Every value below `count` is tried.
    unsigned choose(unsigned count, const char* what);
    // The running task has been told `value`.
    template <class T>
    T told(T value)
    {
        note(static_cast<std::uint64_t>(value));
        return value;
    }
    // The running task's future depends on nothing it was told before except `local`.
    void checkpoint(std::uint64_t local);
    void fail(const std::string& why);
    void add(const SharedObject* object) { objects_.push_back(object); }
    // Number of the running task.
    [[nodiscard]] unsigned task() const noexcept { return static_cast<unsigned>(current_); }

private:
    struct Aborted {};
    struct Choice {
        unsigned taken;
        unsigned count;
    };
    struct Fiber;
    struct Event {
        int task;
        const char* what;
        std::uint64_t value;
    };

    static void entry();
    void run_task(Fiber& fiber);
    void pause(const std::function<bool()>* ready, const char* what);
    void run_once(const std::function<std::unique_ptr<World>()>& make);
    int decide();
    unsigned decision(unsigned count, int who);
    void switch_to(int to);
    void note(std::uint64_t value);
    bool seen_before(int who);
    [[nodiscard]] std::string schedule() const;

    static constexpr int kScheduler = -1;
    Limits limits_;
    Outcome outcome_;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::unique_ptr<Fiber> main_;
    std::vector<const SharedObject*> objects_;
    std::unique_ptr<World> world_;
    std::vector<Choice> choices_;
    std::vector<Event> events_;
    std::unordered_map<std::uint64_t, std::uint64_t> seen_;  // state, and what its tasks are about to do
    std::size_t tasks_ = 0;
    std::size_t at_ = 0;       // next element of choices_ in this run
    unsigned preemptions_ = 0; // of this run
    int current_ = kScheduler;
    bool aborting_ = false;
    bool over_ = false;
};

template <class T>
class Atomic final : public SharedObject {
public:
    Atomic(T value = T{}) : value_(value) {}

    T load() const
    {
        Explorer::current().step("load");
        return Explorer::current().told(value_);
    }
    T load(int) const { return load(); }
    void store(T value)
    {
        Explorer::current().step("store");
        value_ = value;
    }
    T exchange(T value)
    {
        Explorer::current().step("exchange");
        return Explorer::current().told(std::exchange(value_, value));
    }
    T fetch_add(T value)
    {
        Explorer::current().step("fetch_add");
        const T old = value_;
        value_ = static_cast<T>(value_ + value);
        return Explorer::current().told(old);
    }
    bool compare_exchange_strong(T& expected, T desired)
    {
        Explorer::current().step("compare_exchange");
        const T old = Explorer::current().told(value_);
        if (old != expected) {
            expected = old;
            return false;
        }
        value_ = desired;
        return true;
    }
    bool compare_exchange_weak(T& expected, T desired) { return compare_exchange_strong(expected, desired); }
    // Not an operation of the model.
    [[nodiscard]] T peek() const noexcept { return value_; }
    [[nodiscard]] std::uint64_t state() const noexcept override { return static_cast<std::uint64_t>(value_); }

private:
    T value_;
};

class Mutex final : public SharedObject {
public:
    void lock()
    {
        Explorer::current().block("lock", [this] { return !locked_; });
        locked_ = true;
    }
    void unlock() noexcept { locked_ = false; }
    [[nodiscard]] std::uint64_t state() const noexcept override { return locked_ ? 1 : 0; }

private:
    bool locked_ = false;
};

}  // namespace ftm::model
