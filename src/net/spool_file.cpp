#include "net/spool_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unnamed_file.hpp"

namespace ftm::net {

bool SpoolFile::append(const char* data, std::size_t size)
{
    if (!file_.valid()) {
        file_ = make_unnamed_file(directory_);
        if (!file_.valid()) {
            return false;
        }
    }
    const std::uint64_t before = written_;
    while (size > 0) {
        const ssize_t n = ::pwrite(file_.get(), data, size, static_cast<off_t>(written_));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            written_ = before;
            return false;
        }
        written_ += static_cast<std::uint64_t>(n);
        data += n;
        size -= static_cast<std::size_t>(n);
    }
    return true;
}

bool SpoolFile::take(std::string& out, std::size_t size)
{
    const std::size_t begin = out.size();
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, this->size()));
    out.resize(begin + wanted);
    for (std::size_t got = 0; got < wanted;) {
        const ssize_t n = ::pread(file_.get(), out.data() + begin + got, wanted - got, static_cast<off_t>(read_));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        got += static_cast<std::size_t>(n);
        read_ += static_cast<std::uint64_t>(n);
    }
    if (read_ == written_) {
        clear();
    } else { // what is sent takes no room: a reader that never catches up would let the file grow with the answer
        ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(read_));
    }
    return true;
}

void SpoolFile::clear() noexcept
{
    file_.reset();
    written_ = 0;
    read_ = 0;
}

}  // namespace ftm::net
