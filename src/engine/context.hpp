// One context: the thread, its reader, its answer buffer, and what others may know of it while it runs.
// Threads: run() is the context's own; the atomics are read by the standby thread.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/core.hpp"
#include "engine/crash_handler.hpp"
#include "engine/fcgi_responder.hpp"
#include "engine/http_responder.hpp"
#include "engine/reader.hpp"
#include "engine/request_watch.hpp"
#include "ftm_engine.h"

namespace ftm::engine {

class Context {
public:
    Context(Core& core, unsigned number);

    // Starts a thread for this context. False: the system has none left. Caller: engine start, the dying thread, or,
    // when the context is not alive, the standby thread.
    bool start();
    // It has a thread.
    [[nodiscard]] bool alive() const noexcept { return alive_.load(); }
    // It has looked for work since its thread was started.
    [[nodiscard]] bool settled() const noexcept { return settled_.load(); }
    [[nodiscard]] std::int64_t last_active_us() const noexcept { return last_active_us_.load(); }

    // The session whose request runs here, as its index + 1 and generation; 0 = none.
    [[nodiscard]] std::uint64_t running() const noexcept { return running_.load(); }
    [[nodiscard]] std::int64_t running_since_us() const noexcept { return since_us_.load(); }
    [[nodiscard]] CrashReport& crash_report() noexcept { return crash_; }
    // Of the request that runs, or ran last.
    [[nodiscard]] RequestResponder& responder() noexcept { return *responder_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool attached() const noexcept { return attached_.load(); }
    [[nodiscard]] unsigned number() const noexcept { return number_; }
    [[nodiscard]] bool is_worker() const noexcept { return is_worker_; }
    [[nodiscard]] observe::Slot* slot() noexcept { return slot_; }
    [[nodiscard]] RequestWatch& watch() noexcept { return watch_; }
    // Standby thread: its VM and, by a signal, the system call it may sit in shall notice what the watch wants.
    void interrupt(bool system_calls) noexcept;
    // Standby thread: the backtrace as seen from outside; empty when the context ran meanwhile, or is not attached.
    [[nodiscard]] std::string trace_from_outside(const int pipe[2], int depth);

    // -- the context's own thread, for its Worker

    // The next job for this context, already read or awaited; nullptr: leave, or with `briefly` there was none for a
    // moment. Who leaves without having had a job says so with announce_leaving().
    Job* next_job(bool briefly = false);
    void announce_leaving() { reader_.announce_work(); }
    // Ends the job with an error page.
    void refuse(Job* job, int status, std::string_view reason) { reader_.refuse(job, status, reason); }
    // The client has gone, or nobody may start a request any more: ends the job unserved. What followed on its connection.
    [[nodiscard]] static bool is_pointless(const Job& job);
    Job* drop(Job* job);
    // Around the running of a job. end() has sent END_REQUEST; returns what followed on the connection, if it may go first.
    const php::ResolvedScript& begin(Job& job);
    Job* end(Job* job);
    void queue(Job* job) { reader_.queue(job); }
    [[nodiscard]] WorkerHistory& history() noexcept { return history_; }

private:
    static constexpr std::int64_t kCpuUnknown = -1;

    static void* entry(void* self);
    void run();
    Job* serve_classic();
    Job* execute(Job* job);
    void sleep_cold();
    bool sleep_briefly();
    [[nodiscard]] bool is_for_me(const Job& job) const { return job.for_worker == is_worker_; }
    void choose_responder(const Job& job) noexcept;
    void describe(const Job& job, const php::ResolvedScript& script);
    void measure_cpu();
    void yield_if_due();

    Core& core_;
    const unsigned number_;
    const bool is_worker_;
    Reader reader_;
    RequestWatch watch_;
    FcgiResponder fcgi_;
    std::unique_ptr<HttpResponder> http_;  // nullptr: no http.listen
    std::atomic<RequestResponder*> responder_;
    CrashReport crash_;
    WorkerHistory history_;          // its thread's; before that is started, the standby thread's
    observe::Slot* slot_ = nullptr;  // none while too many engines of the pool are alive
    std::atomic<bool> alive_{false};
    std::atomic<bool> settled_{false};
    std::atomic<bool> attached_{false};
    std::atomic<std::int64_t> last_active_us_{0};
    std::atomic<std::uint64_t> running_{0};
    std::atomic<std::int64_t> since_us_{0};
    std::mutex handle_mutex_;
    ftm_thread_handle handle_{};  // guarded by handle_mutex_, as tid_
    pid_t tid_ = 0;               // 0: not attached
    std::uint64_t served_ = 0;
    php::ResolvedScript script_;  // of the running job
    bool renew_ = false;          // what has just run makes it so
    bool has_run_ = false;        // since its heap was last trimmed
    std::int64_t awake_since_us_ = 0;
    std::int64_t cpu_us_ = kCpuUnknown;  // CPU time of this thread when it was last measured
};

}  // namespace ftm::engine
