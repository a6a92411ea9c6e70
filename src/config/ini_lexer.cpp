#include "config/ini_lexer.hpp"

namespace ftm::config {

std::string token_name(const Lexeme& lexeme)
{
    switch (lexeme.token) {
        case Token::end:
            return "end of file";
        case Token::section:
            return "TC_SECTION";
        case Token::raw:
            return "TC_RAW";
        case Token::constant:
            return "TC_CONSTANT";
        case Token::number:
            return "TC_NUMBER";
        case Token::string:
            return "TC_STRING";
        case Token::whitespace:
            return "TC_WHITESPACE";
        case Token::label:
            return "TC_LABEL";
        case Token::offset:
            return "TC_OFFSET";
        case Token::dollar_curly:
            return "TC_DOLLAR_CURLY";
        case Token::varname:
            return "TC_VARNAME";
        case Token::quoted_string:
            return "TC_QUOTED_STRING";
        case Token::fallback:
            return "TC_FALLBACK";
        case Token::bool_true:
            return "BOOL_TRUE";
        case Token::bool_false:
            return "BOOL_FALSE";
        case Token::null_value:
            return "NULL_NULL";
        case Token::end_of_line:
            return "END_OF_LINE";
        case Token::character:
            break;
    }
    return std::string("'") + lexeme.character + "'";
}

Lexeme IniLexer::next()
{
    if (position_ >= text_.size()) {
        if (state_ == State::value) {
            state_ = State::initial;
            return {Token::end_of_line, '\0', {}};
        }
        return {};
    }
    if (position_ == 0 && text_.size() > 3 && text_.substr(0, 3) == "\xef\xbb\xbf") {
        position_ = 3;
        return next();
    }
    switch (state_) {
        case State::initial:
            return next_initial();
        case State::value:
            return next_value();
        case State::offset:
        case State::section_value:
            return next_bracketed();
        case State::variable_fallback:
            return next_fallback();
        case State::double_quotes:
            return next_quoted();
        case State::variable_name:
            return next_variable_name();
    }
    return {};
}

Lexeme IniLexer::take(Token token, std::size_t length)
{
    const std::string_view text = text_.substr(position_, length);
    position_ += length;
    switch (token) {
        case Token::bool_true:
            return {token, '\0', "1"};
        case Token::bool_false:
        case Token::null_value:
            return {token, '\0', {}};
        default:
            return {token, '\0', std::string(text)};
    }
}

Lexeme IniLexer::take_character(std::size_t length)
{
    const char c = text_[position_];
    position_ += length;
    return {Token::character, c, {}};
}

Lexeme IniLexer::give_up()
{
    position_ = text_.size();
    return {};
}

Lexeme IniLexer::end_line(std::size_t length)
{
    position_ += length;
    ++line_;
    return {Token::end_of_line, '\0', {}};
}

void IniLexer::push(State state)
{
    outer_.push_back(state_);
    state_ = state;
}

void IniLexer::pop()
{
    if (outer_.empty()) {
        state_ = State::initial;
        return;
    }
    state_ = outer_.back();
    outer_.pop_back();
}

}  // namespace ftm::config
