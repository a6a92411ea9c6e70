// The standby thread's loop: the host's messages, and the ready set while every context is busy.
#include "engine/standby.hpp"

#include "engine/clock.hpp"

#include <unistd.h>

#include <algorithm>

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;
using Wait = asio::posix::stream_descriptor;

// Contexts that are all busy for less than this need no help; status and ping may wait so long.
constexpr auto kLookAfter = 1ms;
constexpr auto kMaxReadyLook = 50ms;
// process.max: what was refused may be granted later.
constexpr std::int64_t kAskAgainUs = 100'000;

}  // namespace

Standby::Standby(Core& core, std::vector<std::unique_ptr<Context>>& contexts)
    : core_(core),
      contexts_(contexts),
      reader_(core, net::Output::kStandby),
      io_(1),
      host_(io_, core.host.fd()),
      called_(io_, core.standby_event.get()),
      writers_(io_, core.writers.get()),
      ready_(io_),
      ready_timer_(io_),
      look_timer_(io_),
      sweep_timer_(io_),
      drain_timer_(io_),
      deadline_timer_(io_),
      maintenance_timer_(io_),
      trace_timer_(io_),
      manager_(core.settings.manager),
      crash_seen_(contexts.size(), false),
      deadlines_(contexts.size())
{
}

int Standby::run()
{
    wait_for_host();
    wait_for_calls();
    wait_for_writers();
    schedule_sweep();
    if (core_.settings.limits.any()) {
        look_at_deadlines();
    }
    if (manager_.grows_and_shrinks()) {
        schedule_maintenance();
    }
    tell_of_contexts(0);
    tell_ready_once();
    io_.run();
    // Asio does not own these descriptors.
    host_.release();
    called_.release();
    writers_.release();
    if (ready_.is_open()) {
        ready_.release();
    }
    for (Predecessor& predecessor : predecessors_) {
        predecessor.descriptor.release();
    }
    return 0;
}

void Standby::wait_for_host()
{
    host_.async_wait(Wait::wait_read, [this](const ErrorCode& error) {
        if (error) {
            return;
        }
        for (;;) {
            Message message;
            const Channel::Receive got = core_.host.receive(message);
            if (got == Channel::Receive::nothing) {
                break;
            }
            if (got == Channel::Receive::closed) { // RULES 22: the host is gone
                begin_drain(core_.settings.pool->pm_drain_timeout);
                return;
            }
            on_host_message(message);
        }
        if (!stopping_) {
            wait_for_host();
        }
    });
}

void Standby::on_host_message(Message& message)
{
    switch (message.kind) {
        case Message::Kind::drain: {
            if (!message.fds.empty()) { // a later order to drain may come without one: the first stays
                const std::lock_guard lock(core_.hand_over_mutex);
                core_.successor = Channel(std::move(message.fds[0]));
            }
            begin_drain(std::chrono::milliseconds(message.args[0]), message.args[1] != 0);
            break;
        }
        case Message::Kind::take_over:
            if (!message.fds.empty()) {
                add_predecessor(std::move(message.fds[0]));
            }
            break;
        case Message::Kind::reopen_access_log:
            if (!message.fds.empty() && core_.settings.access_log != nullptr) {
                core_.settings.access_log->reopen(message.fds[0].get());
            }
            break;
        case Message::Kind::may_start:
            asked_for_ = 0;
            start_contexts(static_cast<int>(message.args[1]));
            if (message.args[1] == 0) {
                ask_again_us_ = now_us() + kAskAgainUs;
            }
            break;
        case Message::Kind::give_up: // with its last answers, and what may still leave
            if (core_.wounded.load()) {
                become_wounded();
            }
            if (core_.draining.load()) {
                continue_drain();
            }
            release_parked();
            break;
        default:
            break;
    }
}

