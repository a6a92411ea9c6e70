// After fork: every descriptor that is not in the list and above 2 is closed (RULES 23).
#pragma once

#include <vector>

namespace ftm::master {

void close_others(std::vector<int> keep);

}  // namespace ftm::master
