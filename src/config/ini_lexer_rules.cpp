// The rules of each state of the lexer (Zend/zend_ini_scanner.l).
#include <array>

#include "config/ini_lexer.hpp"
#include "config/ini_patterns.hpp"

namespace ftm::config {
namespace {

std::string_view trim(std::string_view text, std::string_view trailing)
{
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
        return {};
    }
    text.remove_prefix(first);
    const std::size_t last = text.find_last_not_of(trailing);
    return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

constexpr std::string_view kTrailingBlanks = " \t\r\n";

struct Boolean {
    Token token = Token::end;
    std::size_t length = 0;  // with the blanks behind it
};

Boolean match_boolean(std::string_view text)
{
    struct Word {
        std::string_view word;
        Token token;
    };
    constexpr std::array<Word, 8> kWords{{{"true", Token::bool_true},
                                          {"on", Token::bool_true},
                                          {"yes", Token::bool_true},
                                          {"false", Token::bool_false},
                                          {"off", Token::bool_false},
                                          {"none", Token::bool_false},
                                          {"no", Token::bool_false},
                                          {"null", Token::null_value}}};
    for (const Word& candidate : kWords) {
        if (const std::size_t length = pattern::word(text, candidate.word); length > 0) {
            return {candidate.token, length + pattern::blanks(text.substr(length))};
        }
    }
    return {};
}

// In double quotes: \" \\ and \$ lose the backslash, every other backslash stays.
std::string unescape(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            ++i;
            if (text[i] != '"' && text[i] != '\\' && text[i] != '$') {
                out += '\\';
            }
        }
        out += text[i];
    }
    return out;
}

}  // namespace

Lexeme IniLexer::next_initial()
{
    const std::string_view rest = text_.substr(position_);
    if (rest[0] == '[') {
        position_ += 1;
        state_ = State::section_value;
        return {Token::section, '\0', {}};
    }
    if (const std::size_t length = pattern::comment(rest); length > 0) {
        return end_line(length);
    }
    if (const std::size_t length = pattern::blanks_newline(rest); length > 0) {
        return end_line(length);
    }
    if (const std::size_t blank = pattern::blanks(rest); blank < rest.size() && rest[blank] == '=') {
        position_ += blank + 1;
        position_ += pattern::blanks(text_.substr(position_));
        state_ = State::value;
        return {Token::character, '=', {}};
    }
    const std::size_t label = pattern::label(rest);
    if (label > 0 && label < rest.size() && rest[label] == '[') {
        position_ += label + 1;
        position_ += pattern::blanks(text_.substr(position_));
        state_ = State::offset;
        return {Token::offset, '\0', std::string(trim(rest.substr(0, label), kTrailingBlanks))};
    }
    if (const Boolean boolean = match_boolean(rest); boolean.length > 0 && boolean.length >= label) {
        return take(boolean.token, boolean.length);
    }
    if (const std::size_t blank = pattern::blanks(rest); blank > label) {
        position_ += blank;
        return next();
    }
    if (label > 0) {
        position_ += label;
        return {Token::label, '\0', std::string(trim(rest.substr(0, label), kTrailingBlanks))};
    }
    if (rest[0] == ';') {  // a comment that a NUL character cut off
        return give_up();
    }
    return take_character(1);
}

Lexeme IniLexer::next_value()
{
    const std::string_view rest = text_.substr(position_);
    // End of line and operators come first: nothing longer can start with their characters.
    if (const std::size_t length = pattern::comment(rest); length > 0) {
        state_ = State::initial;
        return end_line(length);
    }
    if (const std::size_t length = pattern::blanks_newline(rest); length > 0) {
        state_ = State::initial;
        return end_line(length);
    }
    if (const std::size_t length = pattern::single_quoted(rest); length > 0) {
        if (length == pattern::kOverrun) {
            return give_up();
        }
        position_ += length;
        return {Token::raw, '\0', std::string(rest.substr(1, length - 2))};
    }
    if (rest.substr(0, 2) == "${") {
        push(State::variable_name);
        return take(Token::dollar_curly, 2);
    }
    if (const std::size_t blank = pattern::blanks(rest); blank > 0 || rest[0] == '"') {
        if (blank < rest.size() && rest[blank] == '"') {
            push(State::double_quotes);
            position_ += blank;
            return take_character(1);
        }
        return take(Token::whitespace, blank);
    }
    if (std::string_view("&|^~()!").find(rest[0]) != std::string_view::npos) {
        return take_character(1 + pattern::blanks(rest.substr(1)));
    }
    if (rest[0] == '=') {  // not consumed: the parser must stumble over it
        state_ = State::initial;
        return {Token::end_of_line, '\0', {}};
    }
    const std::size_t run = pattern::value_run(rest);
    if (const Boolean boolean = match_boolean(rest); boolean.length > 0 && boolean.length >= run) {
        return take(boolean.token, boolean.length);
    }
    if (const std::size_t length = pattern::constant(rest); length > 0 && length >= run) {
        return take(Token::constant, length);
    }
    if (const std::size_t length = pattern::number(rest); length > 0 && length >= run) {
        return take(Token::number, length);
    }
    if (run > 0) {
        return take(Token::string, run);
    }
    ++position_;
    state_ = State::initial;
    return {Token::end_of_line, '\0', {}};
}

