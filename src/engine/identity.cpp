#include "engine/identity.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>

#include "engine/apparmor.hpp"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

using observe::log_syserror;

bool all_digits(const std::string& text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;  // for initgroups(), and USER
    std::string home;
    bool named = false;  // user was given by name: USER and HOME are set
};

bool find_identity(const config::Pool& pool, Identity& out)
{
    if (pool.user && !pool.user->empty()) {
        const bool numeric = all_digits(*pool.user);
        const passwd* entry = numeric ? ::getpwuid(static_cast<uid_t>(std::strtoul(pool.user->c_str(), nullptr, 10)))
                                      : ::getpwnam(pool.user->c_str());
        if (entry != nullptr) {
            out = {entry->pw_uid, entry->pw_gid, entry->pw_name, entry->pw_dir, !numeric};
        } else if (numeric) {
            out.uid = static_cast<uid_t>(std::strtoul(pool.user->c_str(), nullptr, 10));
        } else {
            observe::log(observe::Level::error, "[pool %s] cannot get uid for user '%s'", pool.name.c_str(),
                         pool.user->c_str());
            return false;
        }
    }
    if (pool.group && !pool.group->empty()) {
        if (all_digits(*pool.group)) {
            out.gid = static_cast<gid_t>(std::strtoul(pool.group->c_str(), nullptr, 10));
        } else if (const group* entry = ::getgrnam(pool.group->c_str())) {
            out.gid = entry->gr_gid;
        } else {
            observe::log(observe::Level::error, "[pool %s] cannot get gid for group '%s'", pool.name.c_str(),
                         pool.group->c_str());
            return false;
        }
    }
    return true;
}

void set_limit(const config::Pool& pool, int resource, const char* name, int value)
{
    if (value == 0) {
        return;
    }
    const rlim_t limit = value < 0 ? RLIM_INFINITY : static_cast<rlim_t>(value);
    const rlimit both{limit, limit};
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) != 0) {
        log_syserror("[pool %s] failed to set %s for this pool. Please check your system limits or decrease %s. "
                     "setrlimit(%s, %d)",
                     pool.name.c_str(), resource == RLIMIT_NOFILE ? "rlimit_files" : "rlimit_core",
                     resource == RLIMIT_NOFILE ? "rlimit_files" : "rlimit_core", name, value);
    }
}

// A php-fpm child has as many descriptors, and one connection; here as many belong to each context, and to the engine
// itself. False: it must be as written.
bool set_descriptor_limit(const config::Pool& pool)
{
    rlimit limit{};
    if (pool.rlimit_files <= 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    const rlim_t all = static_cast<rlim_t>(pool.rlimit_files) * (static_cast<rlim_t>(std::max(pool.pm_max_children, 1)) + 1);
    rlim_t most = limit.rlim_max;
    if (::geteuid() == 0) {
        std::ifstream("/proc/sys/fs/nr_open") >> most;
    }
    if (static_cast<rlim_t>(pool.rlimit_files) > most) {
        return false;
    }
    limit.rlim_cur = limit.rlim_max = std::min(all, most);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool enter_directories(const config::Pool& pool)
{
    const bool root = ::geteuid() == 0;
    const bool jail = root && pool.chroot && !pool.chroot->empty();
    if (jail && ::chroot(pool.chroot->c_str()) != 0) {
        log_syserror("[pool %s] failed to chroot(%s)", pool.name.c_str(), pool.chroot->c_str());
        return false;
    }
    if (pool.chdir && !pool.chdir->empty()) {
        if (::chdir(pool.chdir->c_str()) != 0) {
            log_syserror("[pool %s] failed to chdir(%s)", pool.name.c_str(), pool.chdir->c_str());
            return false;
        }
    } else if (jail && ::chdir("/") != 0) {
        observe::log(observe::Level::warning, "[pool %s] failed to chdir(/)", pool.name.c_str());
    }
    return true;
}

bool drop_privileges(const config::Pool& pool, const Identity& identity)
{
    if (pool.process_priority && ::setpriority(PRIO_PROCESS, 0, *pool.process_priority) != 0) {
        log_syserror("[pool %s] Unable to set priority for this new process", pool.name.c_str());
        return false;
    }
    if (identity.gid != 0 && ::setgid(identity.gid) != 0) {
        log_syserror("[pool %s] failed to setgid(%d)", pool.name.c_str(), static_cast<int>(identity.gid));
        return false;
    }
    if (identity.uid != 0) {
        if (!identity.name.empty()) {
            if (::initgroups(identity.name.c_str(), identity.gid) != 0) {
                log_syserror("[pool %s] failed to initgroups(%s, %d)", pool.name.c_str(), identity.name.c_str(),
                             static_cast<int>(identity.gid));
                return false;
            }
        } else if (::setgroups(0, nullptr) != 0) {
            log_syserror("[pool %s] failed to setgroups()", pool.name.c_str());
            return false;
        }
        if (::setuid(identity.uid) != 0) {
            log_syserror("[pool %s] failed to setuid(%d)", pool.name.c_str(), static_cast<int>(identity.uid));
            return false;
        }
    }
    return true;
}

}  // namespace

bool assume_identity(const config::Pool& pool)
{
    if (!set_descriptor_limit(pool)) {
        set_limit(pool, RLIMIT_NOFILE, "RLIMIT_NOFILE", pool.rlimit_files);
    }
    set_limit(pool, RLIMIT_CORE, "RLIMIT_CORE", pool.rlimit_core);
    Identity identity;
    const bool root = ::geteuid() == 0;
    if (root && !find_identity(pool, identity)) {
        return false;
    }
    if (!enter_directories(pool) || (root && !drop_privileges(pool, identity))) {
        return false;
    }
    if (pool.process_dumpable && ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) {
        log_syserror("[pool %s] failed to prctl(PR_SET_DUMPABLE)", pool.name.c_str());
    }
    return enter_apparmor_hat(pool);
}

void raise_descriptor_limit(const config::Pool& pool)
{
    rlimit limit{};
    if (pool.rlimit_files == 0 && ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void set_pool_variables(const config::Pool& pool)
{
    for (const config::KeyValue& entry : pool.env) {
        ::setenv(entry.key.c_str(), config::expand_env_value(entry.value).c_str(), 1);
    }
}

void set_environment(const config::Pool& pool)
{
    // USER and HOME: of the pool's user if it was given by name; without root, of whoever runs php-fpm.
    std::string user;
    std::string home;
    Identity identity;
    if (::geteuid() != 0) {
        if (const passwd* entry = ::getpwuid(::getuid())) {
            user = entry->pw_name;
            home = entry->pw_dir;
        }
    } else if (find_identity(pool, identity) && identity.named) {
        user = identity.name;
        home = identity.home;
    }
    std::vector<config::KeyValue> env;
    for (const config::KeyValue& entry : pool.env) {
        env.push_back({entry.key, config::expand_env_value(entry.value)});
    }
    if (pool.clear_env) {
        ::clearenv();
    }
    const auto given = [&](const char* key) {
        return std::any_of(env.begin(), env.end(), [&](const config::KeyValue& entry) { return entry.key == key; });
    };
    for (const config::KeyValue& entry : env) {
        ::setenv(entry.key.c_str(), entry.value.c_str(), 1);
    }
    if (!user.empty() && !given("USER")) {
        ::setenv("USER", user.c_str(), 1);
    }
    if (!home.empty() && !given("HOME")) {
        ::setenv("HOME", home.c_str(), 1);
    }
}

}  // namespace ftm::engine
