#include "host/startup_output.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "observe/log.hpp"

namespace ftm::host {
namespace {

constexpr std::size_t kMost = 64u << 10;  // more than that no datagram takes

}  // namespace

StartupOutput::StartupOutput(bool capture)
{
    if (!capture) {
        return;
    }
    file_.reset(::memfd_create("startup-output", MFD_CLOEXEC));
    if (file_.valid()) {
        saved_out_.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
        saved_err_.reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
        ::dup2(file_.get(), STDOUT_FILENO);
        ::dup2(file_.get(), STDERR_FILENO);
    }
}

StartupOutput::~StartupOutput()
{
    if (!file_.valid()) {
        return;
    }
    ::dup2(saved_out_.get(), STDOUT_FILENO);
    ::dup2(saved_err_.get(), STDERR_FILENO);
    std::string text(kMost, '\0');
    const ssize_t n = ::pread(file_.get(), text.data(), text.size(), 0);
    if (n > 0) {
        text.resize(static_cast<std::size_t>(n));
        observe::Log::instance().raw_output(text);
    }
}

}  // namespace ftm::host
