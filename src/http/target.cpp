#include "http/target.hpp"

#include <algorithm>

#include "http/text.hpp"

namespace ftm::http {
namespace {

bool decode(std::string_view text, std::string& out)
{
    out.reserve(text.size() + 1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = static_cast<char>(high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            return false;
        }
        out.push_back(c);
    }
    return true;
}

}  // namespace

bool parse_target(std::string_view target, Target& out)
{
    const std::size_t mark = std::min(target.find('?'), target.size());
    out.query = target.substr(std::min(mark + 1, target.size()));
    out.path.clear();
    std::string decoded;
    if (!decode(target.substr(0, mark), decoded) || !decoded.starts_with('/')) {
        return false;
    }
    std::string_view rest = decoded;
    while (!rest.empty()) {
        rest.remove_prefix(1); // a slash
        const std::string_view part = rest.substr(0, rest.find('/'));
        rest.remove_prefix(part.size());
        const bool last = rest.empty();
        if (part == "..") {
            const std::size_t slash = out.path.rfind('/');
            if (slash == std::string::npos) {
                return false;
            }
            out.path.resize(slash);
        } else if (!part.empty() && part != ".") {
            out.path.append("/").append(part);
            continue;
        }
        if (last) { // "/a/", "/a/." and "/a/b/.." are directories
            out.path.push_back('/');
        }
    }
    return true;
}

std::string encode_path(std::string_view path)
{
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : path) {
        if (is_alphanumeric(c) || std::string_view("/-._~!$&'()*+,;=:@").find(c) != std::string_view::npos) {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
            out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
        }
    }
    return out;
}

}  // namespace ftm::http
