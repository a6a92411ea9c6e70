// Where a worker's script writes before, between and after its requests: to the log, line by line, as there is no client.
// The context's thread only.
#pragma once

#include <string>

#include "engine/core.hpp"
#include "engine/status_export.hpp"
#include "php/responder.hpp"

namespace ftm::engine {

class BootOutput final : public php::Responder {
public:
    explicit BootOutput(Core& core) : core_(core) {}

    bool write(ftm_stream stream, std::string_view data) noexcept override;
    bool flush() noexcept override;
    bool send_interim(std::string_view) noexcept override { return false; }
    void finish(bool script_goes_on) noexcept override;
    [[nodiscard]] bool finished() const noexcept override { return false; }
    void stage(ftm_stage) noexcept override {}
    bool script_ended(const ftm_script_end&) noexcept override { return true; }
    [[nodiscard]] unsigned interrupted(int&) noexcept override { return 0; }
    void traced(std::string_view) noexcept override {}
    void cut() noexcept override {}
    bool pool_status(ftm_pool_status& out) noexcept override { return status_.pool(core_, out); }
    bool process_status(unsigned index, ftm_process_status& out) noexcept override { return status_.process(index, out); }

private:
    void log_line(std::string_view line) const noexcept;

    Core& core_;
    StatusForScript status_;
    std::string unfinished_;  // a line without its end yet
};

}  // namespace ftm::engine
