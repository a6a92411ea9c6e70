#include "engine/standby.hpp"

#include <execinfo.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/check.hpp"
#include "engine/hand_over.hpp"
#include "net/listener.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

using namespace std::chrono_literals;
using Wait = asio::posix::stream_descriptor;

// Contexts that are all busy for less than this need no help; status and ping may wait so long.
constexpr auto kLookAfter = 1ms;
constexpr auto kSweep = 50ms;
constexpr auto kIdleSweep = 500ms;
constexpr auto kRetryAccept = 100ms;
constexpr std::int64_t kLongRunnerUs = 50'000;

std::int64_t now_us() noexcept
{
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

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
      look_timer_(io_),
      sweep_timer_(io_),
      drain_timer_(io_),
      crash_seen_(contexts.size(), false)
{
}

int Standby::run()
{
    wait_for_host();
    wait_for_calls();
    wait_for_writers();
    schedule_sweep();
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

// ------------------------------------------------------------------------------------------------------------- host

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
            begin_drain(std::chrono::milliseconds(message.args[0]));
            break;
        }
        case Message::Kind::take_over:
            if (!message.fds.empty()) {
                add_predecessor(std::move(message.fds[0]));
            }
            break;
        case Message::Kind::give_up:
            release_parked();
            break;
        default:
            break;
    }
}

void Standby::tell_ready_once()
{
    if (!told_ready_ && core_.idle.idle_contexts() > 0) {
        unsigned up = 0;
        for (const auto& context : contexts_) {
            up += context->attached() ? 1 : 0;
        }
        if (up == contexts_.size()) {
            told_ready_ = true;
            core_.accepting.store(true);
            for (std::uint32_t i = 0; i < core_.listeners.size(); ++i) {
                core_.ready.add_listener(core_.listeners[i].fd.get(), i);
            }
            core_.host.send(Message::Kind::engine_ready, {::getpid()});
            return;
        }
    }
    if (!told_ready_) {
        look_timer_.expires_after(kLookAfter);
        look_timer_.async_wait([this](const ErrorCode& error) {
            if (!error) {
                tell_ready_once();
            }
        });
    }
}

// -------------------------------------------------------------------------------- the ready set while all are busy

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
        core_.host.send(Message::Kind::want_successor, {});
    }
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
        if (core_.accept_paused.load() && core_.idle.queued() < core_.settings.queue_limit) {
            resume_accepting();
        }
        if (core_.idle.every_context_is_busy()) {
            core_.standby_called.store(true); // nobody needs to call while we watch
            watch_ready_set();
        }
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

// ------------------------------------------------------------------------------------------------------------ output

void Standby::wait_for_writers()
{
    writers_.async_wait(Wait::wait_read, [this](const ErrorCode& error) {
        if (error) {
            return;
        }
        on_writers();
        if (!stopping_) {
            wait_for_writers();
        }
    });
}

void Standby::on_writers()
{
    epoll_event events[64];
    const int n = ::epoll_wait(core_.writers.get(), events, 64, 0);
    for (int i = 0; i < n; ++i) {
        const auto index = static_cast<std::uint32_t>(events[i].data.u64);
        const auto generation = static_cast<std::uint32_t>(events[i].data.u64 >> 32);
        Session& session = core_.sessions.at(index);
        if (session.read_right.generation() != generation) {
            continue;
        }
        if (session.output.drain(session.fd.get()) == net::SendResult::queued) {
            core_.watch_writes(session);
        } else if (session.close_wanted.load() &&
                   session.read_right.take(generation) == net::ReadRight::Take::taken) {
            reader_.close(session);
        }
    }
}

// ------------------------------------------------------------------------------------------------------------- sweep

void Standby::schedule_sweep()
{
    bool busy = core_.draining.load() || wounded_;
    for (const auto& context : contexts_) {
        busy = busy || context->running() != 0;
    }
    sweep_timer_.expires_after(busy ? std::chrono::milliseconds(kSweep) : std::chrono::milliseconds(kIdleSweep));
    sweep_timer_.async_wait([this](const ErrorCode& error) {
        if (error) {
            return;
        }
        sweep();
        if (!stopping_) {
            schedule_sweep();
        }
    });
}

