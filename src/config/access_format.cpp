#include "config/access_format.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "config/text.hpp"

namespace ftm::config {
namespace {

constexpr std::size_t kLongestModifier = 128;

bool is_one_of(const std::string& modifier, std::initializer_list<const char*> words)
{
    return modifier.empty() || std::any_of(words.begin(), words.end(), [&](const char* word) {
               return equals_ignoring_case(word, modifier);
           });
}

std::string not_allowed(const char* allowed, char token, const std::string& modifier)
{
    return std::string("only ") + allowed + " are allowed as a modifier for %" + token + " ('" + modifier + "')";
}

// Takes the modifier away if the token uses it up; what is left over is an error of its own.
std::optional<std::string> check_token(char token, std::string& modifier)
{
    switch (token) {
        case 'C':
            if (!is_one_of(modifier, {"total", "user", "system"})) {
                return not_allowed("'total', 'user' or 'system'", token, modifier);
            }
            break;
        case 'd':
            if (!is_one_of(modifier, {"seconds", "milliseconds", "milli", "miliseconds", "mili", "microseconds",
                                      "micro"})) {
                return not_allowed("'seconds', 'milli', 'milliseconds', 'micro' or 'microseconds'", token, modifier);
            }
            break;
        case 'M':
            if (!is_one_of(modifier, {"bytes", "kilobytes", "kilo", "megabytes", "mega"})) {
                return not_allowed("'bytes', 'kilo', 'kilobytes', 'mega' or 'megabytes'", token, modifier);
            }
            break;
        case 'e':
            if (modifier.empty()) {
                return "the name of the environment variable must be set between embraces for %e";
            }
            break;
        case 'o':
            if (modifier.empty()) {
                return "the name of the header must be set between embraces for %o";
            }
            break;
        case 't':
        case 'T':
            break;
        default:
            if (std::string_view("%flmnpPqQrRsu").find(token) == std::string_view::npos) {
                return std::string("Invalid token in the access.format (%") + token + ")";
            }
            return std::nullopt;
    }
    modifier.clear();
    return std::nullopt;
}

}  // namespace

std::optional<std::string> access_format_problem(const std::string& format)
{
    std::string modifier;
    bool after_percent = false;
    for (std::size_t i = 0; i < format.size(); ++i) {
        const char c = format[i];
        if (!after_percent) {
            after_percent = c == '%';
            if (after_percent) {
                modifier.clear();
            }
            continue;
        }
        if (c == '{') {
            // The last character of the format cannot be the closing brace: a token must follow it.
            const std::size_t closing = format.find('}', i + 1);
            if (closing == std::string::npos || closing + 1 == format.size()) {
                return "missing closing embrace in the access.format";
            }
            modifier = format.substr(i + 1, std::min(closing - i - 1, kLongestModifier));
            i = closing;
            continue;
        }
        after_percent = false;
        if (std::optional<std::string> problem = check_token(c, modifier)) {
            return problem;
        }
        if (!modifier.empty()) {
            return std::string("embrace is not allowed for modifier %") + c;
        }
    }
    return std::nullopt;
}

}  // namespace ftm::config
