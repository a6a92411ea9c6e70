#include "idle_world.hpp"

#include <algorithm>

namespace ftm::sched::model_test {

template struct Reveal<&Protocol::cold_, ColdTag>;
template struct Reveal<&Protocol::queue_, QueueTag>;

const std::deque<unsigned>& IdleWorld::queued() const { return idle_.*reveal(QueueTag{}); }

// ------------------------------------------------------------------------------------------------------------ contexts

// Context::next_job() and the loop around it.
void IdleWorld::context(unsigned number)
{
    bool announced = false;
    for (;;) {
        Explorer::current().checkpoint(announced ? 1 : 0);
        unsigned job = 0;
        const bool wounded = wounded_.load() != 0;
        if (!wounded && Explorer::current().told(idle_.pop(job))) {
            Explorer::current().told(job);
            if (where_[number] == Where::starting) {
                where_[number] = Where::busy;
            }
            announce_work(announced);
            run(number, job);
            continue;
        }
        if (where_[number] == Where::starting) {
            where_[number] = Where::busy;
        }
        if (wounded || idle_.stopping()) {
            notify();
            if (wounded_.load() != 0) {
                call_standby();
            }
            where_[number] = Where::left;
            return;
        }
        announced = false;
        switch (Explorer::current().told(idle_.go_idle(number))) {
            case Protocol::Idle::again:
                continue;
            case Protocol::Idle::leave:
                announce_work(announced);
                where_[number] = Where::retired;
                standby_event_ = true; // Core::thread_ended()
                Explorer::current().block("retired", [this, number] { return where_[number] != Where::retired; });
                continue;
            case Protocol::Idle::sleep:
                where_[number] = Where::cold;
                if (has_waited_in_vain(number) && Explorer::current().told(idle_.withdraw(number))) {
                    if (leaves(number, announced)) {
                        return;
                    }
                    continue;
                }
                platform_.sleep(number);
                idle_.woken();
                where_[number] = Where::busy;
                continue;
            case Protocol::Idle::wait:
                break;
        }
        if (has_waited_in_vain(number)) {
            idle_.stop_waiting();
            if (leaves(number, announced)) {
                return;
            }
            continue;
        }
        const unsigned event = wait(number);
        idle_.stop_waiting();
        if (event >= kWork) {
            continue;
        }
        if (wounded_.load() != 0) {
            queue(event);
            continue;
        }
        announce_work(announced);
        run(number, event);
    }
}

bool IdleWorld::has_waited_in_vain(unsigned number)
{
    if (number != 0 || brief_left_ == 0 || Explorer::current().choose(2, "in vain") != 0) {
        return false;
    }
    --brief_left_;
    return true;
}

// Worker::is_to_leave(): its successor, one of the others, has booted.
bool IdleWorld::leaves(unsigned number, bool& announced)
{
    where_[number] = Where::busy;
    if (brief_left_ != 0) {
        return false;
    }
    announce_work(announced);
    where_[number] = Where::left;
    standby_event_ = true; // Core::thread_ended()
    return true;
}

void IdleWorld::announce_work(bool& announced)
{
    if (announced) {
        return;
    }
    announced = true;
    wake(idle_.taking_work());
}

void IdleWorld::run(unsigned number, unsigned job)
{
    if (runs_[job] != 0) {
        Explorer::current().fail("job " + std::to_string(job) + " runs twice");
    }
    runs_[job] = 1;
    where_[number] = Where::running;
    if (config_.crash && job == 0) {
        wounded_.store(1);
        standby_event_ = true;
        where_[number] = Where::crashed;
        runs_[job] = 2;
        Explorer::current().block("parked", [] { return false; });
    }
    if (config_.long_jobs && Explorer::current().choose(2, "takes long") == 0) {
        Explorer::current().block("run", [this, job] { return releasing_ && released_ == job; });
        releasing_ = false;
    } else {
        Explorer::current().step("run");
    }
    runs_[job] = 2;
    where_[number] = Where::busy;
    if (idle_.queued() != 0 && Explorer::current().told(pipelined_left_) != 0) { // Context::execute(): others have waited longer
        --pipelined_left_;
        queue(new_job());
    }
}

// ------------------------------------------------------------------------------------------------------ standby thread

void IdleWorld::standby()
{
    const auto can_stop = [this] { return stop_wanted_ && all_done(); };
    for (;;) {
        Explorer::current().checkpoint(2);
        Explorer::current().block("standby", [&] {
            return standby_event_ || timer_ || (watching_ && !events_.empty()) || pushes_left_ != 0 || can_stop() ||
                   retirements_left_ != 0;
        });
        const bool ready = watching_ && !events_.empty();
        Explorer::current().told((standby_event_ ? 1 : 0) + (timer_ ? 2 : 0) + (ready ? 4 : 0) +
                                 (pushes_left_ != 0 ? 8 : 0) + (can_stop() ? 16 : 0) +
                                 (retirements_left_ != 0 ? 32 : 0));
        void (IdleWorld::*handlers[5])();
        unsigned count = 0;
        if (standby_event_) {
            handlers[count++] = &IdleWorld::on_called;
        }
        if (timer_) {
            handlers[count++] = &IdleWorld::on_look_timer;
        }
        if (ready) {
            handlers[count++] = &IdleWorld::on_ready_set;
        }
        const unsigned push = pushes_left_ != 0 ? count++ : kNothing;
        const unsigned stop = can_stop() ? count++ : kNothing;
        const unsigned retire = retirements_left_ != 0 ? count++ : kNothing;
        const unsigned taken = count == 1 ? 0 : Explorer::current().choose(count, "handler");
        if (taken == push) {
            --pushes_left_;
            queue(new_job());
            start_on_demand();
        } else if (taken == retire) {
            --retirements_left_;
            wake(idle_.let_one_leave());
        } else if (taken == stop) {
            stop_wanted_ = false;
            idle_.stop();
            notify();
        } else {
            (this->*handlers[taken])();
        }
    }
}

void IdleWorld::on_called()
{
    standby_event_ = false;
    if (wounded_.load() != 0 && !standby_wounded_) {
        become_wounded();
    }
    start_on_demand();
    if (!watching_) {
        timer_ = true;
    }
}

void IdleWorld::on_look_timer()
{
    timer_ = false;
    standby_called_.store(0);
    if (idle_.every_context_is_busy()) {
        standby_called_.store(1);
        watching_ = true;
    }
    start_on_demand();
}

void IdleWorld::on_ready_set()
{
    while (idle_.every_context_is_busy()) {
        const unsigned event = take_event();
        if (event == kNothing) {
            return;
        }
        if (event < kWork) {
            queue(event);
            start_on_demand();
        }
    }
    watching_ = false;
    standby_called_.store(0);
    if (idle_.every_context_is_busy()) {
        call_standby();
    }
}

// Standby::start_on_demand()
void IdleWorld::start_on_demand()
{
    if (config_.retirements == 0 || !idle_.every_context_is_busy()) {
        return;
    }
    const auto starting = static_cast<std::size_t>(std::count(where_.begin(), where_.end(), Where::starting));
    std::size_t wanted = idle_.queued();
    wanted = wanted > starting ? wanted - starting : 0;
    Explorer::current().told(static_cast<unsigned>(wanted));
    for (Where& where : where_) {
        if (wanted != 0 && where == Where::retired) {
            where = Where::starting;
            --wanted;
        }
    }
}

void IdleWorld::become_wounded()
{
    standby_wounded_ = true;
    idle_.stop();
    notify();
}

// ---------------------------------------------------------------------------------------------------------------- core

void IdleWorld::queue(unsigned job)
{
    Protocol::Notify whom{};
    if (!idle_.push(job, 100, whom)) {
        Explorer::current().fail("the queue is full");
    }
    wake(whom);
}

void IdleWorld::wake(Protocol::Notify whom)
{
    Explorer::current().told(whom);
    if (whom == Protocol::Notify::waiter) {
        notify();
    } else if (whom == Protocol::Notify::standby) {
        call_standby();
    }
}

void IdleWorld::call_standby()
{
    if (standby_called_.exchange(1) == 0) {
        standby_event_ = true;
    }
}

// ----------------------------------------------------------------------------------------------------------- ready set

void IdleWorld::notify()
{
    Explorer::current().step("notify");
    if (std::find(events_.begin(), events_.end(), kWork) == events_.end()) {
        events_.push_back(kWork);
    }
}

unsigned IdleWorld::wait(unsigned context)
{
    where_[context] = Where::waiting;
    Explorer::current().block("wait", [this] { return !events_.empty(); });
    where_[context] = Where::busy;
    const unsigned event = events_.front();
    events_.pop_front();
    return Explorer::current().told(event);
}

unsigned IdleWorld::take_event()
{
    Explorer::current().step("take event");
    if (events_.empty()) {
        return Explorer::current().told(kNothing);
    }
    const unsigned event = events_.front();
    events_.pop_front();
    return Explorer::current().told(event);
}

// --------------------------------------------------------------------------------------------------------------- world

std::vector<std::function<void()>> IdleWorld::tasks()
{
    std::vector<std::function<void()>> all;
    for (unsigned i = 0; i < config_.contexts; ++i) {
        all.emplace_back([this, i] { context(i); });
    }
    all.emplace_back([this] { standby(); });
    if (connections_left_ != 0) {
        all.emplace_back([this] {
            for (unsigned i = 0; i < config_.connections + config_.half_read; ++i) {
                Explorer::current().checkpoint(100 + i);
                Explorer::current().step("arrive");
                --connections_left_;
                events_.push_back(i < config_.half_read ? kHalfRead : new_job());
            }
        });
    }
    return all;
}

bool IdleWorld::at_rest()
{
    Explorer& explorer = Explorer::current();
    const auto any = [this](Where where) { return std::find(where_.begin(), where_.end(), where) != where_.end(); };
    const bool idle = any(Where::waiting) || any(Where::cold);
    const bool stopped = idle_.stopping();
    if (!stopped && !any(Where::waiting) && !watching_) {
        explorer.fail("nobody watches the ready set");
    }
    if (std::any_of(events_.begin(), events_.end(), [](unsigned event) { return event != kWork; })) {
        explorer.fail("a connection has an event that nobody looks at");
    }
    if (!queued().empty() && idle && !standby_wounded_) {
        explorer.fail(any(Where::running) ? "a job waits behind a running one although a context is idle"
                                          : "a job is queued and every context sleeps");
    }
    if (any(Where::running)) { // one of the long jobs ends now
        std::vector<unsigned> running;
        for (unsigned job = 0; job < runs_.size(); ++job) {
            if (runs_[job] == 1) {
                running.push_back(job);
            }
        }
        const auto count = static_cast<unsigned>(running.size());
        released_ = running[count == 1 ? 0 : explorer.choose(count, "job ends")];
        releasing_ = true;
        return true;
    }
    if (stopped) {
        for (const Where where : where_) {
            if (where != Where::left && where != Where::crashed && where != Where::retired) {
                explorer.fail("a context did not leave after stop()");
            }
        }
    }
    if (!standby_wounded_ && !all_done() && (pipelined_left_ == 0 || !queued().empty())) {
        explorer.fail("a job did not run");
    }
    return false;
}

void IdleWorld::describe(model::Hash& hash) const
{
    const auto add = [&hash](const auto& list) {
        hash.add(list.size());
        for (const auto& item : list) {
            hash.add(static_cast<std::uint64_t>(item));
        }
    };
    add(queued());
    add(idle_.*reveal(ColdTag{}));
    add(where_);
    add(runs_);
    add(events_);
    for (unsigned i = 0; i < config_.contexts; ++i) {
        hash.add(platform_.woken(i) ? 1 : 0);
    }
    for (const std::uint64_t word :
         {std::uint64_t{standby_event_}, std::uint64_t{timer_}, std::uint64_t{watching_},
          std::uint64_t{standby_wounded_}, std::uint64_t{pushes_left_}, std::uint64_t{connections_left_},
          std::uint64_t{pipelined_left_}, std::uint64_t{retirements_left_}, std::uint64_t{brief_left_}, std::uint64_t{stop_wanted_}, std::uint64_t{releasing_},
          std::uint64_t{released_}}) {
        hash.add(word);
    }
}

}  // namespace ftm::sched::model_test
