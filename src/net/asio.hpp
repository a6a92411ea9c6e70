// The only place that includes Boost.Asio: 1.74's awaitable.hpp needs <utility> before it.
#pragma once

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace ftm {
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
}  // namespace ftm
