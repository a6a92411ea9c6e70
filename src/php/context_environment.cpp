// putenv() and relatives for contexts: a copy of the environment is made at a context's first change and thrown away
// after the request. What libc reads by itself (TZ, LANGUAGE) stays process-wide: docs/COMPATIBILITY.md.
#include "php/context_environment.hpp"

#include <dlfcn.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

// A context's changed environment. Pointers handed out by getenv() live until the request ends.
struct OwnEnvironment {
    std::vector<char*> entries;  // NULL-terminated
    std::vector<char*> owned;    // freed at reset()
    bool active = false;

    ~OwnEnvironment() { reset(); }
    void reset() noexcept
    {
        for (char* entry : owned) {
            std::free(entry);
        }
        owned.clear();
        entries.clear();
        active = false;
    }
    void activate()
    {
        if (!active) {
            for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
                entries.push_back(*e);
            }
            entries.push_back(nullptr);
            active = true;
        }
    }
};

thread_local int context_number = -1;
thread_local OwnEnvironment own;

char** lookup(std::string_view name) noexcept
{
    char** env = own.active ? own.entries.data() : environ;
    for (; env != nullptr && *env != nullptr; ++env) {
        if (std::strncmp(*env, name.data(), name.size()) == 0 && (*env)[name.size()] == '=') {
            return env;
        }
    }
    return nullptr;
}

void put_entry(char* entry, std::string_view name)
{
    own.activate();
    if (char** at = lookup(name)) {
        *at = entry;
        return;
    }
    own.entries.back() = entry;
    own.entries.push_back(nullptr);
}

void erase_entry(std::string_view name)
{
    own.activate();
    if (char** at = lookup(name)) {
        own.entries.erase(own.entries.begin() + (at - own.entries.data()));
    }
}

template <class F>
F next(const char* symbol)
{
    return reinterpret_cast<F>(::dlsym(RTLD_NEXT, symbol));
}

}  // namespace

namespace ftm::php {

void enter_context(int number) noexcept { context_number = number; }
int current_context() noexcept { return context_number; }
void reset_context_environment() noexcept
{
    if (own.active) {
        own.reset();
    }
}
char** context_environ() noexcept { return own.active ? own.entries.data() : environ; }

}  // namespace ftm::php

extern "C" {

__attribute__((visibility("default"))) char* getenv(const char* name) noexcept
{
    char** entry = lookup(name);
    return entry != nullptr ? *entry + std::strlen(name) + 1 : nullptr;
}

__attribute__((visibility("default"))) char* secure_getenv(const char* name) noexcept { return getenv(name); }

__attribute__((visibility("default"))) int putenv(char* entry) noexcept
{
    if (context_number < 0) {
        static const auto real = next<int (*)(char*)>("putenv");
        return real(entry);
    }
    const char* equals = std::strchr(entry, '=');
    if (equals == nullptr) {
        erase_entry(entry);
    } else {
        put_entry(entry, {entry, static_cast<std::size_t>(equals - entry)});
    }
    return 0;
}

__attribute__((visibility("default"))) int setenv(const char* name, const char* value, int overwrite) noexcept
{
    if (context_number < 0) {
        static const auto real = next<int (*)(const char*, const char*, int)>("setenv");
        return real(name, value, overwrite);
    }
    if (*name == '\0' || std::strchr(name, '=') != nullptr) {
        errno = EINVAL;
        return -1;
    }
    if (overwrite == 0 && lookup(name) != nullptr) {
        return 0;
    }
    const std::string text = std::string(name) + '=' + value;
    char* entry = ::strdup(text.c_str());
    if (entry == nullptr) {
        return -1;
    }
    own.owned.push_back(entry);
    put_entry(entry, name);
    return 0;
}

__attribute__((visibility("default"))) int unsetenv(const char* name) noexcept
{
    if (context_number < 0) {
        static const auto real = next<int (*)(const char*)>("unsetenv");
        return real(name);
    }
    if (*name == '\0' || std::strchr(name, '=') != nullptr) {
        errno = EINVAL;
        return -1;
    }
    erase_entry(name);
    return 0;
}

// Programs a context starts inherit its environment: callers pass `environ`, which is the process's.
__attribute__((visibility("default"))) int posix_spawn(pid_t* pid, const char* path,
                                                       const posix_spawn_file_actions_t* actions,
                                                       const posix_spawnattr_t* attributes, char* const argv[],
                                                       char* const envp[]) noexcept
{
    static const auto real = next<decltype(&posix_spawn)>("posix_spawn");
    return real(pid, path, actions, attributes, argv, envp == environ ? ftm::php::context_environ() : envp);
}

__attribute__((visibility("default"))) int posix_spawnp(pid_t* pid, const char* file,
                                                        const posix_spawn_file_actions_t* actions,
                                                        const posix_spawnattr_t* attributes, char* const argv[],
                                                        char* const envp[]) noexcept
{
    static const auto real = next<decltype(&posix_spawnp)>("posix_spawnp");
    return real(pid, file, actions, attributes, argv, envp == environ ? ftm::php::context_environ() : envp);
}

}  // extern "C"

// The executable's link pulls this file in by this name: libc's names alone would be satisfied by libc, or by a
// sanitizer's library.
extern "C" {
extern const char ftm_interpose_environment;
const char ftm_interpose_environment = 1;
}
