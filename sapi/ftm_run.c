/* One request on the calling context: start-up, php-fpm's checks of the primary script, execution, shutdown
 * (the loop body of fpm_main.c's main()). The only file that guards php_request_startup/shutdown. */
#include "ftm_worker.h"

#include <unistd.h>

#include "zend_virtual_cwd.h"

int ftm_thread_attach(ftm_thread_handle *handle)
{
    volatile int result = -1;
    (void)ts_resource(0);
    ZEND_TSRMLS_CACHE_UPDATE();
    ftm_thread_handle_init(handle);
    SG(options) |= SAPI_OPTION_NO_CHDIR; /* see enter_directory_of() */
    zend_first_try
    {
        ftm_apply_pool_values();
        result = 0;
    }
    zend_end_try();
    return result;
}

void ftm_thread_detach(void)
{
    ts_free_thread();
}

int ftm_thread_path_exists(const char *path)
{
    volatile int found = 0;
    zend_try /* a worker asks from inside its script */
    {
        char resolved[MAXPATHLEN];
        found = tsrm_realpath(path, resolved) != NULL;
    }
    zend_end_try();
    return found;
}

void ftm_prepare_request(const ftm_request_info *info)
{
    SG(sapi_headers).http_response_code = info->response_code; /* Zend never resets it */
    SG(request_info).request_method = info->request_method;
    SG(request_info).query_string = (char *)info->query_string;
    SG(request_info).request_uri = (char *)info->request_uri;
    SG(request_info).content_type = info->content_type;
    SG(request_info).content_length = info->content_length;
    SG(request_info).path_translated = info->path_translated ? estrdup(info->path_translated) : NULL;
    SG(request_info).proto_num = 1000;
    SG(request_info).auth_user = SG(request_info).auth_password = SG(request_info).auth_digest = NULL;
    SG(request_info).argc = 0;
    SG(request_info).argv = NULL;
    FTM_G(logging_request_started) = false;
    FTM_G(terminated) = false;
    FTM_G(request_body_fd) = -1;
    if (info->path_translated || info->request_uri) {
        php_handle_auth_data(info->authorization);
    }
    ftm_apply_request_values(info->php_value, info->php_admin_value);
}

static void answer(int status, const char *text)
{
    zend_try
    {
        SG(sapi_headers).http_response_code = status;
        PUTS(text);
    }
    zend_end_try();
}

static void open_failed(const char *script, int error)
{
    zend_try
    {
        ftm_log(FTM_LOG_ERROR, "Unable to open primary script: %s (%s)", script, strerror(error));
    }
    zend_end_try();
    if (error == EACCES) {
        answer(403, "Access denied.\n");
    } else {
        answer(404, "No input file specified.\n");
    }
}

/* php_execute_script() would enter the script's directory with a stat(2), ask for its old one and go back there with
 * another. The script has just been opened, so its directory exists, and where a request begins is known. */
static void enter_directory_of(const char *script)
{
    const char *slash = strrchr(script, '/');
    char directory[MAXPATHLEN];
    size_t len = slash ? MAX((size_t)(slash - script), 1) : 0;
    if (len > 0 && len < sizeof(directory)) {
        memcpy(directory, script, len);
        directory[len] = '\0';
        virtual_file_ex(&CWDG(cwd), directory, NULL, CWD_REALPATH);
    }
}

/* Shutdown functions and destructors run where the request began, as in php-fpm. */
static void leave_directory(void)
{
    virtual_cwd_deactivate();
    virtual_cwd_activate();
}

static void execute_primary_script(void *request)
{
    zend_file_handle file_handle;
    /* php_fopen_primary_script() frees path_translated when it fails */
    char *script = estrdup(SG(request_info).path_translated);

    errno = 0;
    if (php_fopen_primary_script(&file_handle) == FAILURE) {
        open_failed(script, errno);
    } else {
        ftm_callbacks->stage(request, FTM_STAGE_EXECUTING);
        EG(exit_status) = 0;
        enter_directory_of(ZSTR_VAL(file_handle.filename));
        php_execute_script(&file_handle);
        leave_directory();
    }
    if (!file_handle.in_list) {
        zend_destroy_file_handle(&file_handle);
    }
    efree(script);
}