void Standby::sweep()
{
    for (const auto& context : contexts_) {
        if (context->crash_report().signal.load() == 0) {
            register_long_runner(*context);
        }
    }
    if (core_.accept_paused.load() && core_.idle.queued() < core_.settings.queue_limit) {
        resume_accepting(); // also after EMFILE, which ends without telling
    }
    refuse_overdue();
    if (core_.draining.load()) {
        continue_drain();
    }
}

// request_queue_timeout: who has waited so long gets 503 instead of an answer nobody waits for any more.
void Standby::refuse_overdue()
{
    const std::chrono::seconds limit = core_.settings.pool->request_queue_timeout;
    if (limit == 0s || core_.idle.queued() == 0) {
        return;
    }
    const auto oldest = std::chrono::steady_clock::now() - limit;
    std::vector<Job*> overdue;
    core_.idle.remove_if([&](const Job* job) { return job->request.accepted < oldest; },
                         [&](Job* job) { overdue.push_back(job); });
    for (Job* job : overdue) {
        core_.board.counters().rejected.fetch_add(1);
        reader_.refuse(job, 503, "Service Unavailable");
    }
}

// RULES 3: its connection is not in the ready set, so nobody would see the client go.
void Standby::register_long_runner(Context& context)
{
    const std::uint64_t running = context.running();
    if (running == 0 || now_us() - context.running_since_us() < kLongRunnerUs) {
        return;
    }
    Session& session = core_.sessions.at(static_cast<std::uint32_t>(running) - 1);
    Registration expected = Registration::none;
    if (!session.registration.compare_exchange_strong(expected, Registration::registering)) {
        return;
    }
    const std::uint32_t generation = session.read_right.generation();
    const bool ours = generation == static_cast<std::uint32_t>(running >> 32);
    if (!ours || !core_.ready.add_session(session.fd.get(), session.index, generation)) {
        session.registration.store(Registration::none);
        return;
    }
    session.registration.store(Registration::registered);
    reader_.queue(reader_.read(session, 0));
}

// ------------------------------------------------------------------------------------------------------------ crashes

// RULES 16: no further request starts here. The contexts leave, and this thread alone watches the ready set once they
// have: before, it would take the event that tells a waiter to go.
void Standby::become_wounded()
{
    if (!wounded_) {
        wounded_ = true;
        core_.idle.stop();
        core_.ready.notify();
    }
    for (const auto& context : contexts_) {
        if (context->crash_report().signal.load() != 0) {
            care_for_crashed(*context);
        }
    }
}

void Standby::care_for_crashed(Context& context)
{
    if (crash_seen_[context.number()]) {
        return;
    }
    crash_seen_[context.number()] = true;
    CrashReport& report = context.crash_report();
    core_.board.counters().crashes.fetch_add(1);

    observe::Slot* slot = context.slot();
    std::string script = slot != nullptr ? slot->text.script : "";
    if (slot != nullptr) {
        slot->state.store(static_cast<std::uint32_t>(observe::SlotState::crashed));
    }
    observe::log(observe::Level::warning, "[pool %s] child %d, script '%s' crashed on signal %d (%s) in context %u",
                 core_.settings.pool->name.c_str(), ::getpid(), script.c_str(), report.signal.load(),
                 ::strsignal(report.signal.load()), context.number());

    answer_for(context);
    // Unwinding happens in the wounded thread; it may hang, so give it a little and take what is there.
    for (int i = 0; i < 20 && report.frame_count.load() == 0; ++i) {
        ::usleep(1000);
    }
    if (const int frames = report.frame_count.load(); frames > 0) {
        char** symbols = ::backtrace_symbols(report.frames, frames);
        for (int i = 0; symbols != nullptr && i < frames; ++i) {
            observe::log(observe::Level::warning, "[pool %s] child %d backtrace #%d %s",
                         core_.settings.pool->name.c_str(), ::getpid(), i, symbols[i]);
        }
        std::free(symbols);
    }
}

// The crashed request's client: 500 if nothing was sent yet, else a closed connection.
void Standby::answer_for(Context& context)
{
    Session* session = context.responder().abandoned_session();
    if (session == nullptr) {
        return;
    }
    const std::uint32_t holder = context.number() + 1;
    if (session->output.holder() == holder) { // in the middle of a burst
        session->output.set_gone();
        session->output.seize();
    } else if (!context.responder().anything_sent()) {
        reader_.send_error(*session, session->open_id.load(), 500, "Internal Server Error");
    }
    reader_.request_ended(*session, false);
}

