// Contexts have an environment of their own, and what they start inherits it. This binary links the definitions of
// getenv() and the others, so the names below are the executable's own.
#include "php/context_environment.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace ftm::php {
namespace {

// Runs `work` as a context would: a thread of its own, reset at the end.
void on_context(int number, const std::function<void()>& work)
{
    std::thread([&] {
        enter_context(number);
        work();
        reset_context_environment();
    }).join();
}

std::string text(const char* value) { return value != nullptr ? value : "(none)"; }

bool listed(const std::string& entry)
{
    for (char** e = context_environ(); *e != nullptr; ++e) {
        if (entry == *e) {
            return true;
        }
    }
    return false;
}

class ContextEnvironment : public ::testing::Test {
protected:
    void SetUp() override
    {
        ::setenv("FTM_SHARED", "pool", 1);
        ::unsetenv("FTM_OWN");
    }
};

TEST_F(ContextEnvironment, threads_that_are_none_see_the_processs)
{
    EXPECT_EQ(current_context(), -1);
    EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
    EXPECT_EQ(text(::secure_getenv("FTM_SHARED")), "pool");
    EXPECT_EQ(context_environ(), environ);
    static char entry[] = "FTM_OWN=by putenv";
    ::putenv(entry);
    EXPECT_EQ(text(::getenv("FTM_OWN")), "by putenv");
    ::unsetenv("FTM_OWN");
    EXPECT_EQ(::getenv("FTM_OWN"), nullptr);
}

TEST_F(ContextEnvironment, a_context_begins_with_the_pools)
{
    on_context(3, [] {
        EXPECT_EQ(current_context(), 3);
        EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
        EXPECT_EQ(::getenv("FTM_NONE"), nullptr);
        EXPECT_EQ(::getenv("FTM_SHARE"), nullptr) << "no prefixes";
        EXPECT_EQ(context_environ(), environ) << "no copy before the first change";
    });
}

TEST_F(ContextEnvironment, changes_are_the_contexts_own)
{
    on_context(0, [] {
        EXPECT_EQ(::setenv("FTM_SHARED", "mine", 1), 0);
        EXPECT_EQ(::setenv("FTM_OWN", "new", 1), 0);
        EXPECT_EQ(text(::getenv("FTM_SHARED")), "mine");
        EXPECT_EQ(text(::getenv("FTM_OWN")), "new");
        EXPECT_TRUE(listed("FTM_SHARED=mine"));
        EXPECT_FALSE(listed("FTM_SHARED=pool"));
        on_context(1, [] {
            EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
            EXPECT_EQ(::getenv("FTM_OWN"), nullptr);
        });
        reset_context_environment();
        EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
        EXPECT_EQ(::getenv("FTM_OWN"), nullptr);
    });
    EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
    EXPECT_EQ(::getenv("FTM_OWN"), nullptr);
}

TEST_F(ContextEnvironment, putenv_keeps_the_callers_memory)
{
    on_context(0, [] {
        char entry[] = "FTM_OWN=first";
        EXPECT_EQ(::putenv(entry), 0);
        EXPECT_EQ(text(::getenv("FTM_OWN")), "first");
        std::memcpy(entry, "FTM_OWN=other", 13);
        EXPECT_EQ(text(::getenv("FTM_OWN")), "other") << "as libc's does";
        char erase[] = "FTM_OWN";
        EXPECT_EQ(::putenv(erase), 0);
        EXPECT_EQ(::getenv("FTM_OWN"), nullptr);
        char empty[] = "FTM_OWN=";
        EXPECT_EQ(::putenv(empty), 0);
        EXPECT_EQ(text(::getenv("FTM_OWN")), "");
    });
}

TEST_F(ContextEnvironment, setenv_follows_posix)
{
    on_context(0, [] {
        EXPECT_EQ(::setenv("FTM_SHARED", "no", 0), 0);
        EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
        EXPECT_EQ(::setenv("FTM_OWN", "yes", 0), 0);
        EXPECT_EQ(text(::getenv("FTM_OWN")), "yes");
        for (const char* bad : {"", "A=B", "="}) {
            errno = 0;
            EXPECT_EQ(::setenv(bad, "x", 1), -1) << bad;
            EXPECT_EQ(errno, EINVAL);
            errno = 0;
            EXPECT_EQ(::unsetenv(bad), -1) << bad;
            EXPECT_EQ(errno, EINVAL);
        }
        EXPECT_EQ(::unsetenv("FTM_SHARED"), 0);
        EXPECT_EQ(::getenv("FTM_SHARED"), nullptr);
        EXPECT_EQ(::unsetenv("FTM_SHARED"), 0) << "absent is fine";
    });
    EXPECT_EQ(text(::getenv("FTM_SHARED")), "pool");
}

TEST_F(ContextEnvironment, many_changes)
{
    on_context(0, [] {
        for (int i = 0; i < 500; ++i) {
            ASSERT_EQ(::setenv(("FTM_" + std::to_string(i)).c_str(), std::to_string(i).c_str(), 1), 0);
        }
        for (int i = 0; i < 500; i += 2) {
            ::unsetenv(("FTM_" + std::to_string(i)).c_str());
        }
        for (int i = 0; i < 500; ++i) {
            EXPECT_EQ(text(::getenv(("FTM_" + std::to_string(i)).c_str())), i % 2 == 0 ? "(none)" : std::to_string(i));
        }
    });
}

// What the program sees as FTM_OWN and FTM_SHARED.
std::string spawned(bool by_path, char* const* environment)
{
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    const char* argv[] = {"sh", "-c", "echo $FTM_OWN $FTM_SHARED", nullptr};
    pid_t pid = -1;
    EXPECT_EQ((by_path ? ::posix_spawn : ::posix_spawnp)(&pid, by_path ? "/bin/sh" : "sh", &actions, nullptr,
                                                        const_cast<char* const*>(argv), environment),
              0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    char buffer[256] = "";
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer - 1);
    ::close(ends[0]);
    ::waitpid(pid, nullptr, 0);
    return std::string(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
}

TEST_F(ContextEnvironment, programs_inherit_the_contexts)
{
    on_context(0, [] {
        ::setenv("FTM_OWN", "mine", 1);
        EXPECT_EQ(spawned(true, environ), "mine pool\n");
        EXPECT_EQ(spawned(false, environ), "mine pool\n");
        const char* given[] = {"FTM_OWN=given", "PATH=/bin:/usr/bin", nullptr};
        EXPECT_EQ(spawned(true, const_cast<char* const*>(given)), "given\n") << "an explicit one stays";
    });
    EXPECT_EQ(spawned(true, environ), "pool\n");
}

std::string output_of(const char* command)
{
    FILE* stream = ::popen(command, "r");
    if (stream == nullptr) {
        return "failed";
    }
    std::string out;
    char buffer[256];
    while (std::fgets(buffer, sizeof buffer, stream) != nullptr) {
        out += buffer;
    }
    const int status = ::pclose(stream);
    return out + (WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)) : "killed");
}

