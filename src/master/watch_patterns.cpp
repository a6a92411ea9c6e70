#include "master/watch_patterns.hpp"

#include <algorithm>
#include <filesystem>

namespace ftm::master {
namespace {

constexpr std::string_view kWildcards = "*?";

bool has_wildcard(std::string_view pattern) { return pattern.find_first_of(kWildcards) != std::string_view::npos; }

bool is_below(std::string_view path, std::string_view directory)
{
    return path.substr(0, directory.size()) == directory &&
           (path.size() == directory.size() || path[directory.size()] == '/' || directory == "/");
}

bool glob(std::string_view pattern, std::string_view text)
{
    while (!pattern.empty()) {
        if (pattern.substr(0, 2) == "**") {
            pattern.remove_prefix(2);
            if (!pattern.empty() && pattern[0] == '/' && glob(pattern.substr(1), text)) { // a/**/b is also a/b
                return true;
            }
            for (std::size_t skipped = 0; skipped <= text.size(); ++skipped) {
                if (glob(pattern, text.substr(skipped))) {
                    return true;
                }
            }
            return false;
        }
        if (pattern[0] == '*') {
            pattern.remove_prefix(1);
            for (std::size_t skipped = 0; skipped <= text.size(); ++skipped) {
                if (glob(pattern, text.substr(skipped))) {
                    return true;
                }
                if (skipped < text.size() && text[skipped] == '/') {
                    return false;
                }
            }
            return false;
        }
        if (text.empty() || (pattern[0] == '?' ? text[0] == '/' : pattern[0] != text[0])) {
            return false;
        }
        pattern.remove_prefix(1);
        text.remove_prefix(1);
    }
    return text.empty();
}

bool matches_one(std::string_view pattern, std::string_view path)
{
    return has_wildcard(pattern) ? glob(pattern, path) : is_below(path, pattern);
}

// {a,b}: one pattern for each. Not nested.
void expand_braces(const std::string& pattern, std::vector<std::string>& out)
{
    const std::size_t open = pattern.find('{');
    const std::size_t close = open == std::string::npos ? open : pattern.find('}', open);
    if (close == std::string::npos) {
        out.push_back(pattern);
        return;
    }
    std::size_t at = open + 1;
    while (at <= close) {
        const std::size_t end = std::min(pattern.find(',', at), close);
        expand_braces(pattern.substr(0, open) + pattern.substr(at, end - at) + pattern.substr(close + 1), out);
        at = end + 1;
    }
}

std::string_view beginning_of(std::string_view pattern)
{
    const std::size_t wildcard = pattern.find_first_of(kWildcards);
    if (wildcard == std::string_view::npos) {
        return pattern;
    }
    const std::size_t slash = pattern.rfind('/', wildcard);
    return pattern.substr(0, std::max<std::size_t>(slash, 1));
}

// Name by name: what is below a directory can match if the directory's names do, up to a "**".
bool leads_to(std::string_view pattern, std::string_view directory)
{
    if (!has_wildcard(pattern)) {
        return is_below(directory, pattern) || is_below(pattern, directory);
    }
    while (directory.size() > 1) {
        const std::string_view wanted = pattern.substr(0, pattern.find('/', 1));
        const std::string_view name = directory.substr(0, directory.find('/', 1));
        if (wanted.find("**") != std::string_view::npos) {
            return true;
        }
        if (!glob(wanted, name) || wanted.size() == pattern.size()) {
            return false;
        }
        pattern.remove_prefix(wanted.size());
        directory.remove_prefix(name.size());
    }
    return true;
}

}  // namespace

WatchPatterns::WatchPatterns(const std::vector<std::string>& lines, const std::string& base, const std::string& root)
{
    for (std::string line : lines) {
        const bool excluded = line.starts_with('!');
        line.erase(0, excluded ? 1 : 0);
        if (line.empty()) {
            continue;
        }
        const std::filesystem::path absolute = line[0] == '/' ? line : base + "/" + line;
        std::string path = root + absolute.lexically_normal().string();
        while (path.size() > 1 && path.back() == '/') {
            path.pop_back();
        }
        expand_braces(path, excluded ? excluded_ : wanted_);
    }
}

bool WatchPatterns::matches(std::string_view file) const
{
    const auto is = [&](const std::string& pattern) { return matches_one(pattern, file); };
    return std::any_of(wanted_.begin(), wanted_.end(), is) && std::none_of(excluded_.begin(), excluded_.end(), is);
}

bool WatchPatterns::leads_to_some(std::string_view directory) const
{
    const std::string anything = std::string(directory) + "/x";
    return std::any_of(wanted_.begin(), wanted_.end(), [&](const auto& pattern) { return leads_to(pattern, directory); }) &&
           std::none_of(excluded_.begin(), excluded_.end(), [&](const std::string& pattern) {
               // all of it: a directory that is named, or DIR/**
               return (!has_wildcard(pattern) || pattern.ends_with("/**")) && matches_one(pattern, anything);
           });
}

std::vector<std::string> WatchPatterns::beginnings() const
{
    std::vector<std::string> found;
    for (const std::string& pattern : wanted_) {
        const std::string_view beginning = beginning_of(pattern);
        if (std::find(found.begin(), found.end(), beginning) == found.end()) {
            found.emplace_back(beginning);
        }
    }
    return found;
}

}  // namespace ftm::master
