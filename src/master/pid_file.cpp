#include "master/pid_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "observe/log.hpp"

namespace ftm::master {

bool PidFile::write(const std::string& path)
{
    ::unlink(path.c_str());
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd.valid()) {
        observe::log_syserror("Unable to create the PID file (%s).", path.c_str());
        return false;
    }
    const std::string pid = std::to_string(::getpid());
    if (::write(fd.get(), pid.data(), pid.size()) != static_cast<ssize_t>(pid.size())) {
        observe::log_syserror("Unable to write to the PID file.");
        return false;
    }
    path_ = path;
    return true;
}

void PidFile::remove()
{
    if (!path_.empty() && ::unlink(path_.c_str()) != 0) {
        observe::log_syserror("Unable to remove the PID file (%s).", path_.c_str());
    }
}

}  // namespace ftm::master
