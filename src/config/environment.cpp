#include "config/environment.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/unique_fd.hpp"

namespace ftm::config {

Environment system_environment()
{
    Environment environment;
    environment.running_as_root = ::geteuid() == 0;
    environment.is_directory = [](const std::string& path) {
        struct stat status = {};
        return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    };
    environment.open_log = [](LogFile, const std::string& path) {
        const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
        return fd ? 0 : errno;
    };
    environment.missing_user = [](const std::string& name) -> std::optional<int> {
        errno = 0;
        if (::getpwnam(name.c_str()) != nullptr) {
            return std::nullopt;
        }
        return errno;
    };
    environment.missing_group = [](const std::string& name) -> std::optional<int> {
        errno = 0;
        if (::getgrnam(name.c_str()) != nullptr) {
            return std::nullopt;
        }
        return errno;
    };
    environment.variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) {
            return std::nullopt;
        }
        return value;
    };
    return environment;
}

}  // namespace ftm::config
