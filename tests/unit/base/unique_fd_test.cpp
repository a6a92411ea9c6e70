#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace ftm {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFd, closes_what_it_owns)
{
    int number;
    {
        const UniqueFd fd(::dup(0));
        number = fd.get();
        EXPECT_TRUE(fd.valid());
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, moves_and_releases)
{
    UniqueFd a(::dup(0));
    const int number = a.get();
    UniqueFd b(std::move(a));
    EXPECT_FALSE(a.valid());
    UniqueFd c(::dup(0));
    const int replaced = c.get();
    c = std::move(b);
    EXPECT_EQ(c.get(), number);
    EXPECT_FALSE(is_open(replaced));
    UniqueFd& same = c;
    c = std::move(same);
    EXPECT_TRUE(is_open(number));
    EXPECT_EQ(c.release(), number);
    EXPECT_FALSE(c.valid());
    EXPECT_TRUE(is_open(number));
    c.reset(number);
    c.reset();
    EXPECT_FALSE(is_open(number));
}

}  // namespace
}  // namespace ftm
