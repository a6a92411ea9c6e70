#include "request/body.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>

namespace ftm::request {
namespace {

class BodyTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::string name = (std::filesystem::temp_directory_path() / "ftm-body-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        dir_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    BodyLimits limits(std::size_t memory_limit, std::uint64_t store_limit = 0) const
    {
        return {memory_limit, store_limit, dir_.c_str()};
    }

    std::filesystem::path dir_;
};

std::string read_all(Body& body, std::size_t piece = 1000)
{
    std::string out;
    std::string buffer(piece, '\0');
    while (const std::size_t n = body.read(buffer.data(), buffer.size())) {
        out.append(buffer, 0, n);
    }
    return out;
}

std::string pattern(std::size_t size)
{
    std::string out;
    for (std::size_t i = 0; i < size; ++i) {
        out.push_back(static_cast<char>(i * 7 + i / 251));
    }
    return out;
}

TEST_F(BodyTest, is_empty_at_first)
{
    Body body;
    char c = 0;
    EXPECT_EQ(body.read(&c, 1), 0U);
    EXPECT_EQ(body.size(), 0U);
    EXPECT_FALSE(body.spooled());
    EXPECT_FALSE(body.failed());
    EXPECT_FALSE(body.release_spool().valid());
}

TEST_F(BodyTest, spools_beyond_the_memory_limit)
{
    constexpr std::size_t kLimit = 1000;
    for (const std::size_t size : {kLimit - 1, kLimit, kLimit + 1, 50 * kLimit}) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{333}, size}) {
            const std::string data = pattern(size);
            Body body(limits(kLimit));
            for (std::size_t at = 0; at < size; at += piece) {
                body.append(std::string_view(data).substr(at, piece));
            }
            EXPECT_EQ(body.spooled(), size > kLimit);
            EXPECT_EQ(body.size(), size);
            EXPECT_EQ(body.stored(), size);
            EXPECT_EQ(body.memory().empty(), size > kLimit);
            EXPECT_TRUE(read_all(body) == data);
            EXPECT_TRUE(read_all(body).empty());
            body.rewind();
            EXPECT_TRUE(read_all(body, 1) == data);
            EXPECT_FALSE(body.failed());
        }
    }
}

