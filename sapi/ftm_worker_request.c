/* What happens around each request of a worker (research: FrankenPHP's frankenphp_worker_request_startup/shutdown). What
 * stays from one request to the next is the application's: classes, statics, ini settings, handlers, $_ENV. */
#include "ftm_worker.h"

#include "main/php_streams.h"
#include "main/php_memory_streams.h"
#include "ext/random/php_random.h"
#include "ext/standard/basic_functions.h"
#include "ext/standard/php_filestat.h"
#include "ext/standard/url_scanner_ex.h"

/* A php://input that outlives its request: its body is gone, and it must not read the next visitor's. */
static ssize_t past_input_read(php_stream *stream, char *buf, size_t count)
{
    (void)buf;
    (void)count;
    stream->eof = 1;
    return 0;
}

static ssize_t past_input_write(php_stream *stream, const char *buf, size_t count)
{
    (void)stream;
    (void)buf;
    (void)count;
    return -1;
}

static int past_input_close(php_stream *stream, int close_handle)
{
    (void)close_handle;
    efree(stream->abstract);
    return 0;
}

static const php_stream_ops past_input_ops = {past_input_write, past_input_read, past_input_close, NULL, "Input",
                                              NULL,             NULL,            NULL,             NULL};

/* php://input keeps its body in a temporary stream of the regular list, which only php_request_shutdown() empties. The
 * application's own php://temp streams (also those inside of a SplTempFileObject) come from a wrapper. */
static void free_body_streams(void)
{
    zend_resource *resource;
    ZEND_HASH_FOREACH_PTR(&EG(regular_list), resource)
    {
        if (resource->type != php_file_le_stream() || resource->ptr == NULL) {
            continue;
        }
        php_stream *stream = resource->ptr;
        if (strcmp(stream->ops->label, past_input_ops.label) == 0) {
            stream->ops = &past_input_ops;
            stream->readpos = stream->writepos = 0;
            stream->eof = 1;
        } else if (stream->ops == &php_stream_temp_ops && stream->wrapper == NULL && !stream->__exposed &&
                   GC_REFCOUNT(resource) == 1) {
            zend_list_delete(resource);
        }
    }
    ZEND_HASH_FOREACH_END();
}

static void clear_last_error(void)
{
    if (PG(last_error_message)) {
        zend_string_release(PG(last_error_message));
        PG(last_error_message) = NULL;
    }
    if (PG(last_error_file)) {
        zend_string_release(PG(last_error_file));
        PG(last_error_file) = NULL;
    }
    PG(last_error_type) = 0;
    PG(last_error_lineno) = 0;
}

/* libxml_get_errors(): what was wrong with the documents of the visitor before. */
static void clear_xml_errors(void)
{
    zend_function *clear = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("libxml_clear_errors"));
    if (clear != NULL) {
        zend_call_known_function(clear, NULL, NULL, NULL, 0, NULL, NULL);
    }
}

/* What functions of ext/standard and ext/random remember from one call to the next (PHP_RSHUTDOWN_FUNCTION(basic) and
 * PHP_RINIT_FUNCTION(random), less what the application has set up). */
static void clear_remembered(void)
{
    if (BG(strtok_string)) {
        zend_string_release(BG(strtok_string));
        BG(strtok_string) = NULL;
    }
    zval_ptr_dtor(&BG(last_http_headers));
    ZVAL_UNDEF(&BG(last_http_headers));
    php_clear_stat_cache(false, NULL, 0);
    RANDOM_G(mt19937_seeded) = false; /* whoever has seeded it shall not know what the next visitor gets */
    clear_xml_errors();
}

/* Modules that keep something of the request: ext/filter copies of the input, ext/zlib the encodings its client accepts. */
static void call_modules(bool startup)
{
    static const char *const names[] = {"filter", "zlib"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        zend_module_entry *module = zend_hash_str_find_ptr(&module_registry, names[i], strlen(names[i]));
        if (module == NULL) {
            continue;
        }
        zend_result (*function)(INIT_FUNC_ARGS) = startup ? module->request_startup_func : module->request_shutdown_func;
        if (function != NULL) {
            function(module->type, module->module_number);
        }
    }
}

/* Objects that were put into a superglobal are destroyed while what they print goes to the log. Where the next request's
 * values replace them it would go to the next visitor. */
void ftm_worker_forget_input(void)
{
    zend_auto_global *global;
    ZEND_HASH_MAP_FOREACH_PTR(CG(auto_globals), global)
    {
        if (zend_string_equals_literal(global->name, "_ENV")) {
            continue;
        }
        zval *value = zend_hash_find(&EG(symbol_table), global->name);
        if (value != NULL) {
            zval past;
            ZVAL_COPY_VALUE(&past, value);
            ZVAL_EMPTY_ARRAY(value); /* first: a destructor may read it */
            zval_ptr_dtor(&past);
        }
    }
    ZEND_HASH_FOREACH_END();
}

/* $_ENV stays. $_REQUEST is made again where it has been used; $_SERVER always, for it may be used unseen. */
static void renew_superglobals(void)
{
    zend_auto_global *global;

    zval_ptr_dtor_nogc(&PG(http_globals)[TRACK_VARS_FILES]);
    ZVAL_UNDEF(&PG(http_globals)[TRACK_VARS_FILES]);
    ZEND_HASH_MAP_FOREACH_PTR(CG(auto_globals), global)
    {
        if (global->auto_global_callback == NULL) {
            global->armed = 0;
        } else if (zend_string_equals_literal(global->name, "_ENV")) {
            continue;
        } else if (!global->jit || zend_string_equals_literal(global->name, "_SERVER") || !global->armed ||
                   zend_hash_exists(&EG(symbol_table), global->name)) { /* used once, it is not armed; it may have been unset() */
            global->armed = global->auto_global_callback(global->name);
        }
    }
    ZEND_HASH_FOREACH_END();
}

