// A line of the log that grows piece by piece and is wrapped at log_limit: php-fpm's zlog_stream, bug for bug, for what
// workers print (zlog.c, fpm_stdio.c). Value type without I/O: what is to be written goes to a function. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace ftm::observe {

class LogStream {
public:
    struct Settings {
        std::size_t limit = 1024;  // log_limit: bytes of a physical line, newline included
        bool buffered = true;      // log_buffering: write a line in one piece
        bool prefixed = true;      // the level is in the log: time and level are shown
        bool decorated = true;     // decorate_workers_output
    };
    using Write = std::function<void(std::string_view)>;
    using Prefix = std::function<std::string()>;  // time and level

    LogStream(Settings settings, Prefix prefix, Write write);

    // In front of every physical line, after time and level. Not when undecorated.
    void set_message_prefix(std::string prefix);
    // Behind the last physical line. Not when undecorated.
    void set_final_suffix(std::string suffix);

    void append(std::string_view text);
    // Ends the line. Nothing happens if nothing was appended since the last end.
    void finish();

private:
    void begin_line(bool quoted);
    void append_buffered(std::string_view text);
    void append_unbuffered(std::string_view text);
    void flush();
    void finish_buffered();
    void finish_unbuffered();
    // How much of a text with `reserved` bytes around it fits into a line; fresh: that has nothing of it yet.
    [[nodiscard]] std::size_t room(std::size_t reserved, bool fresh) const;

    Settings settings_;
    Prefix prefix_;
    Write write_;
    std::string message_prefix_;
    std::string final_suffix_;
    std::string line_;           // buffered: the line so far
    std::size_t length_ = 0;     // of the line so far, written or not
    bool quote_;
    bool finished_ = false;
};

}  // namespace ftm::observe
