#include "engine/ready_set.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "base/check.hpp"

namespace ftm::engine {
namespace {

// Indices at the top of the range are no sessions.
constexpr std::uint32_t kListenerBase = 0xffff0000;
constexpr std::uint32_t kWork = 0xffffffff;
constexpr std::uint32_t kSessionEvents = EPOLLIN | EPOLLRDHUP | EPOLLET;

int control(int epoll, int operation, int fd, std::uint32_t events, std::uint32_t index, std::uint32_t generation)
{
    epoll_event event{};
    event.events = events;
    event.data.u64 = (std::uint64_t{generation} << 32) | index;
    return ::epoll_ctl(epoll, operation, fd, &event);
}

}  // namespace

ReadySet::ReadySet() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), work_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    FTM_CHECK(epoll_.valid() && work_.valid());
    FTM_CHECK(control(epoll_.get(), EPOLL_CTL_ADD, work_.get(), EPOLLIN | EPOLLET, kWork, 0) == 0);
}

void ReadySet::add_listener(int fd, std::uint32_t index) const
{
    FTM_CHECK(control(epoll_.get(), EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, kListenerBase + index, 0) == 0);
}

void ReadySet::rearm_listener(int fd, std::uint32_t index) const
{
    control(epoll_.get(), EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, kListenerBase + index, 0);
}

bool ReadySet::add_session(int fd, std::uint32_t index, std::uint32_t generation) const
{
    return control(epoll_.get(), EPOLL_CTL_ADD, fd, kSessionEvents, index, generation) == 0;
}

void ReadySet::rearm_session(int fd, std::uint32_t index, std::uint32_t generation) const
{
    control(epoll_.get(), EPOLL_CTL_MOD, fd, kSessionEvents, index, generation);
}

void ReadySet::remove(int fd) const { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

Event ReadySet::wait(int timeout_ms) const
{
    epoll_event raw{};
    const int n = ::epoll_wait(epoll_.get(), &raw, 1, timeout_ms);
    FTM_CHECK(n >= 0 || errno == EINTR);
    if (n <= 0) {
        return {};
    }
    Event event;
    event.flags = raw.events;
    event.index = static_cast<std::uint32_t>(raw.data.u64);
    event.generation = static_cast<std::uint32_t>(raw.data.u64 >> 32);
    if (event.index == kWork) {
        event.kind = Event::Kind::work;
    } else if (event.index >= kListenerBase) {
        event.kind = Event::Kind::listener;
        event.index -= kListenerBase;
    } else {
        event.kind = Event::Kind::session;
    }
    return event;
}

void ReadySet::notify() const
{
    const std::uint64_t one = 1;
    FTM_CHECK(::write(work_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN);
}

}  // namespace ftm::engine
