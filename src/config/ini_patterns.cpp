#include "config/ini_patterns.hpp"

#include "config/text.hpp"

namespace ftm::config::pattern {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

template <class Predicate>
std::size_t run_of(std::string_view text, Predicate predicate)
{
    std::size_t length = 0;
    while (length < text.size() && predicate(text[length])) {
        ++length;
    }
    return length;
}

bool contains(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }

// Longest match of ( [^excluded] | "\" any | "$" [^{] | "$\" any )+ . The alternatives overlap, so all are followed at
// once, as the scanner's automaton does.
std::size_t longest_run(std::string_view text, std::string_view excluded, bool backslash_takes_next)
{
    bool complete = true;  // so far a whole number of items
    bool after_dollar = false;
    bool takes_any = false;
    std::size_t longest = 0;
    for (std::size_t i = 0; i < text.size() && (complete || after_dollar || takes_any); ++i) {
        const char c = text[i];
        const bool now_complete = (complete && !contains(excluded, c)) || (after_dollar && c != '{') || takes_any;
        const bool now_after_dollar = complete && c == '$';
        const bool now_takes_any = c == '\\' && (after_dollar || (complete && backslash_takes_next));
        complete = now_complete;
        after_dollar = now_after_dollar;
        takes_any = now_takes_any;
        if (complete) {
            longest = i + 1;
        }
    }
    return longest;
}

}  // namespace

std::size_t blanks(std::string_view text)
{
    return run_of(text, [](char c) { return c == ' ' || c == '\t'; });
}

std::size_t newline(std::string_view text)
{
    if (text.substr(0, 2) == "\r\n") {
        return 2;
    }
    return !text.empty() && (text[0] == '\n' || text[0] == '\r') ? 1 : 0;
}

std::size_t constant(std::string_view text)
{
    if (text.empty() || !is_letter(text[0])) {
        return 0;
    }
    return run_of(text, [](char c) { return is_letter(c) || is_digit(c); });
}

std::size_t number(std::string_view text)
{
    const std::size_t sign = !text.empty() && text[0] == '-' ? 1 : 0;
    const std::size_t whole = run_of(text.substr(sign), is_digit);
    if (sign == 1) {
        return whole == 0 ? 0 : 1 + whole;  // only integers have a sign
    }
    if (whole < text.size() && text[whole] == '.') {
        const std::size_t fraction = run_of(text.substr(whole + 1), is_digit);
        if (whole + fraction > 0) {
            return whole + 1 + fraction;
        }
    }
    return whole;
}

bool is_label_character(char c) { return c != '\0' && !contains("=\n\r\t;&|^$~(){}!\"[]", c); }

std::size_t label(std::string_view text) { return run_of(text, is_label_character); }

std::size_t single_quoted(std::string_view text)
{
    if (text.empty() || text[0] != '\'') {
        return 0;
    }
    const std::size_t closing = text.find('\'', 1);
    if (closing == std::string_view::npos) {
        return kOverrun;
    }
    return closing == 1 ? 0 : closing + 1;
}

std::size_t word(std::string_view text, std::string_view word)
{
    return equals_ignoring_case(text.substr(0, word.size()), word) ? word.size() : 0;
}

std::size_t blanks_newline(std::string_view text)
{
    const std::size_t before = blanks(text);
    const std::size_t end = newline(text.substr(before));
    return end == 0 ? 0 : before + end;
}

std::size_t comment(std::string_view text)
{
    const std::size_t before = blanks(text);
    if (before >= text.size() || text[before] != ';') {
        return 0;
    }
    const std::size_t end = text.find_first_of("\r\n", before);
    return end == std::string_view::npos ? 0 : end + newline(text.substr(end));
}

std::size_t value_run(std::string_view text)
{
    return longest_run(text, "$= \t\n\r;&|^~()!\"'", /*backslash_takes_next=*/false);
}

std::size_t fallback_run(std::string_view text)
{
    const std::size_t length = longest_run(text, "$\n\r;\"'}\\", /*backslash_takes_next=*/true);
    return length == text.size() ? kOverrun : length;
}

std::size_t bracketed_run(std::string_view text)
{
    const std::size_t length = longest_run(text, "$\n\r;\"']\\", /*backslash_takes_next=*/true);
    return length == text.size() ? kOverrun : length;
}

}  // namespace ftm::config::pattern