static void start_output(void)
{
    if (PG(output_handler) && PG(output_handler)[0]) {
        zval handler;
        ZVAL_STRING(&handler, PG(output_handler));
        php_output_start_user(&handler, 0, PHP_OUTPUT_HANDLER_STDFLAGS);
        zval_ptr_dtor(&handler);
    } else if (PG(output_buffering)) {
        php_output_start_user(NULL, PG(output_buffering) > 1 ? (size_t)PG(output_buffering) : 0, PHP_OUTPUT_HANDLER_STDFLAGS);
    } else if (PG(implicit_flush)) {
        php_output_set_implicit_flush(1);
    }
}

static void activate(void)
{
    php_output_activate();
    PG(header_is_being_sent) = 0;
    PG(connection_status) = PHP_CONNECTION_NORMAL;
    PG(ignore_user_abort) = 1;
    sapi_activate();
    zend_set_timeout(PG(max_input_time) == -1 ? EG(timeout_seconds) : PG(max_input_time), 1);
    if (PG(expose_php) && !SG(headers_sent)) {
        sapi_add_header(SAPI_PHP_VERSION_HEADER, sizeof(SAPI_PHP_VERSION_HEADER) - 1, 1);
    }
    start_output();
    renew_superglobals();
    call_modules(true);
    ftm_worker_auto_start_session();
}

ftm_worker_step ftm_worker_request_begin(void *request, const ftm_request_info *info)
{
    volatile ftm_worker_step step = FTM_WORKER_BAILED;
    zend_execute_data *frame = EG(current_execute_data);
    /* A handler that throws while the input is parsed has no frame to throw into. */
    zval user_error_handler;
    ZVAL_COPY_VALUE(&user_error_handler, &EG(user_error_handler));
    ZVAL_UNDEF(&EG(user_error_handler));

    SG(server_context) = request;
    SG(headers_sent) = 0; /* of the request before; ext/session's settings may not be changed after */
    EG(exit_status) = 0;
    zend_try
    {
        ftm_prepare_request(info);
        clear_last_error();
        zend_hash_str_del(&EG(symbol_table), ZEND_STRL("_SESSION")); /* what the script has put there since */
        zend_memory_reset_peak_usage();
        activate();
        step = FTM_WORKER_OK;
    }
    zend_end_try();
    EG(current_execute_data) = frame;
    SG(sapi_started) = 1;
    if (Z_ISUNDEF(EG(user_error_handler))) {
        ZVAL_COPY_VALUE(&EG(user_error_handler), &user_error_handler);
    } else {
        zval_ptr_dtor(&user_error_handler);
    }
    if (EG(exception)) {
        zend_clear_exception();
        if (step == FTM_WORKER_OK) {
            step = FTM_WORKER_REFUSED;
        }
    }
    if (PG(max_input_time) != -1) {
        zend_set_timeout(INI_INT("max_execution_time"), 0);
    }
    return step;
}

static void end_output(void)
{
    php_output_end_all();
}

static void end_modules(void)
{
    call_modules(false);
    clear_remembered();
    zm_deactivate_url_scanner_ex(0, 0); /* output_add_rewrite_var(), session.use_trans_sid */
}

static void end_headers(void)
{
    php_output_deactivate();
}

/* Of an output or session handler. There is no frame left to throw it into: as where PHP's own shutdown calls them.
 * True: it was exit(), which ends the script when the request has ended. */
static bool report_exception(void)
{
    if (EG(exception) == NULL) {
        return false;
    }
    if (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception))) {
        zend_clear_exception();
        return true;
    }
    zend_exception_error(EG(exception), E_ERROR);
    return false;
}

ftm_worker_step ftm_worker_request_end(void)
{
    static void (*const parts[])(void) = {end_output, end_modules, ftm_worker_reset_session, end_headers,
                                          ftm_end_script, ftm_restore_request_values, sapi_deactivate,
                                          free_body_streams};
    zend_execute_data *frame = EG(current_execute_data);
    volatile ftm_worker_step step = FTM_WORKER_OK;
    volatile int exit_status = 0; /* that of an exception in the callback is the request's, not the script's */
    for (volatile size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        zend_try
        {
            parts[i]();
            if (report_exception()) {
                step = FTM_WORKER_EXITED;
                exit_status = EG(exit_status);
            }
        }
        zend_catch
        {
            step = FTM_WORKER_BAILED;
        }
        zend_end_try();
        EG(current_execute_data) = frame;
        if (FTM_G(terminated)) {
            return FTM_WORKER_BAILED;
        }
    }
    EG(exit_status) = exit_status;
    /* Until the next request, what the script does is the boot request's. */
    SG(server_context) = FTM_G(worker_boot);
    SG(request_info).content_type_dup = NULL; /* freed, and about to be freed again when the script ends */
    SG(request_info).current_user = NULL;
    SG(request_info).request_method = NULL;
    SG(request_info).query_string = NULL;
    SG(request_info).request_uri = NULL;
    SG(request_info).content_type = NULL;
    SG(request_info).cookie_data = NULL;
    SG(request_info).content_length = 0;
    zend_set_memory_limit(PG(memory_limit));
    php_output_activate(); /* for the log; there is nobody to send headers to */
    SG(headers_sent) = 1;
    SG(request_info).no_headers = 1;
    return step;
}

void ftm_worker_end_boot_output(void)
{
    if (OG(flags) & PHP_OUTPUT_ACTIVATED) {
        php_output_end_all();
        php_output_deactivate();
    }
}
