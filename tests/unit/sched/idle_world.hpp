// The engine around sched::IdleProtocol as far as RULES 4 and 5 go, for the model test: contexts as in
// Context::next_job(), the standby thread as in Standby::on_called() … on_ready_set(), the ready set as the kernel
// keeps it (an eventfd whose edges coalesce, connections with something to read, one waiter woken per event), and
// clients. When the engine's code changes, this changes with it.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "model/explorer.hpp"
#include "sched/idle_protocol.hpp"

namespace ftm::sched::model_test {

using model::Explorer;

struct Config {
    unsigned contexts = 2;
    unsigned wanted_waiters = 1;
    unsigned pushes = 0;       // jobs the standby thread queues by itself (connections it takes over, RULES 21)
    unsigned connections = 0;  // whole requests that arrive in the ready set
    unsigned half_read = 0;    // events that do not yet make a request
    unsigned pipelined = 0;    // jobs whose connection has a next one, which its context queues behind the others
    bool long_jobs = false;    // any job may take long: it ends only when nothing else can happen
    unsigned retirements = 0;  // the standby thread lets so many contexts leave, and starts them again when jobs wait
    unsigned brief = 0;        // a context 0 that waits briefly (Context::next_job(true)) has waited in vain so often
    bool stop = false;         // the standby thread ends it all after the last job
    bool crash = false;        // job 0 crashes its context
};

class Platform {
public:
    template <class T>
    using Atomic = model::Atomic<T>;
    using Mutex = model::Mutex;

    explicit Platform(unsigned contexts) : word_(contexts, false) {}

    void wake(unsigned context)
    {
        Explorer::current().step("wake");
        Explorer::current().told(context);
        word_[context] = true;
    }
    void sleep(unsigned context)
    {
        Explorer::current().block("cold", [this, context] { return word_[context]; });
        word_[context] = false;
    }
    [[nodiscard]] bool woken(unsigned context) const { return word_[context]; }

private:
    std::vector<bool> word_;
};

using Protocol = IdleProtocol<Platform, unsigned>;

// What the protocol keeps under its mutex is state of the model, too.
template <auto Member, class Tag>
struct Reveal {
    friend auto reveal(Tag) { return Member; }
};
struct ColdTag {
    friend auto reveal(ColdTag);
};
struct QueueTag {
    friend auto reveal(QueueTag);
};

class IdleWorld final : public model::World {
public:
    explicit IdleWorld(const Config& config)
        : config_(config),
          platform_(config.contexts),
          idle_(platform_, config.contexts, config.wanted_waiters),
          where_(config.contexts, Where::busy),
          pushes_left_(config.pushes),
          stop_wanted_(config.stop)
    {
    }

    std::vector<std::function<void()>> tasks() override;
    bool at_rest() override;
    void describe(model::Hash& hash) const override;

private:
    static constexpr unsigned kWork = 1000;      // the eventfd
    static constexpr unsigned kNothing = 1001;   // no event
    static constexpr unsigned kHalfRead = 1002;
    enum class Where { busy, waiting, cold, running, crashed, retired, starting, left };

    // contexts
    void context(unsigned number);
    void announce_work(bool& announced);
    bool has_waited_in_vain(unsigned number);
    bool leaves(unsigned number, bool& announced);
    void run(unsigned number, unsigned job);
    // standby thread
    void standby();
    void on_called();
    void on_look_timer();
    void on_ready_set();
    void become_wounded();
    void start_on_demand();
    // Core
    void queue(unsigned job);
    void wake(Protocol::Notify whom);
    void call_standby();
    // ready set
    void notify();
    unsigned wait(unsigned context);
    unsigned take_event();

    unsigned new_job()
    {
        runs_.push_back(0);
        return static_cast<unsigned>(runs_.size() - 1);
    }
    [[nodiscard]] bool all_done() const
    {
        return jobs_to_come() == 0 && std::all_of(runs_.begin(), runs_.end(), [](unsigned n) { return n == 2; });
    }
    [[nodiscard]] unsigned jobs_to_come() const
    {
        const auto connections = std::count_if(events_.begin(), events_.end(), [](unsigned e) { return e != kWork; });
        return pushes_left_ + connections_left_ + pipelined_left_ + static_cast<unsigned>(connections);
    }
    [[nodiscard]] const std::deque<unsigned>& queued() const;

    const Config config_;
    Platform platform_;
    Protocol idle_;
    model::Atomic<unsigned> standby_called_{0u};
    model::Atomic<unsigned> wounded_{0u};

    std::vector<Where> where_;
    std::vector<unsigned> runs_;     // per job: 0 not yet, 1 running, 2 done
    std::deque<unsigned> events_;    // of the ready set, in the order the kernel gives them out
    bool standby_event_ = false;
    bool timer_ = false;
    bool watching_ = false;
    bool standby_wounded_ = false;
    unsigned pushes_left_;
    unsigned connections_left_ = config_.connections + config_.half_read;
    unsigned pipelined_left_ = config_.pipelined;
    unsigned retirements_left_ = config_.retirements;
    unsigned brief_left_ = config_.brief;
    bool stop_wanted_;
    bool releasing_ = false;         // a long job may end
    unsigned released_ = 0;
};

}  // namespace ftm::sched::model_test
