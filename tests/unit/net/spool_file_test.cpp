#include "net/spool_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace ftm::net {
namespace {

bool append(SpoolFile& spool, const std::string& text) { return spool.append(text.data(), text.size()); }

TEST(SpoolFile, gives_back_in_order)
{
    SpoolFile spool;
    EXPECT_EQ(spool.size(), 0U);
    ASSERT_TRUE(append(spool, "abc"));
    ASSERT_TRUE(append(spool, "defg"));
    EXPECT_EQ(spool.size(), 7U);
    std::string out = ">";
    ASSERT_TRUE(spool.take(out, 2));
    EXPECT_EQ(out, ">ab");
    ASSERT_TRUE(append(spool, "h"));
    ASSERT_TRUE(spool.take(out, 100));
    EXPECT_EQ(out, ">abcdefgh");
    EXPECT_EQ(spool.size(), 0U);
}

// Bytes on disk of this process's files without a name.
std::uint64_t room_of_unnamed_files()
{
    std::uint64_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        struct stat st{};
        if (std::filesystem::read_symlink(entry.path(), error).string().ends_with("(deleted)") &&
            ::stat(entry.path().c_str(), &st) == 0) {
            sum += static_cast<std::uint64_t>(st.st_blocks) * 512;
        }
    }
    return sum;
}

TEST(SpoolFile, gives_room_back_while_it_is_never_empty)
{
    const std::uint64_t before = room_of_unnamed_files();
    const std::string part(1 << 20, 'x');
    SpoolFile spool;
    ASSERT_TRUE(append(spool, part));
    for (int i = 0; i < 16; ++i) {
        ASSERT_TRUE(append(spool, part));
        std::string out;
        ASSERT_TRUE(spool.take(out, part.size()));
        ASSERT_EQ(out, part);
    }
    EXPECT_EQ(spool.size(), part.size());
    EXPECT_LT(room_of_unnamed_files() - before, 4 * part.size());
}

TEST(SpoolFile, starts_anew_when_it_was_emptied)
{
    SpoolFile spool;
    std::string out;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(append(spool, "round " + std::to_string(i)));
        ASSERT_TRUE(spool.take(out, 1000));
    }
    EXPECT_EQ(out, "round 0round 1round 2");
}

TEST(SpoolFile, taking_from_an_empty_one_gives_nothing)
{
    SpoolFile spool;
    std::string out;
    EXPECT_TRUE(spool.take(out, 10));
    EXPECT_EQ(out, "");
}

TEST(SpoolFile, clear_forgets)
{
    SpoolFile spool;
    ASSERT_TRUE(append(spool, "old"));
    spool.clear();
    EXPECT_EQ(spool.size(), 0U);
    ASSERT_TRUE(append(spool, "new"));
    std::string out;
    ASSERT_TRUE(spool.take(out, 10));
    EXPECT_EQ(out, "new");
}

TEST(SpoolFile, leaves_no_name_behind)
{
    const std::filesystem::path dir = std::filesystem::temp_directory_path() / ("ftm-spool-" + std::to_string(::getpid()));
    std::filesystem::create_directory(dir);
    const std::string name = dir.string();
    SpoolFile spool(name.c_str());
    EXPECT_TRUE(append(spool, "x"));
    EXPECT_TRUE(std::filesystem::is_empty(dir));
    std::filesystem::remove_all(dir);
}

TEST(SpoolFile, says_when_it_cannot_be_made)
{
    SpoolFile spool("/nonexistent");
    EXPECT_FALSE(append(spool, "x"));
}

TEST(SpoolFile, does_not_ask_the_environment)
{
    ::setenv("TMPDIR", "/nonexistent", 1); // in a context this would be the script's doing
    SpoolFile spool;
    EXPECT_TRUE(append(spool, "x"));
    ::unsetenv("TMPDIR");
}

TEST(SpoolFile, says_when_it_cannot_be_written)
{
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{100, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    SpoolFile spool;
    const bool fits = append(spool, std::string(100, 'x'));
    const bool too_much = append(spool, "y");
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, old_handler);
    EXPECT_TRUE(fits);
    EXPECT_FALSE(too_much);
}

}  // namespace
}  // namespace ftm::net
