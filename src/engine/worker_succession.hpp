// A worker that has served enough stays until its successor has booted. Here is who is being succeeded: one worker of
// an engine at a time, so that no more than one context beyond pm.max_children runs for it.
// Threads: any; it is touched once per recycling, and by a worn worker between its requests.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "observe/scoreboard.hpp"

namespace ftm::engine {

// What a worker's next boot goes on from: its own, or its successor's.
struct WorkerHistory {
    observe::RestartReason next = observe::RestartReason::none;  // why the script is about to be booted
    std::uint64_t restarts = 0;
};

class WorkerSuccession {
public:
    // The worn worker. False: another one is being succeeded, ask again.
    bool ask(unsigned worn, const WorkerHistory& history);
    // The standby thread: whether somebody waits for it to start a worker; and that it has, or cannot.
    [[nodiscard]] bool wanted() const;
    std::optional<WorkerHistory> begin(unsigned successor);
    void refuse();
    // A worker's script has asked for its first request.
    void booted(unsigned context);
    // The worn worker, after ask(): its place is taken, or nobody will take it.
    [[nodiscard]] bool may_leave(unsigned worn) const;
    // A worker's script has ended. True: somebody takes its place, so it need not boot again.
    bool leave(unsigned context);

private:
    enum class Step { nobody, asked, booting, booted, refused };

    mutable std::mutex mutex_;
    Step step_ = Step::nobody;  // all guarded by mutex_
    unsigned worn_ = 0;
    unsigned successor_ = 0;
    WorkerHistory history_;
};

}  // namespace ftm::engine
