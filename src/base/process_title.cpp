#include "base/process_title.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ftm {
namespace {

char* title_begin = nullptr;
std::size_t title_size = 0;
char** moved_environment = nullptr;  // environ at first; setenv() and unsetenv() may leave entries only this reaches

}  // namespace

void init_process_title(int argc, char** argv)
{
    if (argc == 0) {
        return;
    }
    char* end = argv[0] + std::strlen(argv[0]) + 1;
    for (int i = 1; i < argc && argv[i] == end; ++i) {
        end = argv[i] + std::strlen(argv[i]) + 1;
    }
    std::size_t count = 0;
    while (environ[count] != nullptr) {
        if (environ[count] == end) {
            end = environ[count] + std::strlen(environ[count]) + 1;
        }
        ++count;
    }
    char** copy = static_cast<char**>(std::calloc(count + 1, sizeof(char*)));
    for (std::size_t i = 0; i < count; ++i) {
        copy[i] = ::strdup(environ[i]);
    }
    moved_environment = static_cast<char**>(std::calloc(count + 1, sizeof(char*)));
    std::memcpy(moved_environment, copy, count * sizeof(char*));
    environ = copy;
    title_begin = argv[0];
    title_size = static_cast<std::size_t>(end - title_begin);
}

void set_process_title(const std::string& title)
{
    if (title_begin == nullptr) {
        return;
    }
    const std::size_t size = std::min(title.size(), title_size - 1);
    std::memcpy(title_begin, title.data(), size);
    std::memset(title_begin + size, 0, title_size - size);
}

}  // namespace ftm
