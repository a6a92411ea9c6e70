// One connection on its way to the engine that replaces this one (RULES 21): descriptor, parser state, unparsed bytes,
// and the requests that are being received or have not been started. Pure encoding plus one send or receive.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/channel.hpp"
#include "engine/session.hpp"

namespace ftm::engine {

// By the owner of the session's read right; `whole` has all of its requests that have been given out. False: the successor
// is gone or the system refused; nothing has changed.
bool send_session(const Channel& successor, Session& session, std::span<Job* const> whole);

// Fills a fresh session from a Kind::connection message. Requests that were whole become `whole`, to be queued.
// False: damaged or of an unknown version.
bool receive_session(Message& message, Session& session, std::vector<std::unique_ptr<Job>>& whole);

}  // namespace ftm::engine
