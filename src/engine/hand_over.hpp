// One connection on its way to the engine that replaces this one (RULES 21): descriptor, parser state, unparsed bytes,
// and the request that is being received or has not been started. Pure encoding plus one send or receive.
#pragma once

#include "base/channel.hpp"
#include "engine/session.hpp"

namespace ftm::engine {

// By the owner of the session's read right. False: the successor is gone or the system refused; nothing has changed.
bool send_session(const Channel& successor, Session& session, const Job* whole);

// Fills a fresh session from a Kind::connection message. A request that was whole becomes `whole`, to be queued.
// False: damaged or of an unknown version.
bool receive_session(Message& message, Session& session, std::unique_ptr<Job>& whole);

}  // namespace ftm::engine