Lexeme IniLexer::next_bracketed()
{
    const std::string_view rest = text_.substr(position_);
    if (const std::size_t length = pattern::single_quoted(rest); length > 0) {
        if (length == pattern::kOverrun) {
            return give_up();
        }
        position_ += length;
        return {Token::raw, '\0', std::string(rest.substr(1, length - 2))};
    }
    if (rest.substr(0, 2) == "${") {
        push(State::variable_name);
        return take(Token::dollar_curly, 2);
    }
    const std::size_t run = pattern::bracketed_run(rest);
    if (run == pattern::kOverrun) {
        return give_up();
    }
    const std::size_t blank = pattern::blanks(rest);
    const char after_blank = blank < rest.size() ? rest[blank] : '\0';
    if (state_ == State::offset && after_blank == ']' && blank + 1 > run) {
        position_ += blank + 1;
        state_ = State::initial;
        return {Token::character, ']', {}};
    }
    if (state_ == State::section_value && rest[0] == ']') {
        const std::size_t after = 1 + pattern::blanks(rest.substr(1));
        position_ += after + pattern::newline(rest.substr(after));
        ++line_;
        state_ = State::initial;
        return {Token::character, ']', {}};
    }
    if (after_blank == '"' && blank + 1 > run) {
        push(State::double_quotes);
        position_ += blank;
        return take_character(1);
    }
    if (const std::size_t length = pattern::constant(rest); length > 0 && length >= run) {
        return take(Token::constant, length);
    }
    if (const std::size_t length = pattern::number(rest); length > 0 && length >= run) {
        return take(Token::number, length);
    }
    if (run > 0) {
        return take(Token::string, run);
    }
    position_ += 1;
    return {};
}

Lexeme IniLexer::next_fallback()
{
    const std::string_view rest = text_.substr(position_);
    if (rest.substr(0, 2) == "${") {
        push(State::variable_name);
        return take(Token::dollar_curly, 2);
    }
    if (rest[0] == '}') {
        pop();
        return take_character(1);
    }
    const std::size_t run = pattern::fallback_run(rest);
    if (run == pattern::kOverrun) {
        return give_up();
    }
    const std::size_t blank = pattern::blanks(rest);
    if (blank < rest.size() && rest[blank] == '"' && blank + 1 > run) {
        push(State::double_quotes);
        position_ += blank;
        return take_character(1);
    }
    if (const std::size_t length = pattern::constant(rest); length > 0 && length >= run) {
        return take(Token::constant, length);
    }
    if (const std::size_t length = pattern::number(rest); length > 0 && length >= run) {
        return take(Token::number, length);
    }
    if (run > 0) {
        return take(Token::string, run);
    }
    position_ += 1;
    return {};
}

Lexeme IniLexer::next_quoted()
{
    const std::string_view rest = text_.substr(position_);
    if (rest[0] == '"') {
        pop();
        return take_character(1 + pattern::blanks(rest.substr(1)));
    }
    if (rest.substr(0, 2) == "${") {
        push(State::variable_name);
        return take(Token::dollar_curly, 2);
    }
    std::size_t end = 0;
    while (end < rest.size() && rest[end] != '"' && rest.substr(end, 2) != "${") {
        if (rest[end] == '\\' && end + 1 < rest.size()) {
            // "C:\path\" at the end of a line: a backslash and the closing quote.
            const char after = end + 2 < rest.size() ? rest[end + 2] : '\n';
            if (rest[end + 1] == '"' && (after == '\n' || after == '\r')) {
                end += 1;
                break;
            }
            end += 1;
        }
        end += 1;
    }
    Lexeme lexeme{Token::quoted_string, '\0', unescape(rest.substr(0, end))};
    for (std::size_t i = 0; i < end; ++i) {
        if (rest[i] == '\n' || (rest[i] == '\r' && (i + 1 >= rest.size() || rest[i + 1] != '\n'))) {
            ++line_;
        }
    }
    position_ += end;
    return lexeme;
}

Lexeme IniLexer::next_variable_name()
{
    const std::string_view rest = text_.substr(position_);
    const auto fallback = [this](std::size_t length) {
        pop();
        push(State::variable_fallback);
        return take(Token::fallback, length);
    };
    if (rest.substr(0, 2) == ":-") {
        return fallback(2);
    }
    if (rest[0] == '}') {
        pop();
        return take_character(1);
    }
    if (!pattern::is_label_character(rest[0])) {
        position_ += 1;
        return {};
    }
    if (rest.substr(1, 2) == ":-") {  // php-fpm drops a name of one character here, and calls it a syntax error
        return fallback(2);
    }
    std::size_t length = 1;
    while (length < rest.size() && rest.substr(length, 2) != ":-" && pattern::is_label_character(rest[length])) {
        ++length;
    }
    position_ += length;
    return {Token::varname, '\0', std::string(trim(rest.substr(0, length), kTrailingBlanks))};
}

}  // namespace ftm::config
