#include "config/ini_stream.hpp"

#include <ini.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace ftm::config {
namespace {

constexpr std::string_view kEnter = "@enter";
constexpr std::string_view kNoValue = "@none";
constexpr std::size_t kLongestPlain = 20;  // so that "name[key]" stays below inih's 50

bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

}  // namespace

IniStream::IniStream(std::string_view text, const ValueLookups& lookups, Events events)
    : text_(text), lookups_(lookups), events_(std::move(events))
{
}

void IniStream::run() { ini_parse_stream(&IniStream::read, this, &IniStream::on_entry, this); }

char* IniStream::read(char* buffer, int size, void* self)
{
    auto* stream = static_cast<IniStream*>(self);
    while (stream->short_lines_.empty()) {
        if (!stream->refill()) {
            return nullptr;
        }
    }
    const std::string line = std::move(stream->short_lines_.front());
    stream->short_lines_.pop_front();
    const std::size_t length = std::min(line.size(), static_cast<std::size_t>(size) - 1);
    std::memcpy(buffer, line.data(), length);
    buffer[length] = '\0';
    return buffer;
}

bool IniStream::refill()
{
    if (!error_.empty()) {
        events_.syntax_error(std::exchange(error_, {}));
    }
    if (!events_.next_line(line_ + 1) || last_line_read_) {
        return false;
    }
    ++line_;
    const std::size_t end = text_.find('\n', position_);
    last_line_read_ = end == std::string_view::npos;
    const std::string_view line = text_.substr(position_, last_line_read_ ? std::string_view::npos : end - position_);
    position_ += line.size() + 1;
    if (line.empty()) {
        return true;
    }
    kept_.clear();
    ParsedLine parsed = parse_ini_line(line, lookups_);
    for (const Statement& statement : parsed.statements) {
        queue(statement);
    }
    error_ = std::move(parsed.error);
    return true;
}

void IniStream::queue(const Statement& statement)
{
    const std::string name = shorten(statement.name);
    switch (statement.kind) {
        case Statement::Kind::section:
            short_lines_.push_back("[" + name + "]\n");
            short_lines_.push_back(std::string(kEnter) + " = " + name + "\n");
            break;
        case Statement::Kind::entry:
            short_lines_.push_back(name + " = " + shorten(statement.value) + "\n");
            break;
        case Statement::Kind::array_entry:
            short_lines_.push_back(name + "[" + shorten(statement.key) + "] = " + shorten(statement.value) + "\n");
            break;
        case Statement::Kind::bare_name:
            short_lines_.push_back(name + " = " + std::string(kNoValue) + "\n");
            break;
    }
}

int IniStream::on_entry(void* self, const char* section, const char* name, const char* value)
{
    const auto* stream = static_cast<const IniStream*>(self);
    const std::string_view text(name);
    Statement statement;
    if (text == kEnter) {
        statement = {Statement::Kind::section, stream->restore(section), {}, {}};
    } else if (value == kNoValue) {
        statement = {Statement::Kind::bare_name, stream->restore(text), {}, {}};
    } else if (const std::size_t bracket = text.find('['); bracket != std::string_view::npos) {
        const std::string_view key = text.substr(bracket + 1, text.size() - bracket - 2);
        statement = {Statement::Kind::array_entry, stream->restore(text.substr(0, bracket)), stream->restore(key),
                     stream->restore(value)};
    } else {
        statement = {Statement::Kind::entry, stream->restore(text), {}, stream->restore(value)};
    }
    stream->events_.statement(statement);
    return 1;
}

std::string IniStream::shorten(const std::string& text)
{
    if (!text.empty() && text.size() <= kLongestPlain && std::all_of(text.begin(), text.end(), is_plain)) {
        return text;
    }
    kept_.push_back(text);
    return "@" + std::to_string(kept_.size() - 1);
}

std::string IniStream::restore(std::string_view text) const
{
    if (text.empty() || text[0] != '@') {
        return std::string(text);
    }
    std::size_t index = 0;
    std::from_chars(text.data() + 1, text.data() + text.size(), index);
    return kept_.at(index);
}

}  // namespace ftm::config
