// Tells that files have changed which worker.watch[] names: an inotify instance with a watch per directory. Changes that
// come together are told once: when nothing has changed for a moment, or after two seconds at the latest.
// The master's only thread; now: CLOCK_MONOTONIC.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "master/watch_patterns.hpp"

namespace ftm::master {

class FileWatch {
public:
    using Clock = std::chrono::steady_clock;

    struct Change {
        std::string file;        // one of them
        std::size_t others = 0;  // how many more
    };

    // Says in the log what it cannot watch.
    FileWatch(std::string pool, WatchPatterns patterns, Clock::time_point now);

    [[nodiscard]] int fd() const noexcept { return inotify_.get(); }
    void on_readable(Clock::time_point now);
    // When on_time() has something to do.
    [[nodiscard]] std::optional<Clock::time_point> next() const;
    std::optional<Change> on_time(Clock::time_point now);

private:
    void begin(const std::vector<std::string>& beginnings, bool tell);
    void add_tree(const std::string& directory, bool tell);
    bool add(const std::string& directory);
    void forget_tree(const std::string& directory);
    void on_event(int watch, std::uint32_t mask, const std::string& name);
    void changed(const std::string& file);
    void note(const std::string& file);

    const std::string pool_;
    const WatchPatterns patterns_;
    UniqueFd inotify_;
    std::map<int, std::string> directories_;  // by watch descriptor
    std::set<std::string> missing_;           // beginnings that are not there: looked for once per second
    std::set<std::string> changed_;
    bool told_limit_ = false;
    std::optional<Clock::time_point> look_;   // for what is missing
    std::optional<Clock::time_point> first_;  // of the changes that are not told yet
    Clock::time_point last_;
    Clock::time_point now_;                   // of the event that is being handled
};

}  // namespace ftm::master
