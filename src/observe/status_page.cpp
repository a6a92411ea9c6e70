#include "observe/status_page.hpp"

#include <algorithm>
#include <ctime>

namespace ftm::observe {
namespace {

void field(std::string& out, std::string_view name, const std::string& value)
{
    std::string label = std::string(name) + ":";
    label.resize(std::max<std::size_t>(label.size(), 22), ' ');
    out += label + value + "\n";
}

}  // namespace

std::string status_text(Scoreboard& board, std::string_view process_manager, std::size_t queued)
{
    const ScoreboardHeader& header = board.header();
    const PoolCounters& counters = board.counters();
    const PoolFigures figures = board.figures();
    char start[64];
    tm local{};
    const std::time_t started = header.start_time;
    ::localtime_r(&started, &local);
    std::strftime(start, sizeof start, "%d/%b/%Y:%H:%M:%S %z", &local);

    std::string out;
    field(out, "pool", header.pool);
    field(out, "process manager", std::string(process_manager));
    field(out, "start time", start);
    field(out, "start since", std::to_string(std::time(nullptr) - started));
    field(out, "accepted conn", std::to_string(counters.accepted.load()));
    field(out, "listen queue", std::to_string(queued));
    field(out, "max listen queue", std::to_string(std::max<std::uint64_t>(counters.max_queue_length.load(), queued)));
    field(out, "listen queue len", "0");
    field(out, "idle processes", std::to_string(figures.idle));
    field(out, "active processes", std::to_string(figures.active));
    field(out, "total processes", std::to_string(figures.total()));
    field(out, "max active processes", std::to_string(std::max<std::uint64_t>(counters.max_active.load(), figures.active)));
    field(out, "max children reached", std::to_string(counters.max_children_reached.load()));
    field(out, "slow requests", std::to_string(counters.slow_requests.load()));
    field(out, "memory peak", std::to_string(counters.memory_peak.load()));
    return out;
}

}  // namespace ftm::observe
