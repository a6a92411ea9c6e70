#include "observe/log_stream.hpp"

#include <algorithm>
#include <utility>

namespace ftm::observe {
namespace {

constexpr std::size_t kMaxMessagePrefix = 510;  // vsnprintf into MAX_WRAPPING_PREFIX_LENGTH - 1 bytes

}  // namespace

LogStream::LogStream(Settings settings, Prefix prefix, Write write)
    : settings_(settings), prefix_(std::move(prefix)), write_(std::move(write)), quote_(settings.decorated)
{
    settings_.prefixed = settings.prefixed && settings.decorated;
}

void LogStream::set_message_prefix(std::string prefix)
{
    if (settings_.decorated) {
        prefix.resize(std::min(prefix.size(), kMaxMessagePrefix));
        message_prefix_ = std::move(prefix);
    }
}

void LogStream::set_final_suffix(std::string suffix)
{
    if (settings_.decorated) {
        final_suffix_ = std::move(suffix);
    }
}

// zlog_stream_prefix_ex
void LogStream::begin_line(bool quoted)
{
    if (!settings_.prefixed) {
        return;
    }
    const std::string begin = prefix_() + message_prefix_ + (quoted ? "\"" : "");
    if (settings_.buffered) {
        line_ = begin;
    } else {
        write_(begin);
    }
    length_ = begin.size();
}

// php-fpm has no answer to a prefix longer than log_limit; here such lines have one byte each.
std::size_t LogStream::room(std::size_t reserved, bool fresh) const
{
    const std::size_t left = settings_.limit > reserved + 1 ? settings_.limit - reserved - 1 : 0;
    return fresh ? std::max<std::size_t>(left, 1) : left;
}

void LogStream::append(std::string_view text)
{
    if (text.empty()) {
        return;
    }
    if (finished_) {
        finished_ = false;
        length_ = 0;
        line_.clear();
    }
    settings_.buffered ? append_buffered(text) : append_unbuffered(text);
}

// zlog_stream_buf_append
void LogStream::append_buffered(std::string_view text)
{
    bool fresh = length_ == 0;
    if (fresh) {
        begin_line(quote_);
    }
    for (;;) {
        const std::size_t reserved = length_ + (quote_ ? 1 : 0);
        const bool over = reserved + text.size() >= settings_.limit && !(fresh && text.size() == 1);
        const std::size_t taken = over ? std::min(room(reserved, fresh), text.size()) : text.size();
        line_ += text.substr(0, taken);
        length_ = line_.size();
        if (!over) {
            return;
        }
        if (quote_) {
            line_ += '"';
        }
        flush();
        begin_line(quote_);
        fresh = true;
        text.remove_prefix(taken);
    }
}

// zlog_stream_unbuffered_write
void LogStream::append_unbuffered(std::string_view text)
{
    for (;;) {
        const bool fresh = length_ == 0;
        if (fresh) {
            begin_line(quote_);
        }
        const std::size_t reserved = length_ + (quote_ ? 1 : 0);
        const std::size_t required = reserved + text.size();
        if (required < settings_.limit || (fresh && text.size() == 1)) {
            write_(text);
            length_ += text.size();
            return;
        }
        const std::size_t taken = std::min(room(reserved, fresh), text.size());
        write_(text.substr(0, taken));
        if (required != settings_.limit) { // php-fpm goes on without a line feed when it fits to the byte
            write_(quote_ ? "\"\n" : "\n");
        }
        length_ = 0;
        text.remove_prefix(taken);
    }
}

void LogStream::flush()
{
    line_ += '\n';
    write_(line_);
    line_.clear();
    length_ = 0;
}

void LogStream::finish()
{
    if (finished_ || length_ == 0) {
        return;
    }
    settings_.buffered ? finish_buffered() : finish_unbuffered();
    finished_ = true;
}

// zlog_stream_finish_buffer_suffix
void LogStream::finish_buffered()
{
    if (quote_) {
        line_ += '"';
    }
    if (!final_suffix_.empty() && line_.size() + final_suffix_.size() >= settings_.limit) {
        const std::size_t over = std::min(line_.size() + final_suffix_.size() + 1 - settings_.limit, final_suffix_.size());
        line_ += final_suffix_.substr(0, final_suffix_.size() - over) + "\n";
        flush();
        begin_line(false);
        line_ += final_suffix_.substr(final_suffix_.size() - over) + "\n";
    } else {
        line_ += final_suffix_;
    }
    flush();
}

// zlog_stream_finish_direct_suffix
void LogStream::finish_unbuffered()
{
    if (quote_) {
        write_("\"");
        ++length_;
    }
    if (!final_suffix_.empty() && length_ + final_suffix_.size() >= settings_.limit) {
        const std::size_t over = std::min(length_ + final_suffix_.size() + 1 - settings_.limit, final_suffix_.size());
        write_(final_suffix_.substr(0, final_suffix_.size() - over) + "\n");
        begin_line(false);
        write_(final_suffix_.substr(final_suffix_.size() - over) + "\n");
        return;
    }
    write_(final_suffix_ + "\n");
}

}  // namespace ftm::observe
