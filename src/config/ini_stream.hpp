// The lines of a configuration file on their way through inih. inih decides what is a section, a name and a value, but
// it cuts lines at 200 bytes and names at 50, and takes ':' and '#' for syntax. So each line goes through Zend's rules
// first (ini_value.hpp), and inih is handed a short form of every statement: text that inih would read differently is
// replaced by "@N" and kept here. A section is followed by an entry "@enter", as inih does not report empty sections.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/ini_value.hpp"

namespace ftm::config {

class IniStream {
public:
    struct Events {
        // Before each line, with its number from 1. False stops the stream.
        std::function<bool(int line)> next_line;
        std::function<void(const Statement& statement)> statement;
        std::function<void(const std::string& error)> syntax_error;
    };

    IniStream(std::string_view text, const ValueLookups& lookups, Events events);

    // Runs the whole text through inih. May be called again from within an event, on another stream.
    void run();

private:
    static char* read(char* buffer, int size, void* self);
    static int on_entry(void* self, const char* section, const char* name, const char* value);

    [[nodiscard]] bool refill();
    void queue(const Statement& statement);
    [[nodiscard]] std::string shorten(const std::string& text);
    [[nodiscard]] std::string restore(std::string_view text) const;

    std::string_view text_;
    const ValueLookups& lookups_;
    Events events_;
    std::size_t position_ = 0;
    int line_ = 0;
    bool last_line_read_ = false;
    std::deque<std::string> short_lines_;  // for inih, from the current line
    std::vector<std::string> kept_;        // what "@N" stands for, in the current line
    std::string error_;                    // of the current line, reported after its statements
};

}  // namespace ftm::config
