#include "master/worker_output.hpp"

#include <utility>

#include "observe/log.hpp"

namespace ftm::master {

WorkerOutput::WorkerOutput(std::string pool, int pid, observe::LogStream stream)
    : pool_(std::move(pool)), pid_(pid), stream_(std::move(stream))
{
    switch_to(From::err);
}

void WorkerOutput::switch_to(From from)
{
    from_ = from;
    stream_.set_message_prefix("[pool " + pool_ + "] child " + std::to_string(pid_) + " said into " +
                               (from == From::out ? "stdout" : "stderr") + ": ");
}

void WorkerOutput::feed(From from, std::string_view bytes)
{
    if (from != from_) {
        stream_.append(pending_);
        pending_.clear();
        stream_.finish();
        switch_to(from);
    }
    std::string joined;
    if (!pending_.empty()) {
        joined = std::move(pending_) + std::string(bytes);
        pending_.clear();
        bytes = joined;
    }
    std::size_t start = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::string_view rest = bytes.substr(at);
        const bool mark = rest.starts_with(observe::kEndOfRequest);
        if (rest[0] == '\n' || mark) {
            stream_.append(bytes.substr(start, at - start));
            stream_.finish();
            at += mark ? observe::kEndOfRequest.size() : 1;
            start = at;
        } else if (rest[0] == '\0' && observe::kEndOfRequest.starts_with(rest)) {
            stream_.append(bytes.substr(start, at - start));
            pending_ = rest;
            return;
        } else {
            ++at;
        }
    }
    stream_.append(bytes.substr(start));
}

void WorkerOutput::message(std::string_view text)
{
    stream_.append(pending_);
    pending_.clear();
    stream_.finish();
    feed(From::err, text);
    stream_.finish();
}

// php-fpm leaves a line that is not ended to the next child of the log, or to nobody; here it is logged.
void WorkerOutput::close(bool said_nothing_before)
{
    stream_.append(pending_);
    pending_.clear();
    if (said_nothing_before) {
        stream_.set_final_suffix(", pipe is closed");
    }
    stream_.finish();
}

}  // namespace ftm::master
