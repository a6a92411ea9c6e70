#include "master/file_watch.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "observe/log.hpp"

namespace ftm::master {
namespace {

using namespace std::chrono_literals;
using observe::Level;

constexpr auto kQuiet = 150ms;
constexpr auto kLongest = 2s;
constexpr auto kLookAgain = 1s;
constexpr std::size_t kMostNames = 1000;

// Files are finished when they are closed, or come by a new name; a link never was open.
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK;

bool is_hidden(const std::string& name) { return !name.empty() && name[0] == '.'; }

std::string join(const std::string& directory, const std::string& name)
{
    return directory == "/" ? "/" + name : directory + "/" + name;
}

}  // namespace

FileWatch::FileWatch(std::string pool, WatchPatterns patterns, Clock::time_point now)
    : pool_(std::move(pool)), patterns_(std::move(patterns)), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), now_(now)
{
    if (!inotify_.valid()) {
        observe::log(Level::warning, "[pool %s] worker.watch has no effect: inotify: %s%s", pool_.c_str(), std::strerror(errno),
                     errno == EMFILE ? " (fs.inotify.max_user_instances)" : "");
        return;
    }
    begin(patterns_.beginnings(), false);
    for (const std::string& path : missing_) {
        observe::log(Level::warning, "[pool %s] worker.watch: %s is not there yet", pool_.c_str(), path.c_str());
    }
}

// `tell`: what is found there is a change.
void FileWatch::begin(const std::vector<std::string>& beginnings, bool tell)
{
    missing_.clear();
    for (const std::string& path : beginnings) {
        struct stat found{};
        if (::stat(path.c_str(), &found) != 0) {
            missing_.insert(path);
        } else if (S_ISDIR(found.st_mode)) {
            add_tree(path, tell);
        } else { // a file: it may be replaced by another one of its name
            add(std::filesystem::path(path).parent_path().string());
            if (tell) {
                changed(path);
            }
        }
    }
    look_ = missing_.empty() ? std::nullopt : std::optional(now_ + kLookAgain);
}

bool FileWatch::add(const std::string& directory)
{
    const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
    if (watch >= 0) {
        directories_[watch] = directory;
        return true;
    }
    if (errno == ENOSPC && !told_limit_) {
        told_limit_ = true;
        observe::log(Level::warning,
                     "[pool %s] worker.watch: no more than %zu directories can be watched (fs.inotify.max_user_watches): "
                     "changes in %s and others are not seen",
                     pool_.c_str(), directories_.size(), directory.c_str());
    } else if (errno != ENOENT && errno != ENOTDIR && errno != ENOSPC) {
        observe::log(Level::warning, "[pool %s] worker.watch: %s: %s", pool_.c_str(), directory.c_str(), std::strerror(errno));
    }
    return false;
}

// The watch first, then what is there: what comes in between is seen twice rather than not at all. Links to directories
// are not followed, nor hidden directories entered, unless a pattern begins there.
void FileWatch::add_tree(const std::string& directory, bool tell)
{
    if (!patterns_.leads_to_some(directory) || !add(directory)) {
        return;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        std::error_code ignored;
        if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
            if (!is_hidden(it->path().filename().string())) {
                add_tree(it->path().string(), tell);
            }
        } else if (tell) {
            changed(it->path().string());
        }
    }
}

void FileWatch::forget_tree(const std::string& directory)
{
    for (auto it = directories_.begin(); it != directories_.end();) {
        const std::string& path = it->second;
        if (path == directory || path.starts_with(directory + "/")) {
            ::inotify_rm_watch(inotify_.get(), it->first);
            it = directories_.erase(it);
        } else {
            ++it;
        }
    }
}

void FileWatch::changed(const std::string& file)
{
    if (patterns_.matches(file)) {
        note(file);
    }
}

void FileWatch::note(const std::string& file)
{
    if (changed_.size() < kMostNames) {
        changed_.insert(file);
    }
    first_ = first_.value_or(now_);
    last_ = now_;
}

void FileWatch::on_event(int watch, std::uint32_t mask, const std::string& name)
{
    if ((mask & IN_Q_OVERFLOW) != 0) { // something has happened, who knows what
        directories_.clear();
        begin(patterns_.beginnings(), true);
        return;
    }
    const auto it = directories_.find(watch);
    if (it == directories_.end()) {
        return;
    }
    if ((mask & IN_IGNORED) != 0) { // the directory is gone, perhaps to come back
        const std::string directory = it->second;
        directories_.erase(it);
        for (const std::string& beginning : patterns_.beginnings()) {
            if (beginning == directory || std::filesystem::path(beginning).parent_path() == directory) {
                missing_.insert(beginning);
                look_ = now_ + kLookAgain;
            }
        }
        return;
    }
    const std::string path = join(it->second, name);
    if ((mask & IN_ISDIR) != 0) {
        if (is_hidden(name) || !patterns_.leads_to_some(path)) {
            return;
        }
        if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
            add_tree(path, true);
        } else if ((mask & IN_MOVED_FROM) != 0) {
            forget_tree(path);
            note(path); // who knows what was in it
        }
        return;
    }
    struct stat made{};
    if ((mask & IN_CREATE) != 0 && (::lstat(path.c_str(), &made) != 0 || (S_ISREG(made.st_mode) && made.st_nlink == 1))) {
        return; // it will be closed
    }
    changed(path);
}

void FileWatch::on_readable(Clock::time_point now)
{
    now_ = now;
    alignas(inotify_event) char buffer[16384];
    for (;;) {
        const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
        if (n <= 0) {
            return;
        }
        for (const char* at = buffer; at < buffer + n;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            on_event(event->wd, event->mask, event->len != 0 ? std::string(event->name) : std::string());
            at += sizeof(inotify_event) + event->len;
        }
    }
}

std::optional<FileWatch::Clock::time_point> FileWatch::next() const
{
    std::optional<Clock::time_point> next = look_;
    if (first_) {
        const auto due = std::min<Clock::time_point>(last_ + kQuiet, *first_ + kLongest);
        next = next ? std::min(*next, due) : due;
    }
    return next;
}

std::optional<FileWatch::Change> FileWatch::on_time(Clock::time_point now)
{
    now_ = now;
    if (look_ && now >= *look_) {
        begin({missing_.begin(), missing_.end()}, true);
    }
    if (!first_ || now < std::min<Clock::time_point>(last_ + kQuiet, *first_ + kLongest)) {
        return std::nullopt;
    }
    first_.reset();
    const Change change{*changed_.begin(), changed_.size() - 1};
    changed_.clear();
    return change;
}

}  // namespace ftm::master
