#include "engine/request_slot.hpp"

#include "engine/clock.hpp"
#include "php/basic_auth.hpp"

namespace ftm::engine {

void show_request(observe::Slot& slot, const Job& job, const php::ResolvedScript& script, observe::SlotState state)
{
    const auto text = [](const char* s) { return s != nullptr ? std::string_view(s) : std::string_view(); };
    slot.accepted_us.store(microseconds_of(job.request.accepted), std::memory_order_relaxed);
    slot.requests.store(slot.requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    slot.content_length.store(script.content_length, std::memory_order_relaxed);
    observe::set_text(slot, text(script.request_uri), text(script.query_string), text(script.request_method),
                      text(script.path_translated), php::basic_auth_user(script.authorization));
    slot.state.store(static_cast<std::uint32_t>(state), std::memory_order_relaxed);
}

}  // namespace ftm::engine