TEST_F(BodyTest, leaves_no_name_and_passes_no_descriptor)
{
    Body body(limits(0));
    body.append("x");
    ASSERT_TRUE(body.spooled());
    EXPECT_TRUE(std::filesystem::is_empty(dir_));
    const UniqueFd fd = body.release_spool();
    EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    struct stat info;
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(BodyTest, counts_beyond_the_store_limit)
{
    constexpr std::uint64_t kStore = 5000;
    for (const std::size_t memory_limit : {std::size_t{100}, std::size_t{100000}}) {
        for (const std::size_t size : {kStore - 1, kStore, kStore + 1, 3 * kStore}) {
            for (const std::size_t piece : {std::size_t{7}, size}) {
                const std::string data = pattern(size);
                Body body(limits(memory_limit, kStore));
                for (std::size_t at = 0; at < size; at += piece) {
                    body.append(std::string_view(data).substr(at, piece));
                }
                EXPECT_EQ(body.size(), size);
                EXPECT_EQ(body.stored(), std::min<std::uint64_t>(size, kStore));
                EXPECT_TRUE(read_all(body) == data.substr(0, kStore));
                EXPECT_FALSE(body.failed());
            }
        }
    }
}

TEST_F(BodyTest, reads_while_it_grows)
{
    Body body(limits(10));
    body.append("0123");
    EXPECT_EQ(read_all(body), "0123");
    body.append("4567");
    EXPECT_EQ(read_all(body, 2), "4567");
    body.append("89abcdef");
    EXPECT_TRUE(body.spooled());
    EXPECT_EQ(read_all(body, 3), "89abcdef");
}

TEST_F(BodyTest, moves)
{
    for (const std::size_t memory_limit : {1U, 100U}) {
        Body body(limits(memory_limit));
        body.append("hello world");
        char c = 0;
        ASSERT_EQ(body.read(&c, 1), 1U);
        Body other(std::move(body));
        EXPECT_EQ(read_all(other), "ello world");
        Body third;
        third = std::move(other);
        third.rewind();
        EXPECT_EQ(read_all(third), "hello world");
        EXPECT_EQ(other.size(), 0U);  // NOLINT(bugprone-use-after-move): defined to be empty
        EXPECT_EQ(other.stored(), 0U);
    }
}

TEST_F(BodyTest, is_handed_over_as_a_descriptor)
{
    const std::string data = pattern(20000);
    Body first(limits(100, 10000));
    first.append(data);
    const std::uint64_t stored = first.stored();
    const std::uint64_t size = first.size();
    Body second(limits(100, 10000));
    second.adopt(first.release_spool(), stored, size);
    EXPECT_EQ(first.size(), 0U);
    EXPECT_EQ(second.size(), 20000U);
    second.append("more");
    EXPECT_EQ(second.size(), 20004U);
    EXPECT_EQ(second.stored(), 10000U);
    EXPECT_TRUE(read_all(second) == data.substr(0, 10000));
}

TEST_F(BodyTest, goes_on_where_it_was_handed_over)
{
    Body first(limits(4));
    first.append("hello ");
    Body second(limits(4));
    const std::uint64_t stored = first.stored();
    const std::uint64_t size = first.size();
    second.adopt(first.release_spool(), stored, size);
    second.append("world");
    EXPECT_EQ(read_all(second), "hello world");
}

TEST_F(BodyTest, reset_keeps_the_limits)
{
    Body body(limits(4));
    body.append("too much");
    body.reset();
    EXPECT_EQ(body.size(), 0U);
    EXPECT_FALSE(body.spooled());
    body.append("1234");
    EXPECT_FALSE(body.spooled());
    body.append("5");
    EXPECT_TRUE(body.spooled());
    body.set_limits(limits(100));
    body.reset();
    body.append("12345");
    EXPECT_FALSE(body.spooled());
}

TEST_F(BodyTest, fails_without_a_directory)
{
    const std::string none = (dir_ / "none").string();
    Body body({4, 0, none.c_str()});
    body.append("1234");
    EXPECT_FALSE(body.failed());
    body.append("5");
    EXPECT_TRUE(body.failed());
    EXPECT_EQ(body.error(), ENOENT);
    body.append("6");
    EXPECT_EQ(body.size(), 6U);
    EXPECT_TRUE(read_all(body).empty());
    body.reset();
    EXPECT_FALSE(body.failed());
}

// A limit on file sizes stands for a full disk.
TEST_F(BodyTest, fails_when_the_disk_is_full)
{
    struct rlimit old;
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = old;
    small.rlim_cur = 10000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);

    Body at_first(limits(20000));
    at_first.append(pattern(20000));
    at_first.append("x");
    Body later(limits(100));
    later.append(pattern(9000));
    EXPECT_FALSE(later.failed());
    later.append(pattern(2000));

    ::signal(SIGXFSZ, old_handler);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_EQ(at_first.error(), EFBIG);
    EXPECT_EQ(at_first.size(), 20001U);
    EXPECT_EQ(later.error(), EFBIG);
    later.append("y");
    EXPECT_EQ(later.size(), 11001U);
    EXPECT_EQ(later.stored(), 0U);
    EXPECT_FALSE(later.spooled());
    EXPECT_TRUE(read_all(later).empty());
}

TEST_F(BodyTest, fails_when_the_file_is_shorter_than_told)
{
    Body first(limits(1));
    first.append("four");
    Body body(limits(1));
    body.adopt(first.release_spool(), 100, 100);
    EXPECT_EQ(read_all(body), "four");
    EXPECT_EQ(body.error(), EIO);
}

}  // namespace
}  // namespace ftm::request
