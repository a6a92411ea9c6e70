#include "engine/overtime.hpp"

#include <unistd.h>

#include <algorithm>

#include "observe/log.hpp"

namespace ftm::engine {
namespace {

// str_purify_filename()
std::string purified(const char* text)
{
    std::string result = text;
    std::replace_if(result.begin(), result.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7f; }, '.');
    return result;
}

}  // namespace

void log_overtime(const std::string& pool, const observe::Slot* slot, std::int64_t age_us, const char* what,
                  const char* then)
{
    const observe::RequestText text = slot != nullptr ? observe::text_of(*slot) : observe::RequestText{};
    observe::log(observe::Level::warning, "[pool %s] child %d, script '%s' (request: \"%s %s%s%s\") %s (%d.%06d sec), %s",
                 pool.c_str(), ::getpid(), purified(text.script).c_str(), text.method, text.uri,
                 text.query[0] != '\0' ? "?" : "", text.query, what, static_cast<int>(age_us / 1'000'000),
                 static_cast<int>(age_us % 1'000'000), then);
}

}  // namespace ftm::engine
