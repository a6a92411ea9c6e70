// What the threads of an engine share, in construction order. Members say who may touch them; everything else in
// engine/ is code that works on this.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/channel.hpp"
#include "config/config.hpp"
#include "engine/http_files.hpp"
#include "engine/ready_set.hpp"
#include "engine/session_table.hpp"
#include "engine/worker_succession.hpp"
#include "net/allowed_clients.hpp"
#include "observe/access_log.hpp"
#include "observe/scoreboard.hpp"
#include "php/body_policy.hpp"
#include "php/classic_run.hpp"
#include "sched/idle_protocol.hpp"
#include "sched/process_manager.hpp"
#include "sched/request_deadlines.hpp"

namespace ftm::engine {

// The idle protocol on real atomics and futexes.
class Platform {
public:
    template <class T>
    using Atomic = std::atomic<T>;
    using Mutex = std::mutex;

    explicit Platform(unsigned contexts) : sleepers_(std::make_unique<std::atomic<std::uint32_t>[]>(contexts)) {}
    void wake(unsigned context) noexcept;
    void sleep(unsigned context) noexcept;
    // False: the time is over, nobody has woken it.
    bool sleep_for(unsigned context, std::chrono::milliseconds time) noexcept;

private:
    std::unique_ptr<std::atomic<std::uint32_t>[]> sleepers_;
};

using Idle = sched::IdleProtocol<Platform, Job*>;

// The first one is the pool's own.
struct Listener {
    UniqueFd fd;
    bool tcp = false;
    bool status_only = false;  // pm.status_listen: ping and status, nothing else
    bool http = false;         // http.listen: HTTP/1.1 instead of FastCGI
};

// What PHP's ini says about the headers of built-in pages.
struct PageHeaders {
    std::string x_powered_by;  // the line, empty with expose_php off
    std::string charset = "UTF-8";
    std::string type = "text/html";
};

// Of a pool with http.listen.
struct HttpSettings {
    DocumentRoot root;
    http::TrustedProxies proxies{};
    http::Limits limits{};
    std::int64_t request_timeout_us = 0;    // 0: none
    std::int64_t keepalive_timeout_us = 0;  // 0: none
};

struct Settings {
    const config::Pool* pool = nullptr;
    unsigned contexts = 1;       // at most
    std::string worker_script;   // empty: none
    unsigned workers = 0;        // of these; they come first
    unsigned spare_workers = 0;  // contexts beyond these, where a worker's successor boots
    observe::RestartReason start_reason = observe::RestartReason::none;  // why the pool's workers are booted
    bool may_do_without_workers = false;  // while their script does not boot: answer 503, for nobody else serves
    sched::ManagerSettings manager;       // of the others
    unsigned waiters = 4;        // idle contexts that wait in the ready set side by side
    std::size_t queue_limit = 511;
    std::size_t output_spool_limit = std::size_t{1} << 30;  // bytes
    net::AllowedClients allowed_clients{};
    php::PoolScripts scripts{};
    sched::RequestLimits limits{};
    PageHeaders page_headers{};
    std::shared_ptr<const observe::AccessLog> access_log;  // nullptr: none
    std::unique_ptr<HttpSettings> http{};  // nullptr: no http.listen
    bool shows_cpu = false;      // there is a status page, which shows each context's CPU time
};

class Core {
public:
    Core(Settings settings, std::vector<Listener> listeners, Channel host, observe::Scoreboard& board, int crash_pipe);

    // set at construction
    const Settings settings;
    std::vector<Listener> listeners;
    const Channel host;  // sends from any thread, receives on the standby thread
    observe::Scoreboard& board;
    const int crash_pipe;

    // written by the first context that attaches, before anybody accepts
    php::BodyPolicy body_policy;
    bool body_policy_known = false;

    // each has its own synchronization
    ReadySet ready;
    SessionTable sessions;
    Platform platform;
    Idle idle;     // of the contexts that wait in the ready set: all, or in a pool with workers these
    Idle classic;  // of the others in a pool with workers

    [[nodiscard]] Idle& idle_of(bool worker) noexcept { return settings.workers != 0 && !worker ? classic : idle; }
    [[nodiscard]] std::size_t queued() const { return idle.queued() + classic.queued(); }
    // No kind of request has room in its queue. Of a connection nobody knows yet which kind it brings.
    [[nodiscard]] bool queues_are_full() const
    {
        const bool has_classic = settings.workers != 0 && settings.contexts > settings.workers;
        return idle.queued() >= settings.queue_limit && (!has_classic || classic.queued() >= settings.queue_limit);
    }
    void stop_idle();
    bool pop_any(Job*& job) { return idle.pop(job) || classic.pop(job); }

    std::atomic<unsigned> booted_workers{0};   // their script has asked for a request
    std::atomic<bool> workers_do_not_boot{false};
    std::atomic<bool> refuse_worker_jobs{false};   // the standby thread shall answer those that are queued
    WorkerSuccession succession;

    std::atomic<bool> wounded{false};          // a context has crashed: no further request starts here
    std::atomic<bool> draining{false};         // connections leave for the successor, or end
    std::atomic<bool> accepting{false};
    std::atomic<bool> accept_failed{false};    // accept() found no descriptor or memory
    std::atomic<bool> accept_paused{false};    // the queue is full: the standby thread re-arms (RULES 8)
    std::atomic<bool> cpu_asked{false};        // a script has called fpm_get_status(), which shows CPU time too
    std::atomic<unsigned> live_contexts{0};    // threads of contexts

    [[nodiscard]] bool serves_status_only(const Session& session) const
    {
        // a FastCGI connection from an engine that had more listeners came through pm.status_listen
        return session.listener >= listeners.size() || listeners[session.listener].status_only ||
               listeners[session.listener].http != session.is_http;
    }
    // Puts a job into the queue and wakes whoever shall run it. False: the queue is full. Any thread.
    bool queue(Job* job);
    // Does what the idle protocol asks for. Any thread.
    void wake(Idle::Notify notify) noexcept;
    // Wakes the standby thread; coalesced. Any thread.
    void call_standby() noexcept;
    // The same when it shall know even while it watches the ready set. Any thread.
    void call_standby_now() noexcept;
    // A context's thread is ending. Any thread.
    void thread_ended() noexcept;
    // The backtrace of a slow request, for the slowlog. Any thread.
    void report_slow(std::string_view backtrace) noexcept;
    // Unsent output cannot be stored, so scripts wait for their clients: said once. Any thread.
    void log_disk_error(int error) noexcept;
    // Whether nobody takes this engine's connections over: those that can, end. While draining. Any thread.
    [[nodiscard]] bool leaves_nobody_behind();
    // The standby thread shall wait for EPOLLOUT on this session. Any thread.
    void watch_writes(Session& session);

    std::atomic<bool> disk_error_logged{false};
    std::atomic<bool> quit_requested{false};   // SIGQUIT arrived: ask the host for a successor

    // standby thread's ends
    UniqueFd standby_event;
    UniqueFd writers;  // epoll: sessions with unsent output
    std::atomic<bool> standby_called{false};

    // Where connections go while draining; empty: nowhere.
    std::mutex hand_over_mutex;
    Channel successor;  // guarded by hand_over_mutex
};

}  // namespace ftm::engine
