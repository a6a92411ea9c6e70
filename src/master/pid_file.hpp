// The pid file as php-fpm writes it: decimal, no newline; gone after the end, kept over a reload. Master only.
#pragma once

#include <string>

namespace ftm::master {

class PidFile {
public:
    // False after logging why.
    bool write(const std::string& path);
    void remove();

private:
    std::string path_;
};

}  // namespace ftm::master
