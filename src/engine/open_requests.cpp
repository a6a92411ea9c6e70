#include "engine/open_requests.hpp"

#include <algorithm>

#include "engine/session.hpp"

namespace ftm::engine {

OpenRequest& OpenRequests::add(std::uint16_t id)
{
    OpenRequest* place = &first_;
    if (place->open) {
        const auto free = std::find_if(more_.begin(), more_.end(), [](const auto& request) { return !request->open; });
        place = (free != more_.end() ? *free : more_.emplace_back(std::make_unique<OpenRequest>())).get();
    }
    place->open = true;
    place->id = id;
    place->ended.store(false, std::memory_order_relaxed);
    place->aborted.store(false, std::memory_order_relaxed);
    place->cut.store(false, std::memory_order_relaxed);
    place->http_asked.store(0, std::memory_order_relaxed);
    ++open_;
    return *place;
}

OpenRequest* OpenRequests::find(std::uint16_t id) noexcept
{
    if (first_.open && first_.id == id) {
        return &first_;
    }
    for (auto& request : more_) {
        if (request->open && request->id == id) {
            return request.get();
        }
    }
    return nullptr;
}

void OpenRequests::remove(OpenRequest& request) noexcept
{
    request.open = false;
    request.building.reset();
    --open_;
}

void OpenRequests::clear() noexcept
{
    for_each([this](OpenRequest& request) { remove(request); });
}

bool OpenRequests::any_building() const noexcept
{
    return first_.building != nullptr ||
           std::any_of(more_.begin(), more_.end(), [](const auto& request) { return request->building != nullptr; });
}

}  // namespace ftm::engine
