#include "master/socket_permissions.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/acl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "observe/log.hpp"

namespace ftm::master {
namespace {

using observe::Level;
using observe::log;
using observe::log_syserror;

bool given(const std::optional<std::string>& value) { return value && !value->empty(); }

bool digits(const std::string& text) { return text.find_first_not_of("0123456789") == std::string::npos; }

unsigned number(const std::string& text) { return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10)); }

const passwd* find_user(const config::Pool& pool, const std::string& name)
{
    errno = 0;
    const passwd* entry = ::getpwnam(name.c_str());
    if (entry == nullptr) {
        log_syserror("[pool %s] cannot get uid for user '%s'", pool.name.c_str(), name.c_str());
    }
    return entry;
}

const group* find_group(const config::Pool& pool, const std::string& name)
{
    errno = 0;
    const group* entry = ::getgrnam(name.c_str());
    if (entry == nullptr) {
        log_syserror("[pool %s] cannot get gid for group '%s'", pool.name.c_str(), name.c_str());
    }
    return entry;
}

// Every part counts, also an empty one: no blanks are trimmed.
std::vector<std::string> split(const std::string& text)
{
    std::vector<std::string> parts;
    std::size_t at = 0;
    do {
        const std::size_t end = std::min(text.find(',', at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    } while (at <= text.size());
    return parts;
}

bool add_entry(acl_t& acl, acl_tag_t tag, const void* id)
{
    acl_entry_t entry;
    acl_permset_t permissions;
    return ::acl_create_entry(&acl, &entry) == 0 && ::acl_set_tag_type(entry, tag) == 0 &&
           ::acl_set_qualifier(entry, id) == 0 && ::acl_get_permset(entry, &permissions) == 0 &&
           ::acl_clear_perms(permissions) == 0 && ::acl_add_perm(permissions, ACL_READ) == 0 &&
           ::acl_add_perm(permissions, ACL_WRITE) == 0;
}

}  // namespace

std::optional<SocketPermissions> SocketPermissions::resolve(const config::Pool& pool)
{
    SocketPermissions permissions(pool);
    const bool acl = given(pool.listen_acl_users) || given(pool.listen_acl_groups);
    if (!(acl ? permissions.resolve_acl() : permissions.resolve_owner())) {
        return std::nullopt;
    }
    return permissions;
}

bool SocketPermissions::resolve_acl()
{
    if (given(pool_->listen_acl_users)) {
        for (const std::string& name : split(*pool_->listen_acl_users)) {
            const passwd* entry = find_user(*pool_, name);
            if (entry == nullptr) {
                return false;
            }
            users_.push_back(entry->pw_uid);
        }
    }
    if (given(pool_->listen_acl_groups)) {
        for (const std::string& name : split(*pool_->listen_acl_groups)) {
            const group* entry = find_group(*pool_, name);
            if (entry == nullptr) {
                return false;
            }
            groups_.push_back(entry->gr_gid);
        }
    }
    if (given(pool_->listen_owner)) {
        log(Level::warning, "[pool %s] ACL set, listen.owner = '%s' is ignored", pool_->name.c_str(),
            pool_->listen_owner->c_str());
    }
    if (given(pool_->listen_group)) {
        log(Level::warning, "[pool %s] ACL set, listen.group = '%s' is ignored", pool_->name.c_str(),
            pool_->listen_group->c_str());
    }
    return true;
}

// A user's name sets uid and gid, digits the uid only.
bool SocketPermissions::resolve_owner()
{
    if (given(pool_->listen_owner)) {
        if (digits(*pool_->listen_owner)) {
            uid_ = number(*pool_->listen_owner);
        } else if (const passwd* entry = find_user(*pool_, *pool_->listen_owner)) {
            uid_ = entry->pw_uid;
            gid_ = entry->pw_gid;
        } else {
            return false;
        }
    }
    if (given(pool_->listen_group)) {
        if (digits(*pool_->listen_group)) {
            gid_ = number(*pool_->listen_group);
        } else if (const group* entry = find_group(*pool_, *pool_->listen_group)) {
            gid_ = entry->gr_gid;
        } else {
            return false;
        }
    }
    return true;
}

bool SocketPermissions::apply(const std::string& path) const
{
    if (!users_.empty() || !groups_.empty()) {
        return apply_acl(path);
    }
    if ((uid_ != static_cast<uid_t>(-1) || gid_ != static_cast<gid_t>(-1)) && ::chown(path.c_str(), uid_, gid_) != 0) {
        log_syserror("[pool %s] failed to chown() the socket '%s'", pool_->name.c_str(), path.c_str());
        return false;
    }
    return true;
}

bool SocketPermissions::apply_acl(const std::string& path) const
{
    acl_t acl = ::acl_get_file(path.c_str(), ACL_TYPE_ACCESS);
    if (acl == nullptr) {
        log_syserror("[pool %s] failed to read the ACL of the socket '%s'", pool_->name.c_str(), path.c_str());
        return false;
    }
    const bool added =
        std::all_of(users_.begin(), users_.end(), [&](uid_t id) { return add_entry(acl, ACL_USER, &id); }) &&
        std::all_of(groups_.begin(), groups_.end(), [&](gid_t id) { return add_entry(acl, ACL_GROUP, &id); });
    if (!added) {
        log_syserror("[pool %s] failed to add entry to the ACL of the socket '%s'", pool_->name.c_str(), path.c_str());
        ::acl_free(acl);
        return false;
    }
    const bool set = ::acl_calc_mask(&acl) == 0 && ::acl_valid(acl) == 0 &&
                     ::acl_set_file(path.c_str(), ACL_TYPE_ACCESS, acl) == 0;
    if (!set) {
        log_syserror("[pool %s] failed to write the ACL of the socket '%s'", pool_->name.c_str(), path.c_str());
    }
    ::acl_free(acl);
    return set;
}

}  // namespace ftm::master
