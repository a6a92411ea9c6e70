// setlocale() changes the calling context's locale only. C and C.UTF-8 are on every machine.
#include <gtest/gtest.h>
#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include <functional>
#include <string>
#include <thread>

#include "php/context_environment.hpp"

namespace ftm::php {
namespace {

void on_context(int number, const std::function<void()>& work)
{
    std::thread([&] {
        enter_context(number);
        work();
        reset_context_locale();
    }).join();
}

std::string text(const char* value) { return value != nullptr ? value : "(none)"; }
std::string codeset() { return ::nl_langinfo(CODESET); }

TEST(ContextLocale, begins_with_the_processs)
{
    on_context(0, [] {
        EXPECT_EQ(text(::setlocale(LC_ALL, nullptr)), "C");
        EXPECT_EQ(codeset(), "ANSI_X3.4-1968");
    });
}

TEST(ContextLocale, is_the_contexts_own)
{
    on_context(0, [] {
        EXPECT_EQ(text(::setlocale(LC_CTYPE, "C.UTF-8")), "C.UTF-8");
        EXPECT_EQ(codeset(), "UTF-8");
        on_context(1, [] { EXPECT_EQ(codeset(), "ANSI_X3.4-1968"); });
        reset_context_locale();
        EXPECT_EQ(codeset(), "ANSI_X3.4-1968");
        EXPECT_EQ(text(::setlocale(LC_CTYPE, nullptr)), "C");
    });
    EXPECT_EQ(codeset(), "ANSI_X3.4-1968");
}

TEST(ContextLocale, one_category_leaves_the_others)
{
    on_context(0, [] {
        EXPECT_EQ(text(::setlocale(LC_TIME, "C.UTF-8")), "C.UTF-8");
        EXPECT_EQ(text(::setlocale(LC_TIME, nullptr)), "C.UTF-8");
        EXPECT_EQ(text(::setlocale(LC_CTYPE, nullptr)), "C");
        EXPECT_EQ(text(::setlocale(LC_NUMERIC, nullptr)), "C");
    });
}

TEST(ContextLocale, all_categories_at_once)
{
    on_context(0, [] {
        EXPECT_EQ(text(::setlocale(LC_ALL, "C.UTF-8")), "C.UTF-8");
        EXPECT_EQ(text(::setlocale(LC_ALL, nullptr)), "C.UTF-8");
        EXPECT_EQ(text(::setlocale(LC_MESSAGES, nullptr)), "C.UTF-8");
        EXPECT_EQ(text(::setlocale(LC_ALL, "C")), "C");
        EXPECT_EQ(codeset(), "ANSI_X3.4-1968");
    });
}

TEST(ContextLocale, a_mixture_survives_the_round_trip)
{
    on_context(0, [] {
        ::setlocale(LC_CTYPE, "C.UTF-8");
        const std::string mixed = text(::setlocale(LC_ALL, nullptr));
        EXPECT_NE(mixed.find("LC_CTYPE=C.UTF-8"), std::string::npos) << mixed;
        EXPECT_NE(mixed.find("LC_TIME=C"), std::string::npos) << mixed;
        ::setlocale(LC_ALL, "C");
        EXPECT_EQ(text(::setlocale(LC_ALL, mixed.c_str())), mixed);
        EXPECT_EQ(codeset(), "UTF-8");
        EXPECT_EQ(text(::setlocale(LC_TIME, nullptr)), "C");
    });
}

TEST(ContextLocale, what_does_not_exist_changes_nothing)
{
    on_context(0, [] {
        EXPECT_EQ(::setlocale(LC_ALL, "xx_YY.NONE"), nullptr);
        EXPECT_EQ(text(::setlocale(LC_ALL, nullptr)), "C");
        ::setlocale(LC_CTYPE, "C.UTF-8");
        EXPECT_EQ(::setlocale(LC_TIME, "xx_YY.NONE"), nullptr);
        EXPECT_EQ(::setlocale(LC_ALL, "LC_CTYPE=C;LC_TIME=xx_YY.NONE"), nullptr);
        EXPECT_EQ(::setlocale(12345, "C"), nullptr);
        EXPECT_EQ(codeset(), "UTF-8");
    });
}

TEST(ContextLocale, other_threads_change_the_process)
{
    EXPECT_EQ(text(::setlocale(LC_CTYPE, "C.UTF-8")), "C.UTF-8");
    EXPECT_EQ(codeset(), "UTF-8");
    on_context(0, [] {
        EXPECT_EQ(codeset(), "UTF-8");
        EXPECT_EQ(text(::setlocale(LC_TIME, "C")), "C");
        EXPECT_EQ(codeset(), "UTF-8") << "a context builds on the process's";
    });
    EXPECT_EQ(text(::setlocale(LC_CTYPE, "C")), "C");
}

}  // namespace
}  // namespace ftm::php
