#include "engine/engine.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/process_title.hpp"
#include "engine/context.hpp"
#include "engine/identity.hpp"
#include "engine/standby.hpp"
#include "engine/thread_interrupt.hpp"
#include "ftm_engine.h"
#include "observe/log.hpp"

namespace ftm::engine {
namespace {

constexpr int kExitSoftware = 70;
constexpr int kDefaultBacklog = 511;
constexpr int kFirstListener = 1000;

std::vector<std::string> split(const std::string& text, const char* separators)
{
    std::vector<std::string> parts;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(separators, at)) != std::string::npos) {
        const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end;
    }
    return parts;
}

unsigned workers_of(const config::Pool& pool)
{
    if (!pool.worker_script) {
        return 0;
    }
    const int wanted = pool.worker_num > 0 ? pool.worker_num : pool.pm_max_children - 1;
    return static_cast<unsigned>(std::clamp(wanted, 1, std::max(pool.pm_max_children, 1)));
}

sched::ManagerSettings manager_of(const config::Pool& pool, int workers)
{
    const config::ProcessManager kind = pool.pm.value_or(config::ProcessManager::static_);
    const int classic = std::max(pool.pm_max_children, 1) - workers;
    return {.manager = kind == config::ProcessManager::dynamic    ? sched::Manager::dynamic
                       : kind == config::ProcessManager::ondemand ? sched::Manager::ondemand
                                                                  : sched::Manager::static_,
            .max_children = classic,
            .start_servers = std::max(pool.pm_start_servers - workers, 0),
            .min_spare_servers = std::min(pool.pm_min_spare_servers, classic), // else it would always want more
            .max_spare_servers = pool.pm_max_spare_servers,
            .max_spawn_rate = pool.pm_max_spawn_rate,
            .idle_timeout_s = pool.pm_process_idle_timeout.count()};
}

// Said as a php-fpm child says it when it starts.
net::AllowedClients allowed_clients(const std::string& list)
{
    std::vector<std::string> wrong;
    net::AllowedClients clients(list, wrong);
    const auto say = [](const std::string& text) {
        observe::Log::instance().worker_output(observe::Level::error, -1, text);
    };
    for (const std::string& part : wrong) {
        say("Wrong IP address '" + part + "' in listen.allowed_clients");
    }
    if (clients.nobody()) {
        say("There are no allowed addresses");
    }
    return clients;
}

// Connections get lower numbers than the sockets they come from, as in a php-fpm child.
void move_up(std::vector<Listener>& listeners)
{
    for (Listener& listener : listeners) {
        if (UniqueFd high(::fcntl(listener.fd.get(), F_DUPFD_CLOEXEC, kFirstListener)); high.valid()) {
            listener.fd = std::move(high);
        }
    }
}

std::unique_ptr<HttpSettings> http_settings(const config::Pool& pool)
{
    auto http = std::make_unique<HttpSettings>();
    http->root.path = pool.http_root.value_or("");
    while (http->root.path.ends_with('/')) {
        http->root.path.pop_back();
    }
    http->root.index = index_names(pool.http_index.value_or(""));
    std::vector<std::string> wrong; // refused when the configuration was checked
    http->proxies = http::TrustedProxies(pool.http_trusted_proxies.value_or(""), wrong);
    if (pool.http_max_body > 0) {
        http->limits.max_body = static_cast<std::uint64_t>(pool.http_max_body);
    }
    http->request_timeout_us = std::chrono::microseconds(pool.http_request_timeout).count();
    http->keepalive_timeout_us = std::chrono::microseconds(pool.http_keepalive_timeout).count();
    return http;
}

