/* The sapi_module_struct: translation of PHP's callbacks to ftm_host, no logic beyond that. */
#include "ftm_worker.h"

#include <fcntl.h>
#include <unistd.h>

const ftm_host *ftm_callbacks;

static size_t ftm_ub_write(const char *data, size_t size)
{
    void *request = SG(server_context);
    if (request == NULL) { /* during start-up and shutdown of the host: as php-fpm before fpm is running */
        ssize_t n = write(STDOUT_FILENO, data, size);
        return n > 0 ? (size_t)n : 0;
    }
    if (size == 0 || ftm_is_copy || ftm_callbacks->write(request, FTM_STDOUT, data, size)) {
        return size;
    }
    php_handle_aborted_connection();
    return 0;
}

static void ftm_flush(void *request)
{
    if (request == NULL || ftm_is_copy) {
        return;
    }
    sapi_send_headers();
    if (!ftm_callbacks->flush(request)) {
        php_handle_aborted_connection();
    }
}

static char *ftm_getenv(const char *name, size_t name_len)
{
    void *request = SG(server_context);
    if (FTM_G(worker_state) != FTM_WORKER_NONE && name_len == sizeof("FRANKENPHP_WORKER") - 1 &&
        memcmp(name, "FRANKENPHP_WORKER", name_len) == 0) {
        return "1"; /* in $_SERVER only while the script boots */
    }
    return request ? (char *)ftm_callbacks->get_param(request, name, name_len) : NULL;
}

static char *ftm_read_cookies(void)
{
    return ftm_getenv(ZEND_STRL("HTTP_COOKIE"));
}

/* REQUEST_BODY_FILE: a front that already stored the body names the file instead of sending it. */
static int open_body_file(void)
{
    const char *file = ftm_getenv(ZEND_STRL("REQUEST_BODY_FILE"));
    if (!file || !*file) {
        return -2;
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        php_error(E_WARNING, "REQUEST_BODY_FILE: open('%s') failed: %s (%d)", file, strerror(errno), errno);
    }
    return fd;
}

static size_t ftm_read_post(char *buffer, size_t size)
{
    /* A negative length ("-1", unknown) is as large as can be, as in php-fpm: the body ends where STDIN ends. */
    size_t remaining = (size_t)(SG(request_info).content_length - SG(read_post_bytes));
    if (remaining < size) {
        size = remaining;
    }
    if (FTM_G(request_body_fd) == -1) {
        FTM_G(request_body_fd) = open_body_file();
        if (FTM_G(request_body_fd) == -1) {
            return 0;
        }
    }
    size_t got = 0;
    while (got < size) {
        ssize_t n = FTM_G(request_body_fd) >= 0 ? read(FTM_G(request_body_fd), buffer + got, size - got)
                                                : (ssize_t)ftm_callbacks->read_body(SG(server_context), buffer + got, size - got);
        if (n <= 0) {
            break;
        }
        got += (size_t)n;
    }
    return got;
}

/* The answer ends here, as in php-fpm: everything a script can still print has been printed. */
static int ftm_deactivate(void)
{
    void *request = SG(server_context);
    if (ftm_is_copy) {
        _exit(EG(exit_status));
    }
    if (SG(sapi_started) && request) {
        ftm_callbacks->finish(request, 0);
    }
    return SUCCESS;
}

static int ftm_startup(sapi_module_struct *module)
{
    return php_module_startup(module, &ftm_module_entry);
}

sapi_module_struct ftm_sapi_module = {
    .name = "fpm-fcgi",
    .pretty_name = "FPM/FastCGI",
    .startup = ftm_startup,
    .shutdown = php_module_shutdown_wrapper,
    .activate = ftm_activate,
    .deactivate = ftm_deactivate,
    .ub_write = ftm_ub_write,
    .flush = ftm_flush,
    .getenv = ftm_getenv,
    .sapi_error = php_error,
    .send_headers = ftm_send_headers,
    .read_post = ftm_read_post,
    .read_cookies = ftm_read_cookies,
    .register_server_variables = ftm_register_server_variables,
    .log_message = ftm_log_message,
};
