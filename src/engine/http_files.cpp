#include "engine/http_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/words.hpp"
#include "http/target.hpp"
#include "http/text.hpp"

namespace ftm::engine {
namespace {

enum class Found { nothing, file, directory };

Found look_at(const std::string& path)
{
    struct stat st{};
    if (::stat(path.c_str(), &st) != 0) {
        return Found::nothing;
    }
    return S_ISREG(st.st_mode) ? Found::file : S_ISDIR(st.st_mode) ? Found::directory : Found::nothing;
}

bool ends_like_script(const DocumentRoot& root, std::string_view name)
{
    const auto ends = [&](std::string_view extension) {
        return name.size() > extension.size() &&
               http::equal_ignoring_case(name.substr(name.size() - extension.size()), extension);
    };
    return root.extensions.empty() ? ends(".php") : std::any_of(root.extensions.begin(), root.extensions.end(), ends);
}

std::string_view next_part(std::string_view& rest)
{
    rest.remove_prefix(1); // a slash
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    return part;
}

// .git, .env, .htaccess …; but not .well-known (RFC 8615).
bool is_hidden(std::string_view path)
{
    while (!path.empty()) {
        const std::string_view part = next_part(path);
        if (part.starts_with('.') && part != ".well-known") {
            return true;
        }
    }
    return false;
}

constexpr std::array<std::string_view, 6> kNever = {".php", ".phtml", ".phar", ".phps", ".inc", ".pht"};

// Source code, also as editors and people leave it behind: page.php~, page.php.bak, page.inc
bool may_be_source(std::string_view path)
{
    std::string name(path.substr(path.rfind('/') + 1));
    std::transform(name.begin(), name.end(), name.begin(), http::lower);
    return std::any_of(kNever.begin(), kNever.end(), [&](std::string_view never) {
        const std::size_t at = name.find(never);
        return at != std::string::npos && (at + never.size() == name.size() || !http::is_alphanumeric(name[at + never.size()]) ||
                                           http::is_digit(name[at + never.size()]));
    });
}

HttpAnswer script(const DocumentRoot& root, std::string_view name, std::string_view path_info = {})
{
    HttpAnswer answer;
    answer.kind = HttpAnswer::Kind::script;
    answer.status = 200;
    answer.script_name = name;
    answer.script_file = root.path + answer.script_name;
    answer.path_info = path_info;
    return answer;
}

HttpAnswer file(const DocumentRoot& root, std::string_view path)
{
    HttpAnswer answer;
    answer.kind = HttpAnswer::Kind::file;
    answer.status = 200;
    answer.script_name = path;
    answer.script_file = root.path + answer.script_name;
    answer.file = answer.script_file;
    return answer;
}

HttpAnswer error(const DocumentRoot& root, std::string_view path, int status)
{
    HttpAnswer answer = file(root, path);
    answer.kind = HttpAnswer::Kind::error;
    answer.status = status;
    return answer;
}

// /dir/page.php/more: the first part that ends like a script and is a file.
bool find_script(const DocumentRoot& root, std::string_view path, HttpAnswer& answer)
{
    for (std::string_view rest = path; !rest.empty();) {
        if (!ends_like_script(root, next_part(rest))) {
            continue;
        }
        const std::string_view name = path.substr(0, path.size() - rest.size());
        if (look_at(root.path + std::string(name)) == Found::file) {
            answer = script(root, name, rest);
            return true;
        }
    }
    return false;
}

bool find_index(const DocumentRoot& root, std::string_view directory, HttpAnswer& answer)
{
    for (const std::string& name : root.index) {
        const std::string path = std::string(directory) + name;
        const bool is_script = ends_like_script(root, name);
        if ((is_script || !may_be_source(path)) && look_at(root.path + path) == Found::file) {
            answer = is_script ? script(root, path) : file(root, path);
            return true;
        }
    }
    return false;
}

}  // namespace

std::vector<std::string> index_names(std::string_view directive)
{
    const std::vector<std::string_view> given = words(directive, " \t");
    std::vector<std::string> names(given.begin(), given.end());
    if (names.empty()) {
        names.emplace_back("index.php");
    }
    return names;
}

HttpAnswer find_answer(const DocumentRoot& root, std::string_view path, std::string_view query)
{
    HttpAnswer answer;
    if (!is_hidden(path)) {
        if (find_script(root, path, answer)) {
            return answer;
        }
        const Found found = look_at(root.path + std::string(path));
        if (found == Found::file && !path.ends_with('/') && !may_be_source(path) && !ends_like_script(root, path)) {
            return file(root, path);
        }
        if (found == Found::directory && !path.ends_with('/')) {
            answer = error(root, path, 301);
            answer.kind = HttpAnswer::Kind::redirect;
            answer.file = http::encode_path(path) + "/" + (query.empty() ? "" : "?") + std::string(query);
            return answer;
        }
        if (found == Found::directory && find_index(root, path, answer)) {
            return answer;
        }
    }
    const std::string front = "/" + root.index.front();
    if (ends_like_script(root, front) && look_at(root.path + front) == Found::file) {
        return script(root, front);
    }
    return error(root, path, 404);
}

std::string_view content_type_of(std::string_view file) noexcept
{
    using Row = std::pair<std::string_view, std::string_view>;
    static constexpr std::array kTypes = {
        Row{"avif", "image/avif"}, Row{"css", "text/css"}, Row{"csv", "text/csv"}, Row{"gif", "image/gif"},
        Row{"htm", "text/html"}, Row{"html", "text/html"}, Row{"ico", "image/x-icon"}, Row{"jpeg", "image/jpeg"},
        Row{"jpg", "image/jpeg"}, Row{"js", "application/javascript"}, Row{"json", "application/json"},
        Row{"map", "application/json"}, Row{"mjs", "application/javascript"}, Row{"mp4", "video/mp4"},
        Row{"otf", "font/otf"}, Row{"pdf", "application/pdf"}, Row{"png", "image/png"}, Row{"svg", "image/svg+xml"},
        Row{"ttf", "font/ttf"}, Row{"txt", "text/plain"}, Row{"wasm", "application/wasm"},
        Row{"webmanifest", "application/manifest+json"}, Row{"webp", "image/webp"}, Row{"woff", "font/woff"},
        Row{"woff2", "font/woff2"}, Row{"xml", "text/xml"}, Row{"zip", "application/zip"}};
    const std::size_t dot = file.rfind('.');
    const std::string_view extension = dot == std::string_view::npos ? std::string_view() : file.substr(dot + 1);
    for (const auto& [name, type] : kTypes) {
        if (http::equal_ignoring_case(extension, name)) {
            return type;
        }
    }
    return "application/octet-stream";
}

}  // namespace ftm::engine
