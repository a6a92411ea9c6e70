// A list of words in a directive's value. Pure. Threads: any.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace ftm {

// What stands between the separators, without empty pieces. Views into `list`.
[[nodiscard]] inline std::vector<std::string_view> words(std::string_view list, std::string_view separators)
{
    std::vector<std::string_view> found;
    for (;;) {
        list.remove_prefix(std::min(list.find_first_not_of(separators), list.size()));
        if (list.empty()) {
            return found;
        }
        found.push_back(list.substr(0, list.find_first_of(separators)));
        list.remove_prefix(found.back().size());
    }
}

}  // namespace ftm
