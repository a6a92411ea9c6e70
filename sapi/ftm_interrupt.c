/* What the standby thread asks of a running script: its backtrace (request_slowlog_timeout), or to end
 * (request_terminate_timeout). The VM comes here at its next jump or call, on the context's own thread.
 *
 * To end: php-fpm kills the child, so nothing of the script runs any more: no shutdown function, destructor, output handler,
 * session write. The same here, and the thread lives on. */
#include "ftm_internal.h"

#include "ext/standard/basic_functions.h"
#include "zend_max_execution_timer.h"
#include "zend_objects_API.h"

static void (*previous_interrupt_function)(zend_execute_data *execute_data);
static void (*previous_on_timeout)(int seconds);

static void disable_output_handlers(void)
{
    int count = zend_stack_count(&OG(handlers));
    php_output_handler **handlers = zend_stack_base(&OG(handlers));
    for (int i = 0; i < count; i++) {
        handlers[i]->flags |= PHP_OUTPUT_HANDLER_DISABLED;
    }
}

static void trace_own(void *request, int depth)
{
    ftm_thread_handle handle;
    char *text = malloc(FTM_TRACE_BYTES);
    if (text) {
        ftm_thread_handle_init(&handle);
        ftm_callbacks->traced(request, text, ftm_thread_trace(&handle, NULL, depth, text, FTM_TRACE_BYTES));
        free(text);
    }
}

static void on_interrupt(zend_execute_data *execute_data)
{
    void *request = SG(server_context);
    int depth = 0;
    unsigned wanted = request ? ftm_callbacks->interrupted(request, &depth) : 0;

    if (wanted & FTM_INTERRUPT_TRACE) {
        trace_own(request, depth);
    }
    if (wanted & FTM_INTERRUPT_END) {
        FTM_G(terminated) = true;
        ftm_callbacks->cut(request);
        zend_objects_store_mark_destructed(&EG(objects_store));
        disable_output_handlers();
        zend_bailout();
    }
    if (previous_interrupt_function) {
        previous_interrupt_function(execute_data);
    }
}

/* In the signal handler of max_execution_time. Only a PHP without threads then sets the timer again, for hard_timeout: what
 * runs after the script, shutdown functions and destructors, ends too. */
static void on_timeout(int seconds)
{
    previous_on_timeout(seconds);
    if (EG(hard_timeout) > 0) {
        zend_max_execution_timer_settime(EG(hard_timeout));
    }
}

void ftm_interrupt_startup(void)
{
    previous_interrupt_function = zend_interrupt_function;
    zend_interrupt_function = on_interrupt;
    previous_on_timeout = zend_on_timeout;
    zend_on_timeout = on_timeout;
}

void ftm_thread_handle_init(ftm_thread_handle *handle)
{
    handle->vm_interrupt = &EG(vm_interrupt);
    handle->current_execute_data = (const void *const *)&EG(current_execute_data);
    handle->path_translated = (const char *const *)&SG(request_info).path_translated;
}

void ftm_thread_interrupt(const ftm_thread_handle *handle)
{
    zend_atomic_bool_store(handle->vm_interrupt, true);
}

/* Between the script's end and request shutdown, on which neither user code nor the session shall act. */
void ftm_end_terminated(void)
{
    SG(headers_sent) = 1;
    SG(request_info).no_headers = 1;
    zend_first_try
    {
        zend_function *abort;
        php_free_shutdown_functions();
        abort = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("session_abort"));
        if (abort) {
            zend_call_known_function(abort, NULL, NULL, NULL, 0, NULL, NULL);
        }
    }
    zend_end_try();
}