static void serve(void *request)
{
    const char *path = SG(request_info).path_translated;
    if (!SG(request_info).request_method) {
        return; /* not HTTP: headers only */
    }
    if (!path) {
        zend_try
        {
            ftm_log(FTM_LOG_DEBUG, "Primary script unknown");
        }
        zend_end_try();
        answer(404, "File not found.\n");
        return;
    }
    if (!ftm_callbacks->extension_allowed(request, path)) {
        zend_try
        {
            ftm_log(FTM_LOG_NOTICE, "Access to the script '%s' has been denied (see security.limit_extensions)", path);
        }
        zend_end_try();
        answer(403, "Access denied.\n");
        return;
    }
    execute_primary_script(request);
}

/* Not in request memory: a script at its memory limit is logged too. */
static void list_headers(ftm_script_end *end)
{
    zend_llist *list = &SG(sapi_headers).headers;
    zend_llist_position pos;
    ftm_header_line *lines = malloc((zend_llist_count(list) + 1) * sizeof(*lines));
    end->headers = lines;
    for (sapi_header_struct *h = zend_llist_get_first_ex(list, &pos); h && lines; h = zend_llist_get_next_ex(list, &pos)) {
        lines[end->header_count++] = (ftm_header_line){h->header, h->header_len};
    }
}

/* For scoreboard and access log. */
static void report_end(void *request, ftm_script_end *end)
{
    if (ftm_options->log_headers) {
        list_headers(end);
    }
    int whole = ftm_callbacks->script_ended(request, end);
    free((void *)end->headers);
    if (!whole) {
        zend_try
        {
            ftm_log(FTM_LOG_NOTICE, "the log buffer is full (1024). The access log request has been truncated.");
        }
        zend_end_try();
    }
}

void ftm_end_script(void)
{
    void *request = SG(server_context); /* in a worker not always the one that its script was started for */
    if (FTM_G(request_body_fd) >= 0) {
        close(FTM_G(request_body_fd));
    }
    FTM_G(request_body_fd) = -2;

    if (EG(exit_status) == 255 && FTM_G(error_header) && *FTM_G(error_header) && !SG(headers_sent)) {
        sapi_header_line line = {0};
        line.line = FTM_G(error_header);
        line.line_len = strlen(FTM_G(error_header));
        sapi_header_op(SAPI_HEADER_REPLACE, &line);
    }
    ftm_script_end end = {
        .http_status = SG(sapi_headers).http_response_code,
        .peak_memory_bytes = zend_memory_peak_usage(true),
    };
    if (!FTM_G(terminated)) {
        report_end(request, &end);
    }
    if (SG(request_info).path_translated) {
        efree(SG(request_info).path_translated);
        SG(request_info).path_translated = NULL;
    }
}

ftm_run_result ftm_run_request(void *request, const ftm_request_info *info)
{
    volatile ftm_run_result result = FTM_RUN_POISONED;

    SG(server_context) = request;
    zend_first_try
    {
        ftm_prepare_request(info);
        if (php_request_startup() == SUCCESS) {
            ftm_callbacks->stage(request, FTM_STAGE_INFO);
            serve(request);
            ftm_worker_return_to_boot();
            result = FTM_RUN_OK;
        }
        FTM_G(worker_exit_status) = EG(exit_status);
        ftm_end_script();
    }
    zend_catch
    {
        result = FTM_RUN_POISONED;
    }
    zend_end_try();

    if (FTM_G(terminated)) {
        ftm_end_terminated();
    }
    zend_first_try
    {
        php_request_shutdown(NULL);
    }
    zend_catch
    {
        result = FTM_RUN_POISONED;
    }
    zend_end_try();
    ftm_enable_functions();
    SG(server_context) = NULL;
    return FTM_G(terminated) && result == FTM_RUN_OK ? FTM_RUN_TERMINATED : result;
}
