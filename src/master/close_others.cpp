#include "master/close_others.hpp"

#include <unistd.h>

#include <algorithm>

namespace ftm::master {

void close_others(std::vector<int> keep)
{
    std::erase_if(keep, [](int fd) { return fd < 0; });
    std::sort(keep.begin(), keep.end());
    unsigned begin = 3;
    for (const int fd : keep) {
        const auto kept = static_cast<unsigned>(fd);
        if (kept > begin) {
            ::close_range(begin, kept - 1, 0);
        }
        begin = std::max(begin, kept + 1);
    }
    ::close_range(begin, ~0u, 0);
}

}  // namespace ftm::master
