// Reload by exec (fpm_pctl.c, DESIGN 2): ask the binary on disk whether it accepts the configuration, then become it.
#pragma once

#include <string>
#include <vector>

#include "master/reload_state.hpp"

namespace ftm::master {

struct BinaryTest {
    std::string refusal;     // empty: it accepts; otherwise its first error, or why it could not be asked
    bool takes_over = false; // it is php-ftm, not php-fpm
};

// Runs `argv[0] … -t`.
[[nodiscard]] BinaryTest test_binary(const std::vector<std::string>& arguments);

// execvp() with what the next image needs in its environment; null: it is php-fpm and needs the sockets only. Returns
// only on failure, after logging it.
void execute(const std::vector<std::string>& arguments, const ReloadState* state);

}  // namespace ftm::master
