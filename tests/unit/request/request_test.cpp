#include "request/request.hpp"

#include <gtest/gtest.h>

namespace ftm::request {
namespace {

TEST(Request, reset_makes_it_new)
{
    Request request;
    request.id = 7;
    request.role = 3;
    request.keep_conn = true;
    request.params.set("A", "1");
    request.body.append("body");
    request.accepted = std::chrono::steady_clock::time_point(std::chrono::seconds(1));
    request.aborted = true;
    request.reset();
    EXPECT_EQ(request.id, 0);
    EXPECT_EQ(request.role, 1);
    EXPECT_FALSE(request.keep_conn);
    EXPECT_TRUE(request.params.empty());
    EXPECT_EQ(request.body.size(), 0U);
    EXPECT_EQ(request.accepted, std::chrono::steady_clock::time_point());
    EXPECT_FALSE(request.aborted);
}

}  // namespace
}  // namespace ftm::request
