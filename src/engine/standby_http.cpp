// HTTP clients that take too long: for a request, or between two. They hold no context, only a connection.
#include "engine/clock.hpp"
#include "engine/standby.hpp"

namespace ftm::engine {
namespace {

constexpr std::int64_t kLookUs = 250'000;

}  // namespace

void Standby::close_slow_http_clients()
{
    const std::int64_t now = now_us();
    if (core_.settings.http == nullptr || now < next_http_look_us_) {
        return;
    }
    next_http_look_us_ = now + kLookUs;
    for (std::uint32_t i = 0; i < core_.sessions.created(); ++i) {
        Session& session = core_.sessions.at(i);
        const std::uint32_t generation = session.read_right.generation();
        const std::int64_t deadline = session.http_deadline_us.load(std::memory_order_relaxed);
        if (deadline == 0 || deadline > now || session.in_flight.load() != 0 ||
            session.registration.load() != Registration::registered) {
            continue;
        }
        if (session.read_right.take(generation) == net::ReadRight::Take::taken) {
            reader_.queue(reader_.http_timed_out(session));
        }
    }
}

}  // namespace ftm::engine
