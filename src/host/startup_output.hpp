// What modules print while PHP starts up in the host: with catch_workers_output it is logged as a worker's, as what
// php_admin_value[extension] prints in a php-fpm child is. While the object lives, descriptors 1 and 2 are a file in
// memory. Host's only thread.
#pragma once

#include "base/unique_fd.hpp"

namespace ftm::host {

class StartupOutput {
public:
    explicit StartupOutput(bool capture);
    ~StartupOutput();  // logs what was printed
    StartupOutput(const StartupOutput&) = delete;
    StartupOutput& operator=(const StartupOutput&) = delete;

private:
    UniqueFd file_;
    UniqueFd saved_out_;
    UniqueFd saved_err_;
};

}  // namespace ftm::host
