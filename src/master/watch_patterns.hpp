// worker.watch[]: which files and directories are meant. Pure; looks at names only.
//   /srv/app/config        a file, or everything below a directory
//   /srv/app/src/**.php    * and ? stand for what is between two slashes, ** also for slashes; {a,b} for each of these
//   !/srv/app/var          not these, whatever else matches
// Value type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ftm::master {

class WatchPatterns {
public:
    // base: where relative ones begin. root: in front of all, with chroot; else "".
    WatchPatterns(const std::vector<std::string>& lines, const std::string& base, const std::string& root);

    // An absolute path of a file.
    [[nodiscard]] bool matches(std::string_view file) const;
    // Whether something below this directory may match.
    [[nodiscard]] bool leads_to_some(std::string_view directory) const;
    // Where to begin: the parts in front of the first wildcard, each once.
    [[nodiscard]] std::vector<std::string> beginnings() const;

private:
    std::vector<std::string> wanted_;    // absolute, without "." and ".."
    std::vector<std::string> excluded_;
};

}  // namespace ftm::master