Settings settings_of(const config::Pool& pool, const EngineStart& start)
{
    Settings settings;
    settings.pool = &pool;
    settings.contexts = static_cast<unsigned>(std::max(pool.pm_max_children, 1));
    settings.waiters = std::max(std::thread::hardware_concurrency(), 1u) + 2;
    const int backlog = pool.listen_backlog > 0 ? pool.listen_backlog : kDefaultBacklog;
    settings.queue_limit = static_cast<std::size_t>(std::max(pool.request_queue_limit.value_or(backlog), 1));
    if (pool.output_spool_limit > 0) {
        settings.output_spool_limit = static_cast<std::size_t>(pool.output_spool_limit);
    }
    if (pool.listen_allowed_clients) {
        settings.allowed_clients = allowed_clients(*pool.listen_allowed_clients);
    }
    settings.scripts.limit_extensions = split(pool.security_limit_extensions.value_or(".php .phar"), " \t");
    const auto microseconds = [](std::chrono::seconds time) {
        return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    };
    settings.worker_script = pool.worker_script.value_or("");
    settings.workers = workers_of(pool);
    settings.spare_workers = settings.workers != 0 ? 1 : 0;
    settings.start_reason = start.reason;
    settings.may_do_without_workers = start.may_do_without_workers;
    settings.manager = manager_of(pool, static_cast<int>(settings.workers));
    settings.limits = {.terminate_us = microseconds(pool.request_terminate_timeout),
                       .slow_us = microseconds(pool.request_slowlog_timeout),
                       .track_finished = pool.request_terminate_timeout_track_finished};
    settings.page_headers = start.page_headers;
    if (!pool.http_listen.value_or("").empty()) {
        settings.http = http_settings(pool);
        settings.http->root.extensions = settings.scripts.limit_extensions;
    }
    settings.shows_cpu = pool.pm_status_path.has_value();
    if (start.access_log >= 0) {
        settings.access_log = std::make_shared<observe::AccessLog>(
            start.access_log, pool.access_format.value_or(""), pool.access_suppress_path,
            observe::AccessPool{pool.name, ::getpid(), start.master});
    }
    return settings;
}

int standby_event_for_quit = -1;
std::atomic<bool>* quit_requested = nullptr;

// SIGQUIT asks for a soft quit, as with a php-fpm child; the standby thread finds it.
void on_quit(int)
{
    quit_requested->store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(standby_event_for_quit, &one, sizeof one);
}

void set_signals(Core& core)
{
    quit_requested = &core.quit_requested;
    standby_event_for_quit = core.standby_event.get();
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD}) {
        ::sigaction(signal, &action, nullptr);
    }
    action.sa_handler = on_quit;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGQUIT, &action, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

int run_engine(EngineStart start)
{
    const config::Pool& pool = *start.pool;
    set_process_title("php-fpm: pool " + pool.name);
    raise_descriptor_limit(pool);
    set_environment(pool);
    if (!assume_identity(pool)) {
        observe::log(observe::Level::error, "[pool %s] child failed to initialize", pool.name.c_str());
        return kExitSoftware;
    }
    ftm_php_after_fork();
    move_up(start.listeners);

    Core core(settings_of(pool, start), std::move(start.listeners), std::move(start.host), *start.board,
              start.crash_pipe);
    set_signals(core);
    install_interrupt_handler();
    install_crash_handlers(start.crash_pipe, core.wounded, core.standby_event.get());
    std::vector<std::unique_ptr<Context>> contexts;
    for (unsigned i = 0; i < core.settings.contexts + core.settings.spare_workers; ++i) {
        contexts.push_back(std::make_unique<Context>(core, i));
    }
    const int classic = sched::ProcessManager(core.settings.manager).at_start();
    const int at_start = std::min(static_cast<int>(core.settings.workers) + classic, static_cast<int>(core.settings.contexts));
    for (int i = 0; i < at_start; ++i) {
        Context* const context = contexts[static_cast<std::size_t>(i)].get();
        if (!context->start()) {
            observe::log(observe::Level::error, "[pool %s] context %u of %u cannot be started: no thread",
                         pool.name.c_str(), context->number(), core.settings.contexts);
            return kExitSoftware;
        }
    }
    const int code = Standby(core, contexts).run();
    ::_exit(code); // modules were started by the host, which shuts them down
}

}  // namespace ftm::engine