void Standby::tell_ready_once()
{
    if (wounded_) {
        return;
    }
    const bool without = core_.settings.may_do_without_workers && core_.workers_do_not_boot.load();
    const bool workers_up = core_.booted_workers.load() >= core_.settings.workers || without;
    // Where all are workers, this thread answers 503 until they boot.
    const bool anybody = core_.idle_of(false).idle_contexts() + core_.idle.idle_contexts() > 0 ||
                         (without && core_.settings.contexts == core_.settings.workers);
    if (!told_ready_ && workers_up && anybody) {
        const bool up = std::none_of(contexts_.begin(), contexts_.end(), [](const auto& context) {
            return context->alive() && !context->attached();
        });
        if (up) {
            told_ready_ = true;
            core_.accepting.store(!core_.draining.load());
            for (std::uint32_t i = 0; i < core_.listeners.size() && core_.accepting.load(); ++i) {
                core_.ready.add_listener(core_.listeners[i].fd.get(), i);
            }
            core_.host.send(Message::Kind::engine_ready, {::getpid()});
            return;
        }
    }
    if (!told_ready_) {
        ready_timer_.expires_after(ready_look_);
        ready_look_ = std::min<std::chrono::milliseconds>(2 * ready_look_, kMaxReadyLook);
        ready_timer_.async_wait([this](const ErrorCode& error) {
            if (!error) {
                tell_ready_once();
            }
        });
    }
}

void Standby::wait_for_calls()
{
    called_.async_wait(Wait::wait_read, [this](const ErrorCode& error) {
        if (error) {
            return;
        }
        std::uint64_t count;
        [[maybe_unused]] const ssize_t n = ::read(core_.standby_event.get(), &count, sizeof count);
        on_called();
        if (!stopping_) {
            wait_for_calls();
        }
    });
}

// Somebody saw every context busy. Look again in a moment: most often one of them is idle by then.
void Standby::on_called()
{
    if (core_.wounded.load()) {
        become_wounded();
    }
    if (core_.quit_requested.exchange(false)) {
        core_.host.send(Message::Kind::want_successor, {kQuit});
    }
    if (core_.refuse_worker_jobs.exchange(false)) {
        refuse_worker_jobs();
    }
    if (!told_ready_) { // a worker has booted
        ready_look_ = kLookAfter;
        tell_ready_once();
    }
    tell_of_contexts(0);
    start_on_demand();
    start_successor();
    maybe_go_to_sleep();
    if (core_.draining.load()) {
        core_.standby_called.store(false);
        continue_drain();
        return;
    }
    if (watching_) {
        return;
    }
    look_timer_.expires_after(kLookAfter);
    look_timer_.async_wait([this](const ErrorCode& error) {
        if (error) {
            return;
        }
        core_.standby_called.store(false);
        if (core_.accept_paused.load() && !core_.queues_are_full()) {
            resume_accepting();
        }
        if (core_.idle.every_context_is_busy()) {
            core_.standby_called.store(true); // nobody needs to call while we watch
            watch_ready_set();
        }
        start_on_demand();
    });
}

void Standby::watch_ready_set()
{
    if (!watching_) {
        watching_ = true;
        ready_.assign(core_.ready.fd());
    }
    ready_.async_wait(Wait::wait_read, [this](const ErrorCode& error) {
        if (!error && watching_) {
            on_ready_set();
        }
    });
}

void Standby::on_ready_set()
{
    while (core_.idle.every_context_is_busy()) {
        const Event event = core_.ready.wait(0);
        if (event.kind == Event::Kind::none) {
            watch_ready_set();
            return;
        }
        reader_.queue(reader_.on_event(event));
        start_on_demand();
    }
    // A context waits again: a permanent registration would cost a wake-up per event.
    watching_ = false;
    ready_.release();
    core_.standby_called.store(false);
    if (core_.idle.every_context_is_busy()) {
        core_.call_standby();
    }
}

void Standby::resume_accepting()
{
    core_.accept_paused.store(false);
    for (std::uint32_t i = 0; i < core_.listeners.size() && core_.accepting.load(); ++i) {
        core_.ready.rearm_listener(core_.listeners[i].fd.get(), i);
    }
}

}  // namespace ftm::engine
