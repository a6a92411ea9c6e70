#include "engine/apparmor.hpp"

#include <sys/apparmor.h>

#include <cstdlib>
#include <string>

#include "observe/log.hpp"

namespace ftm::engine {

using observe::log_syserror;

bool enter_apparmor_hat(const config::Pool& pool)
{
    if (!pool.apparmor_hat) {
        return true;
    }
    char* confinement = nullptr;
    if (::aa_getcon(&confinement, nullptr) == -1) {
        log_syserror("[pool %s] failed to query apparmor confinement. Please check if \"/proc/*/attr/current\" is read "
                     "and writeable.",
                     pool.name.c_str());
        return false;
    }
    const std::string wanted = std::string(confinement) + "//" + *pool.apparmor_hat;
    const bool changed = ::aa_change_profile(wanted.c_str()) == 0;
    if (!changed) {
        log_syserror("[pool %s] failed to change to new confinement (%s). Please check if \"/proc/*/attr/current\" is "
                     "read and writeable and \"change_profile -> %s//*\" is allowed.",
                     pool.name.c_str(), wanted.c_str(), confinement);
    }
    std::free(confinement);
    return changed;
}

}  // namespace ftm::engine
