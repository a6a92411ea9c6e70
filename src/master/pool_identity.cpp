#include "master/pool_identity.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "observe/log.hpp"

namespace ftm::master {
namespace {

using observe::Level;
using observe::log;

bool digits(const std::string& text) { return text.find_first_not_of("0123456789") == std::string::npos; }

bool given(const std::optional<std::string>& value) { return value && !value->empty(); }

unsigned number(const std::string& text) { return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10)); }

void say_what_is_ignored(const config::Pool& pool)
{
    const auto ignored = [&](bool set, const char* directive) {
        if (set) {
            log(Level::notice, "[pool %s] '%s' directive is ignored when FPM is not running as root", pool.name.c_str(),
                directive);
        }
    };
    ignored(given(pool.user), "user");
    ignored(given(pool.group), "group");
    ignored(given(pool.chroot), "chroot");
    ignored(pool.process_priority.has_value(), "process.priority");
}

}  // namespace

bool check_identity(const config::Pool& pool, bool allow_root)
{
    if (::geteuid() != 0) {
        say_what_is_ignored(pool);
        return true;
    }
    uid_t uid = 0;
    gid_t gid = 0;
    if (given(pool.user)) {
        const bool numeric = digits(*pool.user);
        const passwd* entry = numeric ? ::getpwuid(number(*pool.user)) : ::getpwnam(pool.user->c_str());
        if (entry == nullptr && !numeric) {
            log(Level::error, "[pool %s] cannot get uid for user '%s'", pool.name.c_str(), pool.user->c_str());
            return false;
        }
        uid = entry != nullptr ? entry->pw_uid : number(*pool.user);
        gid = entry != nullptr ? entry->pw_gid : 0;
    }
    if (given(pool.group)) {
        if (digits(*pool.group)) {
            gid = number(*pool.group);
        } else if (const group* entry = ::getgrnam(pool.group->c_str())) {
            gid = entry->gr_gid;
        } else {
            log(Level::error, "[pool %s] cannot get gid for group '%s'", pool.name.c_str(), pool.group->c_str());
            return false;
        }
    }
    if (!allow_root && (uid == 0 || gid == 0)) {
        log(Level::error, "[pool %s] please specify user and group other than root", pool.name.c_str());
        return false;
    }
    return true;
}

}  // namespace ftm::master