TEST_F(ContextEnvironment, popen_gives_the_contexts)
{
    on_context(0, [] {
        ::setenv("FTM_OWN", "mine", 1);
        EXPECT_EQ(output_of("echo $FTM_OWN; exit 3"), "mine\n3");
    });
    EXPECT_EQ(output_of("echo $FTM_OWN$FTM_SHARED"), "pool\n0");
}

TEST_F(ContextEnvironment, popen_writes_too)
{
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    FILE* stream = ::popen(("cat >&" + std::to_string(ends[1])).c_str(), "w");
    ASSERT_NE(stream, nullptr);
    EXPECT_NE(::fcntl(::fileno(stream), F_GETFD) & FD_CLOEXEC, 0);
    std::fputs("to the program", stream);
    ::pclose(stream);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(ContextEnvironment, popen_and_pclose_refuse_what_is_wrong)
{
    EXPECT_EQ(::popen("true", "x"), nullptr);
    EXPECT_EQ(errno, EINVAL);
    FILE* file = ::fopen("/dev/null", "r");
    int (*volatile close)(FILE*) = ::pclose; // the compiler knows that it must not be asked that
    EXPECT_EQ(close(file), -1);
    std::fclose(file);
    EXPECT_EQ(output_of("kill -9 $$"), "killed");
}

TEST_F(ContextEnvironment, contexts_run_programs_at_the_same_time)
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([t] {
            enter_context(t);
            for (int i = 0; i < 10; ++i) {
                const std::string value = std::to_string(t) + "." + std::to_string(i);
                ::setenv("FTM_OWN", value.c_str(), 1);
                EXPECT_EQ(output_of("echo $FTM_OWN"), value + "\n0");
                reset_context_environment();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

}  // namespace
}  // namespace ftm::php
