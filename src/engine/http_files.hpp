// What a path is answered with: nginx's "try_files $uri $uri/ /index.php" with scripts split from their PATH_INFO, and the
// rules that keep what is no page from being shown. Looks into the file system.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/http_connection.hpp"

namespace ftm::engine {

struct DocumentRoot {
    std::string path;                         // without a slash at its end
    std::vector<std::string> index;           // the first is the front controller
    std::vector<std::string> extensions;      // of scripts; empty: ".php"
};

// The words of http.index.
[[nodiscard]] std::vector<std::string> index_names(std::string_view directive);

// `path` as http::Target has it.
[[nodiscard]] HttpAnswer find_answer(const DocumentRoot& root, std::string_view path, std::string_view query);

// By the file's name, as nginx's mime.types has it for what pages are made of.
[[nodiscard]] std::string_view content_type_of(std::string_view file) noexcept;

}  // namespace ftm::engine