// ---------------------------------------------------------------------------------------------- hand-over and drain

void Standby::add_predecessor(UniqueFd channel)
{
    predecessors_.emplace_back(io_, std::move(channel));
    wait_for(predecessors_.back());
}

void Standby::wait_for(Predecessor& predecessor)
{
    predecessor.descriptor.async_wait(Wait::wait_read, [this, &predecessor](const ErrorCode& error) {
        if (error) {
            return;
        }
        for (;;) {
            Message message;
            const Channel::Receive got = predecessor.channel.receive(message);
            if (got == Channel::Receive::nothing) {
                wait_for(predecessor);
                return;
            }
            if (got == Channel::Receive::closed) {
                predecessor.descriptor.release();
                predecessors_.remove_if([&](const Predecessor& p) { return &p == &predecessor; });
                return;
            }
            if (message.kind == Message::Kind::connection) {
                on_connection(message);
            }
        }
    });
}

void Standby::on_connection(Message& message)
{
    Session* session = core_.sessions.acquire();
    if (session == nullptr) {
        return;
    }
    std::unique_ptr<Job> whole;
    if (!receive_session(message, *session, whole)) {
        observe::log(observe::Level::warning, "[pool %s] a connection could not be taken over",
                     core_.settings.pool->name.c_str());
        session->registration.store(Registration::closed);
        session->fd.reset();
        core_.sessions.release(*session);
        return;
    }
    reader_.adopted(*session, whole.release());
}

void Standby::begin_drain(std::chrono::milliseconds deadline)
{
    if (core_.draining.exchange(true)) {
        return;
    }
    leave_listeners();
    drain_timer_.expires_after(deadline);
    drain_timer_.async_wait([this](const ErrorCode& error) {
        if (!error) {
            observe::log(observe::Level::warning, "[pool %s] child %d still serves %u connections at the end of its time",
                         core_.settings.pool->name.c_str(), ::getpid(), core_.sessions.open());
            release_parked();
            if (!wounded_) {
                ::_exit(0);
            }
        }
    });
    continue_drain();
}

// RULES 6: out of the set first, then accept what had already been given to us.
void Standby::leave_listeners()
{
    if (!core_.accepting.exchange(false)) {
        return;
    }
    for (std::uint32_t i = 0; i < core_.listeners.size(); ++i) {
        core_.ready.remove(core_.listeners[i].fd.get());
    }
}

// Everything that is not being answered leaves; what is, follows after its END_REQUEST.
void Standby::continue_drain()
{
    const bool to_successor = [this] {
        const std::lock_guard lock(core_.hand_over_mutex);
        return core_.successor.valid();
    }();
    if (wounded_ && to_successor) {
        std::vector<Job*> queued;
        for (Job* job = nullptr; core_.idle.pop(job);) {
            queued.push_back(job);
        }
        for (Job* job : queued) {
            if (!reader_.hand_over_queued(job)) {
                reader_.queue(job); // the next sweep tries again
            }
        }
    }
    for (std::uint32_t i = 0; i < core_.sessions.created(); ++i) {
        Session& session = core_.sessions.at(i);
        if (session.registration.load() != Registration::registered ||
            (session.busy.load() && !session.ended.load())) {
            continue;
        }
        const std::uint32_t generation = session.read_right.generation();
        if (session.read_right.take(generation) != net::ReadRight::Take::taken) {
            continue;
        }
        reader_.queue(reader_.leave(session, to_successor));
    }
    maybe_finish();
}

void Standby::maybe_finish()
{
    bool busy = core_.idle.queued() != 0;
    for (const auto& context : contexts_) {
        busy = busy || (context->running() != 0 && context->crash_report().signal.load() == 0);
    }
    if (busy || core_.sessions.open() != 0 || !predecessors_.empty()) {
        return;
    }
    if (wounded_) {
        release_parked(); // every neighbour has finished: now the fault may end the process
        return;
    }
    core_.idle.stop();
    core_.ready.notify();
    if (core_.live_contexts.load() == 0) {
        stopping_ = true;
        io_.stop();
    }
}

}  // namespace ftm::engine
