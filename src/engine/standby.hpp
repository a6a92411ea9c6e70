// The standby thread: everything slow or rare. It is the engine's main thread, runs Boost.Asio and never PHP.
//   * watches the ready set while every context is busy: accepts, reads, queues, answers ping and status (RULES 5)
//   * sends what clients' sockets did not take at once (RULES 10)
//   * a sweep every 50 ms while requests run: puts connections without KEEP_CONN into the ready set (RULES 3)
//   * talks with the host: hand-over, drain, stop
//   * answers for contexts that have crashed
//   * ends requests whose time is over (standby_deadlines.cpp)
//   * starts and retires contexts (standby_manager.cpp)
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <vector>

#include "engine/context.hpp"
#include "engine/core.hpp"
#include "engine/reader.hpp"
#include "net/asio.hpp"
#include "sched/process_manager.hpp"
#include "sched/request_deadlines.hpp"

namespace ftm::engine {

// Why a successor is wanted; message want_successor. The host shows this engine's end at full level.
inline constexpr std::int64_t kIsStuck = 1;
inline constexpr std::int64_t kQuit = 2;

class Standby {
public:
    Standby(Core& core, std::vector<std::unique_ptr<Context>>& contexts);

    // Until the engine has nothing left to do. Returns the process's exit code.
    int run();

private:
    void wait_for_host();
    void wait_for_calls();
    void wait_for_writers();
    void on_host_message(Message& message);
    void on_called();
    void watch_ready_set();
    void on_ready_set();
    void on_writers();
    void sweep();
    void close_slow_http_clients();
    void schedule_sweep();
    void refuse_overdue();
    void refuse_worker_jobs();
    void register_long_runner(Context& context);
    void schedule_maintenance();
    void maintain();
    void start_on_demand();
    void start_successor();
    void manage(const sched::ProcessManager::Step& step);
    void start_contexts(int count);
    void tell_of_contexts(int wanted);
    void maybe_go_to_sleep();
    [[nodiscard]] sched::PoolLoad load() const;
    void schedule_deadlines(std::int64_t at_us);
    void look_at_deadlines();
    void trace_slow(Context& context, const sched::RunningRequest& request);
    void trace_from_outside();
    void end_overdue(Context& context, const sched::RunningRequest& request, const sched::RequestDeadlines::Step& step);
    [[nodiscard]] bool is_stuck(Context& context) const;
    [[nodiscard]] unsigned stuck_contexts() const;
    [[nodiscard]] unsigned stuck_sessions() const;
    [[noreturn]] void die_stuck();
    void become_wounded();
    void care_for_crashed(Context& context);
    void answer_for(Context& context);
    struct Predecessor;
    void add_predecessor(UniqueFd channel);
    void wait_for(Predecessor& predecessor);
    void on_connection(Message& message);
    void begin_drain(std::chrono::milliseconds deadline, bool php_fpm_follows = false);
    void stop_accepting();
    void leave_listeners(bool php_fpm_follows);
    void move_queue(bool to_successor);
    [[nodiscard]] bool nobody_runs(const Job& job) const;
    void continue_drain();
    void maybe_finish();
    void resume_accepting();
    void tell_ready_once();

    Core& core_;
    std::vector<std::unique_ptr<Context>>& contexts_;
    Reader reader_;

    asio::io_context io_;
    asio::posix::stream_descriptor host_;
    asio::posix::stream_descriptor called_;
    asio::posix::stream_descriptor writers_;
    asio::posix::stream_descriptor ready_;
    asio::steady_timer ready_timer_;
    asio::steady_timer look_timer_;
    asio::steady_timer sweep_timer_;
    asio::steady_timer drain_timer_;
    asio::steady_timer deadline_timer_;
    asio::steady_timer maintenance_timer_;
    asio::steady_timer trace_timer_;

    // Engines whose connections come here; several when reloads follow each other quickly.
    struct Predecessor {
        Predecessor(asio::io_context& io, UniqueFd fd) : channel(std::move(fd)), descriptor(io, channel.fd()) {}
        Channel channel;
        asio::posix::stream_descriptor descriptor;
    };
    std::list<Predecessor> predecessors_;
    bool watching_ = false;
    bool told_ready_ = false;
    std::chrono::milliseconds ready_look_{1};  // grows while a worker boots
    bool wounded_ = false;
    bool stopping_ = false;
    bool asleep_ = false;  // of an ondemand pool, has left its listeners and told the host so
    sched::ProcessManager manager_;
    int asked_for_ = 0;               // with process.max: contexts the master has not answered about
    std::int64_t ask_again_us_ = 0;   // not before
    std::int64_t next_http_look_us_ = 0;
    int told_contexts_ = 0;           // what the master knows
    std::vector<bool> crash_seen_;
    std::vector<sched::RequestDeadlines> deadlines_;  // per context
    UniqueFd trace_pipe_[2];
};

}  // namespace ftm::engine
