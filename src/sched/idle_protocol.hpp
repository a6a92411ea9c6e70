// Who runs the next request: RULES 4 and 5 as code. Idle contexts either wait in the ready set (a few, side by side) or
// are cold (a LIFO stack, each asleep on its own futex); requests that no waiter read itself are queued. Nothing may be
// left in the queue while somebody who could run it sleeps.
//
// A template over its platform, so that the model test runs this very code through every interleaving:
//   P::Atomic<T>      load, store, fetch_add, exchange; sequentially consistent
//   P::Mutex          lock, unlock
//   wake(context)     ends that context's cold sleep, also one that has not begun
// Threads: any. Owner: the engine.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

namespace ftm::sched {

template <class P, class Job>
class IdleProtocol {
public:
    enum class Idle {
        wait,  // wait in the ready set, then call stop_waiting()
        sleep, // sleep until woken, then call woken() and look at the queue again
        leave, // it is one too many: end, after what taking_work() says
        again  // something came up: look at the queue again
    };
    enum class Notify { nobody, waiter, standby };

    // Without wanted waiters its contexts never wait in the ready set: they are given what others have read.
    IdleProtocol(P& platform, unsigned contexts, unsigned wanted_waiters)
        : platform_(platform), wanted_waiters_(wanted_waiters)
    {
        cold_.reserve(contexts);
    }

    // A context with nothing to run.
    Idle go_idle(unsigned context)
    {
        if (leave_wanted_.load() != 0 && leave_wanted_.exchange(0u) != 0) {
            return Idle::leave;
        }
        if (waiters_.load() < wanted_waiters_) {
            waiters_.fetch_add(1u);
            if (work_visible()) {
                waiters_.fetch_add(-1u);
                return Idle::again;
            }
            return Idle::wait;
        }
        {
            const std::lock_guard lock(mutex_);
            cold_.push_back(context);
            cold_count_.store(static_cast<unsigned>(cold_.size()));
        }
        const bool nobody_watches = wanted_waiters_ != 0 && waiters_.load() == 0;
        if ((work_visible() || nobody_watches) && withdraw(context)) {
            return Idle::again;
        }
        return Idle::sleep;
    }

    void stop_waiting() { waiters_.fetch_add(-1u); }

    // A context that was to sleep does not want to any more. False: somebody has already taken it off the stack and wakes it.
    bool withdraw(unsigned context)
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = cold_.size(); i-- > 0;) {
            if (cold_[i] == context) {
                cold_.erase(cold_.begin() + static_cast<std::ptrdiff_t>(i));
                cold_count_.store(static_cast<unsigned>(cold_.size()));
                return true;
            }
        }
        return false;
    }

    // A cold context's sleep is over.
    void woken() { coming_.fetch_add(-1u); }

    // A context (no longer counted as waiter) is about to be busy: somebody must watch the ready set. Several pushes may
    // have reached it as one event, so it also passes on what is still queued. A context that has been woken and not
    // yet run will watch, or take work and ask again: on a loaded machine it may take milliseconds to come, and each
    // request of that time would wake another one, until all have been used and none has stayed cold.
    Notify taking_work()
    {
        const bool queued = queued_.load() != 0;
        if (waiters_.load() != 0) {
            return queued ? Notify::waiter : Notify::nobody;
        }
        if (coming_.load() != 0 && !queued) {
            return Notify::nobody;
        }
        return wake_one_cold() ? Notify::nobody : Notify::standby;
    }

    // False: the queue is full.
    bool push(Job job, std::size_t limit, Notify& notify)
    {
        {
            const std::lock_guard lock(mutex_);
            if (queue_.size() >= limit) {
                return false;
            }
            queue_.push_back(std::move(job));
            queued_.store(queue_.size());
        }
        notify = waiters_.load() != 0 ? Notify::waiter : wake_one_cold() ? Notify::nobody : Notify::standby;
        return true;
    }

    bool pop(Job& job)
    {
        if (queued_.load() == 0) {
            return false;
        }
        const std::lock_guard lock(mutex_);
        if (queue_.empty()) {
            return false;
        }
        job = std::move(queue_.front());
        queue_.pop_front();
        queued_.store(queue_.size());
        return true;
    }

    // Removes the jobs for which `matches` is true and gives them to `sink`, in order.
    template <class Matches, class Sink>
    void remove_if(Matches&& matches, Sink&& sink)
    {
        const std::lock_guard lock(mutex_);
        for (auto it = queue_.begin(); it != queue_.end();) {
            if (matches(*it)) {
                sink(std::move(*it));
                it = queue_.erase(it);
            } else {
                ++it;
            }
        }
        queued_.store(queue_.size());
    }

    // Every context leaves: waiters through the ready set's eventfd (Notify::waiter), cold ones are woken here.
    void stop()
    {
        stopping_.store(1u);
        while (wake_one_cold()) {
        }
    }

    // One idle context shall leave, most likely the one that has been cold for longest. Any that becomes idle first may
    // take the wish; forget_leaving() withdraws it while nobody has.
    Notify let_one_leave()
    {
        leave_wanted_.store(1u);
        if (wake_one_cold(Which::coldest)) {
            return Notify::nobody;
        }
        return waiters_.load() != 0 ? Notify::waiter : Notify::nobody;
    }
    void forget_leaving() { leave_wanted_.store(0u); }

    [[nodiscard]] bool stopping() const { return stopping_.load() != 0; }
    [[nodiscard]] std::size_t queued() const { return queued_.load(); }
    [[nodiscard]] bool every_context_is_busy() const { return waiters_.load() == 0 && cold_count_.load() == 0; }
    [[nodiscard]] unsigned idle_contexts() const { return waiters_.load() + cold_count_.load(); }

private:
    [[nodiscard]] bool work_visible() const { return queued_.load() != 0 || stopping_.load() != 0; }

    enum class Which { hottest, coldest };

    bool wake_one_cold(Which which = Which::hottest)
    {
        if (cold_count_.load() == 0) {
            return false;
        }
        unsigned context;
        {
            const std::lock_guard lock(mutex_);
            if (cold_.empty()) {
                return false;
            }
            const auto chosen = which == Which::hottest ? cold_.end() - 1 : cold_.begin();
            context = *chosen;
            cold_.erase(chosen);
            cold_count_.store(static_cast<unsigned>(cold_.size()));
            coming_.fetch_add(1u);
        }
        platform_.wake(context);
        return true;
    }

    P& platform_;
    const unsigned wanted_waiters_;
    typename P::template Atomic<unsigned> waiters_{0u};
    typename P::template Atomic<unsigned> cold_count_{0u};
    typename P::template Atomic<unsigned> coming_{0u};  // woken, and not yet running
    typename P::template Atomic<std::size_t> queued_{std::size_t{0}};
    typename P::template Atomic<unsigned> stopping_{0u};
    typename P::template Atomic<unsigned> leave_wanted_{0u};
    mutable typename P::Mutex mutex_;
    std::vector<unsigned> cold_;  // guarded by mutex_
    std::deque<Job> queue_;       // guarded by mutex_
};

}  // namespace ftm::sched
