#include "engine/boot_output.hpp"

#include <unistd.h>

#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr std::size_t kLongestLine = 1024;

}  // namespace

void BootOutput::log_line(std::string_view line) const noexcept
{
    observe::log(observe::Level::notice, "[pool %s] child %d, worker said: \"%.*s\"", core_.settings.pool->name.c_str(),
                 ::getpid(), static_cast<int>(line.size()), line.data());
}

bool BootOutput::write(ftm_stream stream, std::string_view data) noexcept
{
    if (stream == FTM_STDERR) { // PHP messages are in the log already
        return true;
    }
    while (!data.empty()) {
        const std::size_t end = data.find('\n');
        unfinished_ += data.substr(0, end);
        if (end == std::string_view::npos && unfinished_.size() < kLongestLine) {
            return true;
        }
        flush();
        data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
    }
    return true;
}

bool BootOutput::flush() noexcept
{
    if (!unfinished_.empty()) {
        log_line(unfinished_);
        unfinished_.clear();
    }
    return true;
}

void BootOutput::finish(bool) noexcept { flush(); }

}  // namespace ftm::engine
