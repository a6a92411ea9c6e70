// Every call that makes a descriptor gives a close-on-exec one (RULES 12), and still does what its caller asked for.
// This binary links cloexec_posix.cpp, so the names below are the executable's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/unique_fd.hpp"

extern "C" int __open_2(const char* path, int flags);
extern "C" int __open64_2(const char* path, int flags);
extern "C" int __openat_2(int directory, const char* path, int flags);
extern "C" int __openat64_2(int directory, const char* path, int flags);

// glibc keeps the conversion of a stream with a character set for ever.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:__gconv_lookup_cache\n"; }

namespace ftm::net {
namespace {

class CloexecTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::string name = (std::filesystem::temp_directory_path() / "ftm-cloexec-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        dir_ = name;
        file_ = (dir_ / "file").string();
        std::ofstream(file_) << "content";
        old_mask_ = ::umask(0);
    }
    void TearDown() override
    {
        ::umask(old_mask_);
        std::filesystem::remove_all(dir_);
    }
    static mode_t mode_of(int fd)
    {
        struct stat st{};
        ::fstat(fd, &st);
        return st.st_mode & 07777;
    }
    std::string content() const
    {
        std::ifstream in(file_);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::filesystem::path dir_;
    std::string file_;
    mode_t old_mask_ = 0;
};

bool cloexec(int fd) { return fd >= 0 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }
int access_mode(int fd) { return ::fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK); }

TEST_F(CloexecTest, open)
{
    const UniqueFd read(::open(file_.c_str(), O_RDONLY));
    EXPECT_TRUE(cloexec(read.get()));
    EXPECT_EQ(access_mode(read.get()), O_RDONLY);
    const UniqueFd append(::open64(file_.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK));
    EXPECT_TRUE(cloexec(append.get()));
    EXPECT_EQ(access_mode(append.get()), O_WRONLY | O_APPEND | O_NONBLOCK);
    const UniqueFd directory(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY));
    EXPECT_TRUE(cloexec(directory.get()));
    EXPECT_EQ(::open((dir_ / "none").c_str(), O_RDONLY), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(CloexecTest, open_passes_the_mode)
{
    const UniqueFd created(::open((dir_ / "new").c_str(), O_CREAT | O_EXCL | O_RDWR, 0631));
    EXPECT_TRUE(cloexec(created.get()));
    EXPECT_EQ(mode_of(created.get()), 0631U);
    const UniqueFd unnamed(::open(dir_.c_str(), O_TMPFILE | O_RDWR, 0640));
    EXPECT_TRUE(cloexec(unnamed.get()));
    EXPECT_EQ(mode_of(unnamed.get()), 0640U);
}

TEST_F(CloexecTest, openat)
{
    const UniqueFd directory(::open(dir_.c_str(), O_PATH | O_DIRECTORY));
    const UniqueFd read(::openat(directory.get(), "file", O_RDONLY));
    EXPECT_TRUE(cloexec(read.get()));
    const UniqueFd created(::openat64(directory.get(), "new", O_CREAT | O_WRONLY, 0604));
    EXPECT_TRUE(cloexec(created.get()));
    EXPECT_EQ(mode_of(created.get()), 0604U);
}

TEST_F(CloexecTest, entry_points_of_fortified_code)
{
    const UniqueFd directory(::open(dir_.c_str(), O_PATH | O_DIRECTORY));
    for (const int fd : {__open_2(file_.c_str(), O_RDONLY), __open64_2(file_.c_str(), O_RDWR),
                         __openat_2(directory.get(), "file", O_RDONLY), __openat64_2(directory.get(), "file", O_RDWR)}) {
        EXPECT_TRUE(cloexec(fd));
        ::close(fd);
    }
}

TEST_F(CloexecTest, creat)
{
    const UniqueFd fd(::creat(file_.c_str(), 0600));
    EXPECT_TRUE(cloexec(fd.get()));
    EXPECT_EQ(access_mode(fd.get()), O_WRONLY);
    EXPECT_EQ(content(), "") << "truncated";
}

TEST_F(CloexecTest, fopen)
{
    for (const char* mode : {"r", "rb", "r+", "re", "a", "a+", "r,ccs=utf-8", "r+,ccs=euc-jp"}) {
        FILE* file = ::fopen(file_.c_str(), mode);
        ASSERT_NE(file, nullptr) << mode;
        EXPECT_TRUE(cloexec(::fileno(file))) << mode;
        std::fclose(file);
        file = ::fopen64(file_.c_str(), mode);
        ASSERT_NE(file, nullptr) << mode;
        EXPECT_TRUE(cloexec(::fileno(file))) << mode;
        std::fclose(file);
    }
    FILE* written = ::fopen(file_.c_str(), "w");
    std::fputs("new", written);
    std::fclose(written);
    EXPECT_EQ(content(), "new");
    EXPECT_EQ(::fopen(file_.c_str(), "wx"), nullptr) << "x is passed on";
    EXPECT_EQ(::fopen((dir_ / "none").c_str(), "r"), nullptr);
}

TEST_F(CloexecTest, socket_and_socketpair)
{
    const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    EXPECT_TRUE(cloexec(fd.get()));
    EXPECT_NE(access_mode(fd.get()) & O_NONBLOCK, 0);
    int type = 0;
    socklen_t size = sizeof type;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size);
    EXPECT_EQ(type, SOCK_DGRAM);
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const UniqueFd one(pair[0]);
    const UniqueFd two(pair[1]);
    EXPECT_TRUE(cloexec(one.get()));
    EXPECT_TRUE(cloexec(two.get()));
    EXPECT_EQ(access_mode(one.get()) & O_NONBLOCK, 0);
}

TEST_F(CloexecTest, accept_gives_the_address)
{
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    socklen_t size = sizeof name;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size);
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    sockaddr_un peer{};
    size = sizeof peer;
    const UniqueFd accepted(::accept(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size));
    EXPECT_TRUE(cloexec(accepted.get()));
    EXPECT_EQ(peer.sun_family, AF_UNIX);
}

