#include "php/host_callbacks.hpp"

#include "observe/log.hpp"
#include "php/context_environment.hpp"

namespace ftm::php {
namespace {

RunningRequest& running(void* request) noexcept { return *static_cast<RunningRequest*>(request); }

int write(void* request, ftm_stream stream, const char* data, std::size_t size) noexcept
{
    return running(request).responder.write(stream, {data, size}) ? 1 : 0;
}

int flush(void* request) noexcept { return running(request).responder.flush() ? 1 : 0; }

int send_interim(void* request, const char* block, std::size_t size) noexcept
{
    return running(request).responder.send_interim({block, size}) ? 1 : 0;
}

void finish(void* request, int script_goes_on) noexcept
{
    running(request).responder.finish(script_goes_on != 0);
}

int finished(void* request) noexcept { return running(request).responder.finished() ? 1 : 0; }

std::size_t read_body(void* request, char* buffer, std::size_t size) noexcept
{
    return running(request).request.body.read(buffer, size);
}

const char* get_param(void* request, const char* name, std::size_t name_size) noexcept
{
    return running(request).request.params.value_z({name, name_size});
}

int next_param(void* request, std::size_t* cursor, const char** name, std::size_t* name_size, const char** value,
               std::size_t* value_size) noexcept
{
    const auto* entry = running(request).request.params.next(cursor);
    if (entry == nullptr) {
        return 0;
    }
    *name = entry->name.data();
    *name_size = entry->name.size();
    *value = entry->value.data();
    *value_size = entry->value.size();
    return 1;
}

int is_extension_allowed(void* request, const char* path) noexcept
{
    return extension_allowed(path, running(request).pool.limit_extensions) ? 1 : 0;
}

void stage(void* request, ftm_stage stage) noexcept { running(request).responder.stage(stage); }

unsigned interrupted(void* request, int* depth) noexcept { return running(request).responder.interrupted(*depth); }

void traced(void* request, const char* text, std::size_t size) noexcept
{
    running(request).responder.traced({text, size});
}

void cut(void* request) noexcept { running(request).responder.cut(); }

int script_ended(void* request, const ftm_script_end* end) noexcept
{
    return running(request).responder.script_ended(*end) ? 1 : 0;
}

void php_message(void*, const char* message) noexcept
{
    if (current_context() < 0) { // start-up of the pool host
        observe::log(observe::Level::notice, "%s", message);
        return;
    }
    observe::Log::instance().worker_output(observe::Level::notice, current_context(), message);
}

void log(void*, int level, const char* message) noexcept
{
    const auto wanted = static_cast<observe::Level>(level);
    if (wanted >= observe::Log::instance().threshold()) { // zlog(); a PHP message, from zlog_msg(), comes at any log_level
        observe::Log::instance().worker_output(wanted, current_context(), message);
    }
}

int pool_status(void* request, ftm_pool_status* out) noexcept
{
    return running(request).responder.pool_status(*out) ? 1 : 0;
}

int process_status(void* request, unsigned index, ftm_process_status* out) noexcept
{
    return running(request).responder.process_status(index, *out) ? 1 : 0;
}

char** environment() noexcept { return context_environ(); }

constexpr ftm_host kHost{
    .write = write,
    .flush = flush,
    .send_interim = send_interim,
    .finish = finish,
    .finished = finished,
    .read_body = read_body,
    .get_param = get_param,
    .next_param = next_param,
    .extension_allowed = is_extension_allowed,
    .stage = stage,
    .interrupted = interrupted,
    .traced = traced,
    .cut = cut,
    .script_ended = script_ended,
    .php_message = php_message,
    .log = log,
    .worker_wait = worker_wait,
    .worker_done = worker_done,
    .pool_status = pool_status,
    .process_status = process_status,
    .environment = environment,
};

}  // namespace

const ftm_host& host_callbacks() noexcept { return kHost; }

}  // namespace ftm::php
