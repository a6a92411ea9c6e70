// Process titles in the memory of argv and environ, as scripts expect to read them with ps.
// Master's main thread at start, then once per process after fork.
#pragma once

#include <string>

namespace ftm {

// Remembers argv's memory and moves the environment out of it. Call once, before anything keeps a getenv() pointer.
void init_process_title(int argc, char** argv);
void set_process_title(const std::string& title);

}  // namespace ftm
