// What php-fpm's status page does to URIs before it shows them. Values; any thread.
#pragma once

#include <string>
#include <string_view>

namespace ftm::observe {

// php_escape_html_entities_ex(…, ENT_DISALLOWED | ENT_HTML_DOC_XML1 | ENT_COMPAT) for UTF-8: entities for & < > ",
// U+FFFD for what XML 1.0 forbids, and nothing at all if the text is no UTF-8.
[[nodiscard]] std::string escape_xml(std::string_view text);

// php_json_encode_string(…, PHP_JSON_INVALID_UTF8_IGNORE) without the quotes around it.
[[nodiscard]] std::string escape_json(std::string_view text);

}  // namespace ftm::observe
