// How much of a request's body is kept, and where. Past post_max_size PHP refuses a form unread: such a body is read to
// its end but not stored. Everything else a script may want to read through php://input, as large as it is.
#pragma once

#include "php/body_policy.hpp"
#include "request/body.hpp"
#include "request/param_table.hpp"

namespace ftm::engine {

// Any thread. The result refers to the policy. Looks into the file system only for a form beyond post_max_size.
[[nodiscard]] request::BodyLimits body_limits(const php::BodyPolicy& policy, const request::ParamTable& params);

}  // namespace ftm::engine
