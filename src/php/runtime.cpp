#include "php/runtime.hpp"

#include <dirent.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>

#include "php/host_callbacks.hpp"

namespace ftm::php {
namespace {

// What libphp keeps pointers to. Lives as long as the process image.
struct Kept {
    RuntimeOptions options;
    std::string ini_entries;
    std::vector<ftm_ini_value> values;
    ftm_php_options c{};
};
Kept& kept()
{
    static Kept instance;
    return instance;
}

bool begins_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// Read at module start-up only: given to a context they would come too late.
bool acts_at_startup(const std::string& key)
{
    return begins_with(key, "opcache.") || begins_with(key, "apc.") || key == "extension" || key == "zend_extension" ||
           key == "disable_functions" || key == "disable_classes";
}

std::string quoted(const std::string& value)
{
    std::string out = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\' || c == '$') {
            out += '\\';
        }
        out += c;
    }
    return out + '"';
}

std::string startup_entries(const RuntimeOptions& options)
{
    std::string entries = options.ini_entries;
    for (const RuntimeOptions::Value& value : options.values) {
        if (acts_at_startup(value.key)) {
            entries += value.key + "=" + quoted(value.value) + "\n";
        }
    }
    // The one would kill the process that holds opcache's lock; restarts replace the generation instead. The other takes
    // the right to write away from all threads when one has written, also from those that are writing.
    return entries + "opcache.force_restart_timeout=0\nopcache.protect_memory=0\n";
}

}  // namespace

std::string start_runtime(const RuntimeOptions& options, void (*opcache_restart)(int) noexcept)
{
    Kept& k = kept();
    k.options = options;
    k.ini_entries = startup_entries(k.options);
    for (const RuntimeOptions::Value& value : k.options.values) {
        if (!acts_at_startup(value.key)) {
            k.values.push_back({value.key.c_str(), value.value.c_str(), value.admin ? 1 : 0});
        }
    }
    k.c.executable = k.options.executable.c_str();
    k.c.ini_path = k.options.ini_path.empty() ? nullptr : k.options.ini_path.c_str();
    k.c.ini_ignore = k.options.ini_ignore ? 1 : 0;
    k.c.ini_entries = k.ini_entries.c_str();
    k.c.values = k.values.data();
    k.c.value_count = k.values.size();
    k.c.worker = k.options.worker ? 1 : 0;
    k.c.early_hints = k.options.early_hints ? 1 : 0;
    k.c.log_limit = k.options.log_limit;
    k.c.log_headers = k.options.log_headers ? 1 : 0;
    k.c.opcache_restart = opcache_restart;
    return ftm_php_startup(&k.c, &host_callbacks()) == 0 ? "" : "PHP could not be started";
}

void stop_runtime() noexcept { ftm_php_shutdown(); }

int opcache_lock_fd()
{
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) {
        return -1;
    }
    int found = -1;
    while (const dirent* entry = ::readdir(directory)) {
        char target[PATH_MAX];
        const std::string path = std::string("/proc/self/fd/") + entry->d_name;
        const ssize_t n = ::readlink(path.c_str(), target, sizeof target - 1);
        if (n > 0) {
            target[n] = '\0';
            if (std::strncmp(target, "/memfd:opcache_lock", 19) == 0) {
                found = std::atoi(entry->d_name);
            }
        }
    }
    ::closedir(directory);
    return found;
}

}  // namespace ftm::php
