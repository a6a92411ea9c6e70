#include "base/unnamed_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

namespace ftm {

UniqueFd make_unnamed_file(const std::string& directory)
{
    UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
    // This file system has no unnamed files.
    std::string path = directory + "/php-ftm-XXXXXX";
    fd.reset(::mkostemp(path.data(), O_CLOEXEC));
    if (fd) {
        ::unlink(path.c_str());
    }
    return fd;
}

}  // namespace ftm
