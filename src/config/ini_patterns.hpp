// The patterns from which the INI scanner's rules are made; each answers how many characters it matches at the start of
// the text (0: none).
#pragma once

#include <cstddef>
#include <string_view>

namespace ftm::config::pattern {

// The match would go on beyond the end of the text. The scanner gives up on the line then.
inline constexpr std::size_t kOverrun = std::string_view::npos;

[[nodiscard]] std::size_t blanks(std::string_view text);    // spaces and tabs
[[nodiscard]] std::size_t newline(std::string_view text);   // "\n", "\r" or "\r\n"
[[nodiscard]] std::size_t constant(std::string_view text);  // an identifier
[[nodiscard]] std::size_t number(std::string_view text);    // -12, 1.5, .5, 1.
[[nodiscard]] std::size_t label(std::string_view text);     // a directive's name, with the blanks around it
[[nodiscard]] std::size_t single_quoted(std::string_view text);  // '…', not empty; kOverrun when it never closes
[[nodiscard]] std::size_t word(std::string_view text, std::string_view word);  // any case
[[nodiscard]] std::size_t blanks_newline(std::string_view text);
[[nodiscard]] std::size_t comment(std::string_view text);  // blanks, ';', the rest of the line and its newline

[[nodiscard]] bool is_label_character(char c);

// Runs of ordinary characters inside a value, a ${…:-fallback}, or [brackets]. A '$' belongs to a run together with the
// character after it unless that is '{'; in the latter two a '\' takes the next character with it; when that is the newline, the run has no end (kOverrun).
[[nodiscard]] std::size_t value_run(std::string_view text);
[[nodiscard]] std::size_t fallback_run(std::string_view text);
[[nodiscard]] std::size_t bracketed_run(std::string_view text);

}  // namespace ftm::config::pattern
