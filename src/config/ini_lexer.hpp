// Cuts one line into the tokens of Zend's INI scanner (NORMAL mode). Rules are tried as the scanner's generator does:
// the longest match wins, among equals the first.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ftm::config {

enum class Token {
    end,
    section,
    raw,
    constant,
    number,
    string,
    whitespace,
    label,
    offset,
    dollar_curly,
    varname,
    quoted_string,
    fallback,
    bool_true,
    bool_false,
    null_value,
    end_of_line,
    character,
};

struct Lexeme {
    Token token = Token::end;
    char character = '\0';  // of Token::character
    std::string text;
};

// As the scanner's error messages name it: "TC_CONSTANT", "'='", "end of file".
[[nodiscard]] std::string token_name(const Lexeme& lexeme);

class IniLexer {
public:
    // `text` must outlive the lexer and end with a newline.
    explicit IniLexer(std::string_view text) : text_(text) {}

    [[nodiscard]] Lexeme next();
    [[nodiscard]] int line() const noexcept { return line_; }

private:
    enum class State { initial, value, offset, section_value, double_quotes, variable_name, variable_fallback };

    [[nodiscard]] Lexeme next_initial();
    [[nodiscard]] Lexeme next_value();
    [[nodiscard]] Lexeme next_bracketed();
    [[nodiscard]] Lexeme next_fallback();
    [[nodiscard]] Lexeme next_quoted();
    [[nodiscard]] Lexeme next_variable_name();

    [[nodiscard]] Lexeme take(Token token, std::size_t length);
    [[nodiscard]] Lexeme take_character(std::size_t length);
    [[nodiscard]] Lexeme give_up();
    [[nodiscard]] Lexeme end_line(std::size_t length);
    void push(State state);
    void pop();

    std::string_view text_;
    std::size_t position_ = 0;
    int line_ = 1;
    State state_ = State::initial;
    std::vector<State> outer_;
};

}  // namespace ftm::config
