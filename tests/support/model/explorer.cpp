#include "model/explorer.hpp"

#include <pthread.h>

#include <algorithm>

#include "base/check.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace ftm::model {
namespace {

constexpr std::size_t kStack = std::size_t{256} << 10;
Explorer* explorer = nullptr;

}  // namespace

struct Explorer::Fiber {
    ucontext_t context{};
    std::unique_ptr<char[]> memory;
    const void* stack = nullptr;
    std::size_t stack_size = 0;
    void* fake_stack = nullptr;
    void* tsan = nullptr;

    std::function<void()> task;
    const std::function<bool()>* ready = nullptr;
    const char* what = "";
    std::uint64_t history = 0;
    bool done = true;
};

SharedObject::SharedObject() { Explorer::current().add(this); }

Explorer& Explorer::current() noexcept { return *explorer; }

Explorer::Explorer() : main_(std::make_unique<Fiber>())
{
    FTM_CHECK(explorer == nullptr);
    explorer = this;
    pthread_attr_t attributes;
    FTM_CHECK(::pthread_getattr_np(::pthread_self(), &attributes) == 0);
    void* stack = nullptr;
    ::pthread_attr_getstack(&attributes, &stack, &main_->stack_size);
    main_->stack = stack;
    ::pthread_attr_destroy(&attributes);
#if defined(__SANITIZE_THREAD__)
    main_->tsan = __tsan_get_current_fiber();
#endif
}

Explorer::~Explorer()
{
#if defined(__SANITIZE_THREAD__)
    for (const auto& fiber : fibers_) {
        __tsan_destroy_fiber(fiber->tsan);
    }
#endif
    explorer = nullptr;
}

// -------------------------------------------------------------------------------------------------------------- fibers

void Explorer::switch_to(int to)
{
    Fiber& from_fiber = current_ == kScheduler ? *main_ : *fibers_[static_cast<std::size_t>(current_)];
    Fiber& to_fiber = to == kScheduler ? *main_ : *fibers_[static_cast<std::size_t>(to)];
    current_ = to;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from_fiber.fake_stack, to_fiber.stack, to_fiber.stack_size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to_fiber.tsan, 0);
#endif
    ::swapcontext(&from_fiber.context, &to_fiber.context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from_fiber.fake_stack, nullptr, nullptr);
#endif
}

void Explorer::entry()
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    Explorer& self = *explorer;
    for (;;) {
        self.run_task(*self.fibers_[static_cast<std::size_t>(self.current_)]);
    }
}

void Explorer::run_task(Fiber& fiber)
{
    note(1); // a task that has begun is in another state than one that has not
    try {
        fiber.task();
    } catch (const Aborted&) {
    }
    fiber.done = true;
    switch_to(aborting_ ? kScheduler : decide());
}

void Explorer::pause(const std::function<bool()>* ready, const char* what)
{
    if (aborting_) {
        throw Aborted{};
    }
    if (current_ == kScheduler) { // the world itself looks at shared objects
        return;
    }
    const int self = current_;
    Fiber& fiber = *fibers_[static_cast<std::size_t>(self)];
    if (events_.size() > limits_.steps && !over_) {
        fail("no end after " + std::to_string(limits_.steps) + " steps");
    }
    fiber.ready = ready;
    fiber.what = what;
    const int next = decide();
    if (next != self) {
        switch_to(next);
        if (aborting_) {
            throw Aborted{};
        }
    }
    fiber.ready = nullptr;
    events_.push_back({self, what, 0});
    note(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(what)));
}

// ----------------------------------------------------------------------------------------------------------- decisions

// Who goes on: a task, or the scheduler when this run is over.
int Explorer::decide()
{
    const int self = current_;
    for (;;) {
        if (over_) {
            return kScheduler;
        }
        int able[16];
        unsigned count = 0;
        const auto consider = [&](int index) {
            Fiber& fiber = *fibers_[static_cast<std::size_t>(index)];
            if (!fiber.done && (fiber.ready == nullptr || (*fiber.ready)())) {
                able[count++] = index;
            }
        };
        if (self != kScheduler) {
            consider(self);
        }
        const bool self_able = count == 1;
        for (int i = 0; i < static_cast<int>(tasks_); ++i) {
            if (i != self) {
                consider(i);
            }
        }
        if (count == 0) {
            current_ = kScheduler;
            const bool again = world_->at_rest();
            current_ = self;
            over_ = over_ || !again;
            continue;
        }
        if (self_able && preemptions_ >= limits_.preemptions) {
            count = 1;
        }
        const unsigned taken = decision(count, limits_.preemptions == ~0u ? kScheduler : self);
        if (over_) {
            return kScheduler;
        }
        preemptions_ += self_able && taken != 0 ? 1 : 0;
        return able[taken];
    }
}

unsigned Explorer::decision(unsigned count, int who)
{
    if (count == 1) {
        return 0;
    }
    if (at_ == choices_.size()) {
        if (seen_before(who)) {
            over_ = true;
            return 0;
        }
        choices_.push_back({0, count});
    }
    Choice& choice = choices_[at_++];
    FTM_CHECK(choice.count == count); // else the program is not deterministic
    return choice.taken;
}

