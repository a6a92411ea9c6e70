// poll() and select() of a context whose request's time is over. The executable defines both, because PHP's streams (and
// with them mysqlnd), libcurl and others call them again after EINTR: no signal would get such a script out. For a
// thread that has given up waiting they answer ECANCELED instead.
// Threads: each its own. Async-signal-safe.
#pragma once

namespace ftm::php {

void give_up_waiting(bool given_up) noexcept;

}  // namespace ftm::php
