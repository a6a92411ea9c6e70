// The standby thread's part in a crash: answer, log, send the contexts away.
#include "engine/standby.hpp"

#include <cstdlib>
#include <cstring>
#include <execinfo.h>
#include <unistd.h>

#include "observe/log.hpp"

namespace ftm::engine {

// RULES 16: no further request starts here. The contexts leave, and this thread alone watches the ready set once they
// have: before, it would take the event that tells a waiter to go.
void Standby::become_wounded()
{
    if (!wounded_) {
        wounded_ = true;
        stop_accepting(); // who comes now waits for the successor in the backlog, which outlives this engine
        core_.stop_idle();
        core_.ready.notify();
    }
    for (const auto& context : contexts_) {
        if (context->crash_report().signal.load() != 0) {
            care_for_crashed(*context);
        }
    }
}

void Standby::care_for_crashed(Context& context)
{
    if (crash_seen_[context.number()]) {
        return;
    }
    crash_seen_[context.number()] = true;
    CrashReport& report = context.crash_report();
    core_.board.counters().crashes.fetch_add(1);

    observe::Slot* slot = context.slot();
    std::string script = slot != nullptr ? observe::get_text(*slot).script : "";
    if (slot != nullptr) {
        slot->state.store(static_cast<std::uint32_t>(observe::SlotState::crashed));
    }
    observe::log(observe::Level::warning, "[pool %s] child %d, script '%s' crashed on signal %d (%s) in context %u",
                 core_.settings.pool->name.c_str(), ::getpid(), script.c_str(), report.signal.load(),
                 ::strsignal(report.signal.load()), context.number());

    answer_for(context);
    // Unwinding happens in the wounded thread; it may hang, so give it a little and take what is there.
    for (int i = 0; i < 20 && report.frame_count.load() == 0; ++i) {
        ::usleep(1000);
    }
    if (const int frames = report.frame_count.load(); frames > 0) {
        char** symbols = ::backtrace_symbols(report.frames, frames);
        for (int i = 0; symbols != nullptr && i < frames; ++i) {
            observe::log(observe::Level::warning, "[pool %s] child %d backtrace #%d %s",
                         core_.settings.pool->name.c_str(), ::getpid(), i, symbols[i]);
        }
        std::free(symbols);
    }
}

// The crashed request's client: 500 if nothing was sent yet, else a closed connection, unless others share it. A front that
// was told of the request's end and keeps its connections may already send the next one, so such a connection stays.
void Standby::answer_for(Context& context)
{
    Session* session = context.responder().abandoned_session();
    if (session == nullptr) {
        return;
    }
    OpenRequest& request = *context.responder().abandoned_request();
    const bool shared = session->in_flight.load() > 1;
    bool stays = shared;
    const std::uint32_t holder = context.number() + 1;
    if (session->output.holder() == holder) { // in the middle of a burst
        session->output.set_gone();
        session->output.seize();
        session->output.drain(session->fd.get()); // nothing is left to send: only lets go of the right
    } else if (!context.responder().anything_sent()) {
        stays = shared || (context.responder().connection_stays() && !session->is_http);
        reader_.send_error(*session, request, 500, "Internal Server Error");
    } else if (shared) {
        reader_.send_end(*session, request); // a connection that ends would say more, but neighbours need it
    }
    reader_.request_ended(*session, request, stays);
}

}  // namespace ftm::engine
