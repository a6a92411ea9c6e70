#include "master/worker_output.hpp"

#include <algorithm>

#include "observe/log.hpp"

namespace ftm::master {
namespace {

constexpr std::size_t kMaxPartial = 64u << 10;
constexpr std::size_t kTimeAndLevel = 33;  // "[20-Nov-2026 04:38:47] WARNING: "
const std::string kFlush("\0fscf\0", 6);   // what php-fpm's children write after a request

}  // namespace

void WorkerOutput::feed(std::string_view bytes, const Line& line)
{
    partial_ += bytes;
    std::size_t begin = 0;
    for (;;) {
        const std::size_t newline = partial_.find('\n', begin);
        const std::size_t flush = partial_.find(kFlush, begin);
        const std::size_t end = std::min(newline, flush);
        if (end == std::string::npos) {
            break;
        }
        if (end == newline || end > begin) {
            line(std::string_view(partial_).substr(begin, end - begin), false);
        }
        begin = end + (end == newline ? 1 : kFlush.size());
    }
    partial_.erase(0, begin);
    if (partial_.size() > kMaxPartial) {
        flush(line, false);
    }
}

void WorkerOutput::flush(const Line& line, bool closed)
{
    if (!partial_.empty()) {
        line(partial_, closed);
        partial_.clear();
    }
}

void log_worker_line(const std::string& pool, int pid, const char* stream, std::string_view line, bool decorate,
                     std::size_t log_limit)
{
    observe::Log& log = observe::Log::instance();
    if (!decorate) {
        const std::size_t room = log_limit - 1;
        do {
            log.raw(line.substr(0, room));
            line.remove_prefix(std::min(room, line.size()));
        } while (!line.empty());
        return;
    }
    const std::string prefix = "[pool " + pool + "] child " + std::to_string(pid) + " said into " + stream + ": \"";
    const std::size_t fixed = kTimeAndLevel + prefix.size() + 2;
    const std::size_t room = log_limit > fixed + 1 ? log_limit - fixed : 1;
    do {
        log.line(observe::Level::warning, prefix + std::string(line.substr(0, room)) + "\"");
        line.remove_prefix(std::min(room, line.size()));
    } while (!line.empty());
}

}  // namespace ftm::master
