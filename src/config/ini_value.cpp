#include "config/ini_value.hpp"

#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "config/ini_lexer.hpp"
#include "config/php_constants.hpp"

namespace ftm::config {
namespace {

// Recursive descent over the scanner's grammar. After the first error every function returns at once; what an error
// message lists as expected is what PHP's own parser lists: up to four tokens, and nothing when there would be more.
class LineParser {
public:
    LineParser(std::string_view text, const ValueLookups& lookups) : lexer_(text), lookups_(lookups) {}

    ParsedLine parse()
    {
        while (!failed() && peek().token != Token::end) {
            statement();
        }
        return std::move(result_);
    }

private:
    void statement()
    {
        switch (peek().token) {
            case Token::section:
                section();
                break;
            case Token::label:
                label();
                break;
            case Token::offset:
                offset();
                break;
            case Token::end_of_line:
                drop();
                break;
            default:
                fail({});
        }
    }

    void section()
    {
        drop();
        std::string name = string_list(/*constants=*/false);
        if (expect(']', {"']'"})) {
            result_.statements.push_back({Statement::Kind::section, std::move(name), {}, {}});
        }
    }

    void label()
    {
        std::string name = take();
        if (!is_character('=')) {
            result_.statements.push_back({Statement::Kind::bare_name, std::move(name), {}, {}});
            return;
        }
        drop();
        std::string text = value();
        if (!failed()) {
            result_.statements.push_back({Statement::Kind::entry, std::move(name), {}, std::move(text)});
        }
    }

    void offset()
    {
        std::string name = take();
        std::string key = string_list(/*constants=*/true);
        if (!expect(']', {"']'"}) || !expect('=', {"'='"})) {
            return;
        }
        std::string text = value();
        if (!failed()) {
            result_.statements.push_back(
                {Statement::Kind::array_entry, std::move(name), std::move(key), std::move(text)});
        }
    }

    std::string value()
    {
        switch (peek().token) {
            case Token::bool_true:
            case Token::bool_false:
            case Token::null_value:
                return take();
            case Token::end_of_line:
                drop();
                return {};
            default:
                return expression();
        }
    }

    // The three binary operators bind alike, from left to right.
    std::string expression()
    {
        std::string left = operand();
        while (!failed() && (is_character('|') || is_character('&') || is_character('^'))) {
            const char op = take_character();
            left = calculate(op, left, operand());
        }
        return left;
    }

    std::string operand()
    {
        if (is_character('~') || is_character('!')) {
            const char op = take_character();
            return calculate(op, operand(), {});
        }
        if (is_character('(')) {
            drop();
            std::string inner = expression();
            expect(')', {"'^'", "'|'", "'&'", "')'"});
            return inner;
        }
        if (!starts_string()) {
            fail({});
            return {};
        }
        return string_list(/*constants=*/true);
    }

    std::string string_list(bool constants)
    {
        std::string text;
        while (!failed() && starts_string()) {
            if (is_character('"')) {
                drop();
                text += quoted();
            } else if (peek().token == Token::dollar_curly) {
                text += variable();
            } else if (peek().token == Token::constant && constants) {
                text += constant(take());
            } else {
                text += take();
            }
        }
        return text;
    }

    std::string quoted()
    {
        std::string text;
        while (!failed()) {
            if (peek().token == Token::dollar_curly) {
                text += variable();
            } else if (peek().token == Token::quoted_string) {
                text += take();
            } else {
                expect('"', {"TC_DOLLAR_CURLY", "TC_QUOTED_STRING", "'\"'"});
                break;
            }
        }
        return text;
    }

    std::string variable()
    {
        drop();
        if (peek().token != Token::varname) {
            fail({"TC_VARNAME"});
            return {};
        }
        const std::string name = take();
        std::string fallback;
        if (peek().token == Token::fallback) {
            drop();
            fallback = string_list(/*constants=*/true);
            expect('}', {"'}'"});
        } else {
            expect('}', {"TC_FALLBACK", "'}'"});
        }
        for (const ValueLookups::Lookup* lookup : {&lookups_.ini, &lookups_.environment}) {
            if (*lookup) {
                if (std::optional<std::string> found = (*lookup)(name)) {
                    return *std::move(found);
                }
            }
        }
        return fallback;
    }

    std::string constant(std::string name) const
    {
        if (lookups_.constant) {
            if (std::optional<std::string> found = lookups_.constant(name)) {
                return *std::move(found);
            }
        }
        return php_constant(name).value_or(std::move(name));
    }

    static std::string calculate(char op, const std::string& left, const std::string& right)
    {
        const int a = std::atoi(left.c_str());
        const int b = std::atoi(right.c_str());
        switch (op) {
            case '|':
                return std::to_string(a | b);
            case '&':
                return std::to_string(a & b);
            case '^':
                return std::to_string(a ^ b);
            case '~':
                return std::to_string(~a);
            default:
                return std::to_string(a == 0 ? 1 : 0);
        }
    }

    [[nodiscard]] bool starts_string()
    {
        switch (peek().token) {
            case Token::raw:
            case Token::constant:
            case Token::number:
            case Token::string:
            case Token::whitespace:
            case Token::dollar_curly:
                return true;
            default:
                return is_character('"');
        }
    }

    bool expect(char wanted, std::initializer_list<std::string_view> expected)
    {
        if (failed()) {
            return false;
        }
        if (!is_character(wanted)) {
            fail(expected);
            return false;
        }
        drop();
        return true;
    }

    void fail(std::initializer_list<std::string_view> expected)
    {
        if (failed()) {
            return;
        }
        result_.error = "syntax error, unexpected " + token_name(peek());
        std::string_view separator = ", expecting ";
        for (const std::string_view token : expected) {
            result_.error.append(separator).append(token);
            separator = " or ";
        }
        result_.error += " in Unknown on line " + std::to_string(lexer_.line());
    }

    [[nodiscard]] bool failed() const { return !result_.error.empty(); }

    const Lexeme& peek()
    {
        if (!looked_ahead_) {
            ahead_ = lexer_.next();
            looked_ahead_ = true;
        }
        return ahead_;
    }

    [[nodiscard]] bool is_character(char c) { return peek().token == Token::character && peek().character == c; }

    [[nodiscard]] std::string take()
    {
        peek();
        drop();
        return std::move(ahead_.text);
    }

    [[nodiscard]] char take_character()
    {
        peek();
        drop();
        return ahead_.character;
    }

    void drop() { looked_ahead_ = false; }

    IniLexer lexer_;
    const ValueLookups& lookups_;
    Lexeme ahead_;
    bool looked_ahead_ = false;
    ParsedLine result_;
};

}  // namespace

ParsedLine parse_ini_line(std::string_view line, const ValueLookups& lookups)
{
    const std::size_t zero = line.find('\0');
    std::string text(line.substr(0, zero));
    if (zero == std::string_view::npos) {
        text += '\n';
    }
    return LineParser(text, lookups).parse();
}

}  // namespace ftm::config
