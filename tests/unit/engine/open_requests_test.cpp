#include "engine/open_requests.hpp"

#include <gtest/gtest.h>

#include <set>

#include "engine/session.hpp"

namespace ftm::engine {
namespace {

TEST(OpenRequests, finds_what_is_open_by_id)
{
    OpenRequests requests;
    EXPECT_FALSE(requests.any());
    EXPECT_EQ(requests.find(0), nullptr);
    OpenRequest& one = requests.add(1);
    OpenRequest& other = requests.add(65535);
    EXPECT_EQ(requests.find(1), &one);
    EXPECT_EQ(requests.find(65535), &other);
    EXPECT_EQ(requests.open(), 2U);
    requests.remove(one);
    EXPECT_EQ(requests.find(1), nullptr);
    EXPECT_EQ(requests.find(65535), &other);
    EXPECT_TRUE(requests.any());
}

// A context may still hold the place of a request that its reader has seen end.
TEST(OpenRequests, places_stay_where_they_are)
{
    OpenRequests requests;
    std::set<const OpenRequest*> places;
    for (std::uint16_t id = 0; id < 100; ++id) {
        places.insert(&requests.add(id));
    }
    EXPECT_EQ(places.size(), 100U);
    for (std::uint16_t id = 0; id < 100; ++id) {
        EXPECT_TRUE(places.contains(requests.find(id))) << id;
    }
    requests.clear();
    EXPECT_FALSE(requests.any());
    for (std::uint16_t id = 1000; id < 1100; ++id) {
        EXPECT_TRUE(places.contains(&requests.add(id))) << id;
    }
}

TEST(OpenRequests, a_place_used_again_is_new)
{
    OpenRequests requests;
    for (int i = 0; i < 2; ++i) {
        OpenRequest& request = requests.add(7);
        EXPECT_FALSE(request.ended.load() || request.aborted.load() || request.cut.load());
        EXPECT_EQ(request.building, nullptr);
        request.building = std::make_unique<Job>();
        EXPECT_TRUE(requests.any_building());
        request.ended.store(true);
        request.aborted.store(true);
        request.cut.store(true);
        requests.remove(request);
        EXPECT_FALSE(requests.any_building());
    }
}

TEST(OpenRequests, those_that_ended_may_leave_while_one_looks_at_all)
{
    OpenRequests requests;
    for (std::uint16_t id = 1; id <= 10; ++id) {
        requests.add(id).ended.store(id % 3 == 0);
    }
    unsigned seen = 0;
    requests.for_each([&](OpenRequest& request) {
        ++seen;
        if (request.ended.load()) {
            requests.remove(request);
        }
    });
    EXPECT_EQ(seen, 10U);
    EXPECT_EQ(requests.open(), 7U);
    EXPECT_EQ(requests.find(3), nullptr);
    EXPECT_NE(requests.find(4), nullptr);
}

}  // namespace
}  // namespace ftm::engine
