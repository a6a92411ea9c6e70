#include "engine/worker_succession.hpp"

namespace ftm::engine {

bool WorkerSuccession::ask(unsigned worn, const WorkerHistory& history)
{
    const std::lock_guard lock(mutex_);
    if (step_ != Step::nobody) {
        return false;
    }
    step_ = Step::asked;
    worn_ = worn;
    history_ = history;
    return true;
}

bool WorkerSuccession::wanted() const
{
    const std::lock_guard lock(mutex_);
    return step_ == Step::asked;
}

std::optional<WorkerHistory> WorkerSuccession::begin(unsigned successor)
{
    const std::lock_guard lock(mutex_);
    if (step_ != Step::asked) { // the worn one has ended meanwhile
        return std::nullopt;
    }
    step_ = Step::booting;
    successor_ = successor;
    return history_;
}

void WorkerSuccession::refuse()
{
    const std::lock_guard lock(mutex_);
    if (step_ != Step::nobody) {
        step_ = Step::refused;
    }
}

void WorkerSuccession::booted(unsigned context)
{
    const std::lock_guard lock(mutex_);
    if (step_ == Step::booting && context == successor_) {
        step_ = Step::booted;
    }
}

bool WorkerSuccession::may_leave(unsigned worn) const
{
    const std::lock_guard lock(mutex_);
    return worn_ == worn && (step_ == Step::booted || step_ == Step::refused);
}

bool WorkerSuccession::leave(unsigned context)
{
    const std::lock_guard lock(mutex_);
    if (step_ == Step::nobody || context != worn_) {
        return false;
    }
    const bool taken = step_ == Step::booting || step_ == Step::booted;
    step_ = Step::nobody;
    return taken;
}

}  // namespace ftm::engine
