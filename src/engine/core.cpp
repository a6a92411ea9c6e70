#include "engine/core.hpp"

#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.hpp"
#include "observe/log.hpp"
#include "observe/pool_status.hpp"

namespace ftm::engine {

namespace {

// Of one connection: more wait in it unparsed.
constexpr unsigned kMaxOpenRequests = 128;

}  // namespace

void Platform::wake(unsigned context) noexcept
{
    std::atomic<std::uint32_t>& word = sleepers_[context];
    word.store(1);
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

bool Platform::sleep_for(unsigned context, std::chrono::milliseconds time) noexcept
{
    std::atomic<std::uint32_t>& word = sleepers_[context];
    const timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
    while (word.exchange(0) == 0) {
        if (::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, nullptr, 0) != 0 && errno == ETIMEDOUT) {
            return word.exchange(0) != 0;
        }
    }
    return true;
}

void Platform::sleep(unsigned context) noexcept
{
    std::atomic<std::uint32_t>& word = sleepers_[context];
    while (word.exchange(0) == 0) {
        ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
}

Core::Core(Settings s, std::vector<Listener> l, Channel h, observe::Scoreboard& b, int crash)
    : settings(std::move(s)),
      listeners(std::move(l)),
      host(std::move(h)),
      board(b),
      crash_pipe(crash),
      sessions(fcgi::Limits{.max_requests = kMaxOpenRequests},
               fcgi::ValuesReply{.max_conns = 65535, .max_reqs = std::min(settings.contexts, kMaxOpenRequests), .mpxs_conns = true}),
      platform(settings.contexts + settings.spare_workers),
      idle(platform, settings.contexts, settings.waiters),
      classic(platform, settings.contexts, 0),
      standby_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      writers(::epoll_create1(EPOLL_CLOEXEC))
{
    FTM_CHECK(standby_event.valid() && writers.valid());
}

bool Core::queue(Job* job)
{
    const bool nobody = job->for_worker ? workers_do_not_boot.load() && booted_workers.load() == 0
                                        : settings.contexts == settings.workers;
    Idle& where = idle_of(job->for_worker);
    Idle::Notify notify{};
    if (nobody || !where.push(job, settings.queue_limit, notify)) {
        board.counters().rejected.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    observe::raise_to(board.counters().max_queue_length, queued());
    if (&where == &idle) {
        wake(notify);
    } else if (notify == Idle::Notify::standby) {
        call_standby(); // all of them are busy; more may be started
    }
    return true;
}

void Core::stop_idle()
{
    idle.stop();
    classic.stop();
}

void Core::wake(Idle::Notify notify) noexcept
{
    if (notify == Idle::Notify::waiter) {
        ready.notify();
    } else if (notify == Idle::Notify::standby) {
        call_standby();
    }
}

void Core::call_standby() noexcept
{
    if (!standby_called.exchange(true)) {
        const std::uint64_t one = 1;
        FTM_CHECK(::write(standby_event.get(), &one, sizeof one) == sizeof one || errno == EAGAIN);
    }
}

void Core::thread_ended() noexcept
{
    live_contexts.fetch_sub(1);
    call_standby_now();
}

void Core::call_standby_now() noexcept
{
    standby_called.store(true);
    const std::uint64_t one = 1;
    FTM_CHECK(::write(standby_event.get(), &one, sizeof one) == sizeof one || errno == EAGAIN);
}

void Core::report_slow(std::string_view backtrace) noexcept
{
    board.counters().slow_requests.fetch_add(1, std::memory_order_relaxed);
    host.send(Message::Kind::slow_trace, {::getpid()}, std::string(backtrace));
}

void Core::log_disk_error(int error) noexcept
{
    if (!disk_error_logged.exchange(true)) {
        observe::log(observe::Level::warning, "[pool %s] unsent output cannot be stored in %s: %s. Scripts wait for slow clients",
                     settings.pool->name.c_str(), body_policy.spool_directory.c_str(), std::strerror(error));
    }
}

bool Core::leaves_nobody_behind()
{
    const std::lock_guard lock(hand_over_mutex);
    return !successor.valid();
}

void Core::watch_writes(Session& session)
{
    session.watched.store(true);
    epoll_event event{};
    event.events = EPOLLOUT | EPOLLONESHOT;
    event.data.u64 = (std::uint64_t{session.read_right.generation()} << 32) | session.index;
    if (::epoll_ctl(writers.get(), EPOLL_CTL_MOD, session.fd.get(), &event) != 0) {
        ::epoll_ctl(writers.get(), EPOLL_CTL_ADD, session.fd.get(), &event);
    }
}

}  // namespace ftm::engine