unsigned Explorer::choose(unsigned count, const char* what)
{
    const unsigned taken = decision(count, 100 + current_);
    if (over_) {
        if (current_ == kScheduler) {
            return 0;
        }
        switch_to(kScheduler);
        throw Aborted{};
    }
    events_.push_back({current_, what, taken});
    if (current_ != kScheduler) {
        note(taken);
    }
    return taken;
}

bool Explorer::seen_before(int who)
{
    Hash hash;
    hash.add(static_cast<std::uint64_t>(who + 1));
    for (const SharedObject* object : objects_) {
        hash.add(object->state());
    }
    for (std::size_t i = 0; i < tasks_; ++i) {
        hash.add(fibers_[i]->history);
        hash.add(fibers_[i]->done ? 1 : 0);
    }
    if (limits_.preemptions != ~0u) {
        hash.add(preemptions_);
    }
    world_->describe(hash);
    // What every task is about to do follows from the state; if not, a task has looked at something untold.
    Hash next;
    for (std::size_t i = 0; i < tasks_; ++i) {
        const Fiber& fiber = *fibers_[i];
        next.add(fiber.done ? 0 : static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(fiber.what)));
        next.add(fiber.ready == nullptr || (*fiber.ready)() ? 1 : 0);
    }
    const auto [at, inserted] = seen_.emplace(hash.value(), next.value());
    if (at->second != next.value()) {
        fail("the description of the state lacks something that a task has looked at");
    }
    return !inserted;
}

void Explorer::note(std::uint64_t value)
{
    if (current_ == kScheduler) {
        return;
    }
    Fiber& fiber = *fibers_[static_cast<std::size_t>(current_)];
    Hash hash(fiber.history);
    hash.add(value);
    fiber.history = hash.value();
    if (!events_.empty()) {
        events_.back().value = value;
    }
}

void Explorer::checkpoint(std::uint64_t local)
{
    Hash hash(static_cast<std::uint64_t>(current_));
    hash.add(local);
    fibers_[static_cast<std::size_t>(current_)]->history = hash.value();
}

void Explorer::fail(const std::string& why)
{
    if (outcome_.failure.empty()) {
        outcome_.failure = why + "\n" + schedule();
    }
    over_ = true;
}

std::string Explorer::schedule() const
{
    std::string text;
    int last = kScheduler - 1;
    for (const Event& event : events_) {
        if (event.task != last) {
            text += "\n  task " + std::to_string(event.task) + ":";
            last = event.task;
        }
        text += std::string(" ") + event.what;
        if (event.value < 1000) {
            text += "=" + std::to_string(event.value);
        }
    }
    return text;
}

// ---------------------------------------------------------------------------------------------------------------- runs

void Explorer::run_once(const std::function<std::unique_ptr<World>()>& make)
{
    at_ = 0;
    preemptions_ = 0;
    over_ = false;
    events_.clear();
    objects_.clear();
    world_ = make();
    auto tasks = world_->tasks();
    tasks_ = tasks.size();
    while (fibers_.size() < tasks_) {
        auto fiber = std::make_unique<Fiber>();
        fiber->memory = std::make_unique<char[]>(kStack);
        fiber->stack = fiber->memory.get();
        fiber->stack_size = kStack;
        ::getcontext(&fiber->context);
        fiber->context.uc_stack.ss_sp = fiber->memory.get();
        fiber->context.uc_stack.ss_size = kStack;
        fiber->context.uc_link = nullptr;
        ::makecontext(&fiber->context, &Explorer::entry, 0);
#if defined(__SANITIZE_THREAD__)
        fiber->tsan = __tsan_create_fiber(0);
#endif
        fibers_.push_back(std::move(fiber));
    }
    for (std::size_t i = 0; i < tasks_; ++i) {
        fibers_[i]->task = std::move(tasks[i]);
        fibers_[i]->ready = nullptr;
        fibers_[i]->what = "";
        fibers_[i]->history = i;
        fibers_[i]->done = false;
    }
    const int first = decide();
    if (first != kScheduler) {
        switch_to(first);
    }
    aborting_ = true;
    for (std::size_t i = 0; i < tasks_; ++i) {
        Fiber& fiber = *fibers_[i];
        if (!fiber.done) {
            switch_to(static_cast<int>(i)); // unwinds it, also one that has not begun
        }
    }
    aborting_ = false;
    outcome_.depth = std::max(outcome_.depth, choices_.size());
    world_.reset();
}

Outcome Explorer::explore(const std::function<std::unique_ptr<World>()>& make, Limits limits)
{
    limits_ = limits;
    outcome_ = {};
    choices_.clear();
    seen_.clear();
    for (;;) {
        run_once(make);
        ++outcome_.runs;
        if (!outcome_.failure.empty() || outcome_.runs == limits_.runs) {
            break;
        }
        while (!choices_.empty() && choices_.back().taken + 1 == choices_.back().count) {
            choices_.pop_back();
        }
        if (choices_.empty()) {
            outcome_.complete = true;
            break;
        }
        ++choices_.back().taken;
    }
    outcome_.states = seen_.size();
    return outcome_;
}

}  // namespace ftm::model