TEST_F(CloexecTest, pipe_and_dup)
{
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd in(ends[0]);
    const UniqueFd out(ends[1]);
    EXPECT_TRUE(cloexec(in.get()));
    EXPECT_TRUE(cloexec(out.get()));
    const UniqueFd copy(::dup(in.get()));
    EXPECT_TRUE(cloexec(copy.get()));
    ASSERT_EQ(::write(out.get(), "x", 1), 1);
    char c = 0;
    EXPECT_EQ(::read(copy.get(), &c, 1), 1);
    EXPECT_EQ(::dup(-1), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST_F(CloexecTest, dup2_passes_to_programs)
{
    const UniqueFd fd(::dup(0));
    const UniqueFd copy(::dup2(0, fd.get() + 50));
    EXPECT_FALSE(cloexec(copy.get())) << "proc_open() puts its descriptors in place with it";
}

TEST_F(CloexecTest, temporary_files)
{
    std::string name = (dir_ / "XXXXXX").string();
    const UniqueFd fd(::mkstemp(name.data()));
    EXPECT_TRUE(cloexec(fd.get()));
    EXPECT_EQ(mode_of(fd.get()), 0600U);
    name = (dir_ / "XXXXXX").string();
    const UniqueFd fd64(::mkstemp64(name.data()));
    EXPECT_TRUE(cloexec(fd64.get()));
    FILE* file = ::tmpfile();
    ASSERT_NE(file, nullptr);
    EXPECT_TRUE(cloexec(::fileno(file)));
    std::fclose(file);
}

TEST_F(CloexecTest, a_program_sees_none_of_them)
{
    const UniqueFd a(::open(file_.c_str(), O_RDONLY));
    const UniqueFd b(::dup(a.get()));
    FILE* c = ::fopen(file_.c_str(), "r");
    const std::string command = "for fd in " + std::to_string(a.get()) + " " + std::to_string(b.get()) + " " +
                                std::to_string(::fileno(c)) + "; do test -e /proc/self/fd/$fd && exit 1; done; exit 0";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::fclose(c);
}

}  // namespace
}  // namespace ftm::net
