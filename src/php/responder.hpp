// What a running request needs from the connection side. Implemented by the engine; called on the context's thread,
// from libphp's callbacks, so nothing here may throw and nothing may call back into PHP.
#pragma once

#include <cstddef>
#include <string_view>

#include "ftm_host.h"

namespace ftm::php {

class Responder {
public:
    // False: the client is gone. After finish() data is dropped and the answer is true.
    virtual bool write(ftm_stream stream, std::string_view data) noexcept = 0;
    virtual bool flush() noexcept = 0;
    // A CGI header block with a 1xx status, before the first byte of the answer. False: not sent, nor will it be.
    virtual bool send_interim(std::string_view block) noexcept = 0;
    // END_REQUEST; the first call wins. script_goes_on: the connection is free for its next request already.
    virtual void finish(bool script_goes_on) noexcept = 0;
    [[nodiscard]] virtual bool finished() const noexcept = 0;
    virtual void stage(ftm_stage stage) noexcept = 0;
    // False: the request's line of the access log was cut.
    virtual bool script_ended(const ftm_script_end& end) noexcept = 0;
    // What the script was interrupted for: FTM_INTERRUPT_… bits; for a trace, `depth` is the most frames it may have.
    [[nodiscard]] virtual unsigned interrupted(int& depth) noexcept = 0;
    virtual void traced(std::string_view backtrace) noexcept = 0;
    // Ends the request for the client without an answer. What is written from here on is dropped.
    virtual void cut() noexcept = 0;
    // fpm_get_status()
    virtual bool pool_status(ftm_pool_status& out) noexcept = 0;
    virtual bool process_status(unsigned index, ftm_process_status& out) noexcept = 0;

protected:
    ~Responder() = default;
};

}  // namespace ftm::php
