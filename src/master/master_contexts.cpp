// process.max: engines of pools that grow ask before they start contexts, and the master counts.
#include "master/master_process.hpp"

#include <algorithm>

#include "observe/log.hpp"

namespace ftm::master {

using observe::Level;
using observe::log;

void Master::on_want_contexts(HostProcess& host, const Message& message)
{
    const auto engine = host.engines.find(static_cast<pid_t>(message.args[0]));
    const int wanted = static_cast<int>(message.args[2]);
    if (engine == host.engines.end()) { // our image is new, and has not been told yet
        if (wanted > 0) {
            host.channel.send(Message::Kind::may_start, {message.args[0], 0});
        }
        return;
    }
    engine->second.contexts = static_cast<int>(message.args[1]);
    if (wanted <= 0) {
        return;
    }
    const ProcessLimit::Answer answer = limit_.ask(running_contexts(), wanted);
    engine->second.contexts += answer.granted;
    if (answer.warn) {
        warn_of_limit();
    }
    host.channel.send(Message::Kind::may_start, {engine->first, answer.granted});
}

// An engine and the one that succeeds it count once: each pool may have both for a while.
int Master::running_contexts() const
{
    int sum = 0;
    for (const Pool& pool : pools_) {
        int most = 0;
        for (const HostProcess& host : pool.hosts) {
            for (const auto& [pid, engine] : host.engines) {
                most = std::max(most, engine.contexts);
            }
        }
        sum += most;
    }
    return sum;
}

void Master::warn_of_limit()
{
    log(Level::warning, "The maximum number of processes has been reached. Please review your configuration and "
                        "consider raising 'process.max'");
}

}  // namespace ftm::master
