#include "php/classic_run.hpp"

#include "ftm_engine.h"
#include "php/host_callbacks.hpp"

namespace ftm::php {

ResolvedScript resolve_on_context(request::Request& request)
{
    ftm_ini_settings ini{};
    ftm_thread_settings(&ini);
    ScriptSettings settings;
    settings.fix_pathinfo = ini.fix_pathinfo != 0;
    settings.discard_path = ini.discard_path != 0;
    settings.doc_root = ini.doc_root != nullptr ? ini.doc_root : "";
    FileProbe probe = system_file_probe();
    probe.exists = [](const char* path, void* context) noexcept {
        return path[0] == '/' ? ftm_thread_path_exists(path) != 0 : system_file_probe().exists(path, context);
    };
    return resolve_script(request.params, settings, probe);
}

ftm_request_info request_info(const request::Request& request, const ResolvedScript& script) noexcept
{
    ftm_request_info info{};
    info.request_method = script.request_method;
    info.query_string = script.query_string;
    info.content_type = script.content_type;
    info.request_uri = script.request_uri;
    info.path_translated = script.path_translated;
    info.authorization = script.authorization;
    info.php_value = request.params.value_z("PHP_VALUE");
    info.php_admin_value = request.params.value_z("PHP_ADMIN_VALUE");
    info.content_length = script.content_length;
    info.response_code = script.response_code;
    return info;
}

RunResult run_result(ftm_run_result result) noexcept
{
    switch (result) {
        case FTM_RUN_OK:
            return RunResult::ok;
        case FTM_RUN_TERMINATED:
            return RunResult::terminated;
        case FTM_RUN_POISONED:
            break;
    }
    return RunResult::poisoned;
}

RunResult run_classic(request::Request& request, const ResolvedScript& script, const PoolScripts& pool,
                      Responder& responder) noexcept
{
    RunningRequest running{request, responder, pool};
    const ftm_request_info info = request_info(request, script);
    return run_result(ftm_run_request(&running, &info));
}

}  // namespace ftm::php
