// textdomain() and bindtextdomain() for contexts. libc has one current domain, and one directory per domain, for the
// process: neighbours would see each other's translations. A context's own are kept here; before a message is looked up
// libc's table is made to say what this context has said. (Catalogues that libc has read stay, so messages stay valid.)
#include <dlfcn.h>
#include <libintl.h>

#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "php/context_environment.hpp"

#undef textdomain
#undef bindtextdomain
#undef dcgettext
#undef dcngettext

namespace {

using Directories = std::map<std::string, std::string, std::less<>>;

thread_local std::string own_domain;       // empty: libc's default, "messages"
thread_local Directories own_directories;  // of the domains that this context has bound

struct Binding {
    std::string original;  // before any context has bound it
    std::string current;   // in libc's table
};
std::shared_mutex mutex;                                 // guards `bindings`, and libc's table during a look-up
std::map<std::string, Binding, std::less<>> bindings;    // domains that contexts have bound

template <class F>
F* next(const char* name) noexcept
{
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

char* bind_in_libc(const char* domain, const char* directory)
{
    static auto* const real = next<char*(const char*, const char*)>("bindtextdomain");
    return real(domain, directory);
}

const std::string& wanted_directory(const std::string& domain, const Binding& binding)
{
    const auto own = own_directories.find(domain);
    return own != own_directories.end() ? own->second : binding.original;
}

const char* domain_of_context(const char* domain) noexcept
{
    return domain == nullptr && !own_domain.empty() ? own_domain.c_str() : domain;
}

// look_up() while libc's table holds this context's directory for the domain.
template <class LookUp>
char* with_binding(const char* domain, LookUp look_up)
{
    const std::string name = domain != nullptr ? domain : "messages";
    {
        const std::shared_lock lock(mutex);
        const auto found = bindings.find(name);
        if (found == bindings.end() || found->second.current == wanted_directory(name, found->second)) {
            return look_up();
        }
    }
    const std::lock_guard lock(mutex);
    Binding& binding = bindings.find(name)->second;
    binding.current = wanted_directory(name, binding);
    bind_in_libc(name.c_str(), binding.current.c_str());
    return look_up();
}

}  // namespace

namespace ftm::php {

void reset_context_messages() noexcept
{
    own_domain.clear();
    own_directories.clear();
}

}  // namespace ftm::php

using ftm::php::current_context;

extern "C" {

__attribute__((visibility("default"))) char* textdomain(const char* domain) noexcept
{
    static auto* const real = next<char*(const char*)>("textdomain");
    if (current_context() < 0) {
        return real(domain);
    }
    if (domain != nullptr) {
        own_domain = domain;
    }
    return own_domain.empty() ? const_cast<char*>("messages") : own_domain.data();
}

__attribute__((visibility("default"))) char* bindtextdomain(const char* domain, const char* directory) noexcept
{
    if (current_context() < 0 || domain == nullptr || *domain == '\0') {
        return bind_in_libc(domain, directory);
    }
    if (directory != nullptr) {
        const std::lock_guard lock(mutex);
        if (bindings.find(domain) == bindings.end()) {
            const char* original = bind_in_libc(domain, nullptr);
            bindings[domain].original = bindings[domain].current = original != nullptr ? original : "";
        }
        own_directories[domain] = directory;
    }
    const auto own = own_directories.find(domain);
    if (own != own_directories.end()) {
        return own->second.data();
    }
    const std::shared_lock lock(mutex);
    const auto bound = bindings.find(domain);
    return bound != bindings.end() ? bound->second.original.data() : bind_in_libc(domain, nullptr);
}

__attribute__((visibility("default"))) char* dcgettext(const char* domain, const char* message, int category) noexcept
{
    static auto* const real = next<char*(const char*, const char*, int)>("dcgettext");
    if (current_context() < 0) {
        return real(domain, message, category);
    }
    const char* own = domain_of_context(domain);
    return with_binding(own, [&] { return real(own, message, category); });
}

__attribute__((visibility("default"))) char* dcngettext(const char* domain, const char* one, const char* many,
                                                        unsigned long count, int category) noexcept
{
    static auto* const real = next<char*(const char*, const char*, const char*, unsigned long, int)>("dcngettext");
    if (current_context() < 0) {
        return real(domain, one, many, count, category);
    }
    const char* own = domain_of_context(domain);
    return with_binding(own, [&] { return real(own, one, many, count, category); });
}

extern const char ftm_interpose_gettext;
const char ftm_interpose_gettext = 1;  // -u pulls this file into the executable

}
