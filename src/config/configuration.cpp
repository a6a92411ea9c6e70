#include "config/configuration.hpp"

#include <iterator>
#include <utility>

#include "config/directive_table.hpp"
#include "config/loader.hpp"
#include "config/post_process.hpp"

namespace ftm::config {
namespace {

std::string choose_file(const Invocation& invocation)
{
    if (invocation.file && !invocation.file->empty()) {
        return *invocation.file;
    }
    return invocation.prefix ? *invocation.prefix + "/etc/php-fpm.conf" : invocation.default_file;
}

Configuration refuse(Configuration result)
{
    if (result.config) {
        result.global = std::move(result.config->global);
        result.config.reset();
    }
    result.messages.push_back({LogLevel::error, "FPM initialization failed"});
    return result;
}

}  // namespace

Configuration read_configuration(const Invocation& invocation, const ValueLookups& lookups,
                                 const Environment& environment)
{
    Configuration result;
    Messages& messages = result.messages;
    result.file = choose_file(invocation);
    if (invocation.prefix && !invocation.prefix->empty() && !environment.is_directory(*invocation.prefix)) {
        messages.push_back({LogLevel::error, "the global prefix '" + *invocation.prefix +
                                                 "' does not exist or is not a directory"});
        return refuse(std::move(result));
    }
    LoadResult loaded = load({.file = result.file,
                              .include_prefix = invocation.prefix.value_or(invocation.default_prefix),
                              .lookups = lookups});
    messages = std::move(loaded.messages);
    if (!loaded.config) {
        return refuse(std::move(result));
    }
    result.config = std::move(loaded.config);
    if (invocation.pid && !invocation.pid->empty() && !result.config->global.pid) {
        result.config->global.pid = invocation.pid;
    }
    const std::vector<std::string> idle_directives = without_effect(*result.config);

    const std::size_t loading_messages = messages.size();
    result.before_log_settings = loading_messages;
    PostProcessResult processed = post_process(*result.config,
                                               {.prefix = invocation.prefix,
                                                .daemonize = invocation.daemonize,
                                                .allow_root = invocation.allow_root,
                                                .default_prefix = invocation.default_prefix,
                                                .default_localstatedir = invocation.default_localstatedir},
                                               environment);
    if (processed.before_error_log != kNeverOpened) {
        result.before_error_log = loading_messages + processed.before_error_log;
    }
    messages.insert(messages.end(), std::make_move_iterator(processed.messages.begin()),
                    std::make_move_iterator(processed.messages.end()));
    if (!processed.ok) {
        return refuse(std::move(result));
    }
    result.global = result.config->global;
    for (const std::string& sentence : idle_directives) {
        messages.push_back({LogLevel::notice, sentence});
    }
    if (invocation.test_level == 0) {
        return result;
    }
    if (!test_checks(*result.config, environment, messages)) {
        return refuse(std::move(result));
    }
    if (invocation.test_level > 1) {
        for (const std::string& line : dump(*result.config)) {
            messages.push_back({LogLevel::notice, line});
        }
    }
    messages.push_back({LogLevel::notice, "configuration file " + result.file + " test is successful"});
    return result;
}

}  // namespace ftm::config
