/* fpm_get_status(): the scoreboard as an array (fpm_status.c: fpm_status_export_to_zval), in pools with workers with the
 * fields that the status page has behind php-fpm's. */
#include "ftm_internal.h"

static void add_workers(zval *status, const ftm_pool_status *pool)
{
    int64_t restarts = 0;
    add_assoc_string(status, "worker-script", pool->worker_script);
    add_assoc_long(status, "total-workers",
                   pool->booting_workers + pool->ready_workers + pool->busy_workers + pool->failed_workers);
    add_assoc_long(status, "booting-workers", pool->booting_workers);
    add_assoc_long(status, "ready-workers", pool->ready_workers);
    add_assoc_long(status, "busy-workers", pool->busy_workers);
    add_assoc_long(status, "failed-workers", pool->failed_workers);
    add_assoc_long(status, "worker-queue", pool->worker_queue);
    for (unsigned i = 0; i < pool->worker_reasons; i++) {
        restarts += pool->worker_restarts[i];
    }
    add_assoc_long(status, "worker-restarts", restarts);
    for (unsigned i = 0; i < pool->worker_reasons; i++) {
        char name[64];
        snprintf(name, sizeof name, "worker-restarts-%s", pool->worker_reason_names[i]);
        add_assoc_long(status, name, pool->worker_restarts[i]);
    }
}

static void add_process(zval *list, const ftm_process_status *p, const ftm_pool_status *pool)
{
    zval entry;
    array_init(&entry);
    add_assoc_long(&entry, "pid", p->pid);
    add_assoc_string(&entry, "state", p->state_name);
    add_assoc_long(&entry, "start-time", p->start_time);
    add_assoc_long(&entry, "start-since", pool->now - p->start_time);
    add_assoc_long(&entry, "requests", p->requests);
    add_assoc_long(&entry, "request-duration", p->duration_us);
    add_assoc_string(&entry, "request-method", p->method[0] ? p->method : "-");
    add_assoc_string(&entry, "request-uri", p->uri);
    add_assoc_string(&entry, "query-string", p->query);
    add_assoc_long(&entry, "request-length", p->content_length);
    add_assoc_string(&entry, "user", p->user[0] ? p->user : "-");
    add_assoc_string(&entry, "script", p->script[0] ? p->script : "-");
    add_assoc_double(&entry, "last-request-cpu", p->cpu_percent);
    add_assoc_long(&entry, "last-request-memory", p->memory_bytes);
    if (pool->worker_script != NULL) {
        add_assoc_string(&entry, "worker-state", p->worker_state);
        add_assoc_long(&entry, "worker-requests", p->worker_requests);
        add_assoc_long(&entry, "worker-restarts", p->worker_restarts);
        add_assoc_string(&entry, "worker-last-restart", p->worker_last_restart);
        add_assoc_long(&entry, "worker-boot-time", p->worker_boot_us);
        add_assoc_long(&entry, "worker-memory", p->worker_memory);
    }
    add_next_index_zval(list, &entry);
}

PHP_FUNCTION(fpm_get_status)
{
    ZEND_PARSE_PARAMETERS_NONE();
    void *request = SG(server_context);
    ftm_pool_status pool;
    if (request == NULL || !ftm_callbacks->pool_status(request, &pool)) {
        RETURN_FALSE;
    }
    array_init(return_value);
    add_assoc_string(return_value, "pool", pool.name);
    add_assoc_string(return_value, "process-manager", pool.process_manager);
    add_assoc_long(return_value, "start-time", pool.start_time);
    add_assoc_long(return_value, "start-since", pool.now - pool.start_time);
    add_assoc_long(return_value, "accepted-conn", pool.accepted);
    add_assoc_long(return_value, "listen-queue", pool.queue);
    add_assoc_long(return_value, "max-listen-queue", pool.max_queue);
    add_assoc_long(return_value, "listen-queue-len", pool.queue_length);
    add_assoc_long(return_value, "idle-processes", pool.idle);
    add_assoc_long(return_value, "active-processes", pool.active);
    add_assoc_long(return_value, "total-processes", pool.idle + pool.active);
    add_assoc_long(return_value, "max-active-processes", pool.max_active);
    add_assoc_long(return_value, "max-children-reached", pool.max_children_reached);
    add_assoc_long(return_value, "slow-requests", pool.slow_requests);
    add_assoc_long(return_value, "memory-peak", pool.memory_peak);
    if (pool.worker_script != NULL) {
        add_workers(return_value, &pool);
    }
    zval processes;
    array_init(&processes);
    ftm_process_status process;
    for (unsigned i = 0; i < pool.processes; i++) {
        if (ftm_callbacks->process_status(request, i, &process)) {
            add_process(&processes, &process, &pool);
        }
    }
    add_assoc_zval(return_value, "procs", &processes);
}
