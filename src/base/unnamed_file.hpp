// Temporary files without a name: gone with their last descriptor, also after a crash. Any thread.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace ftm {

// Readable, writable, close-on-exec; invalid with errno set. The directory is never taken from the environment, which
// in a context is the script's.
[[nodiscard]] UniqueFd make_unnamed_file(const std::string& directory);

}  // namespace ftm
