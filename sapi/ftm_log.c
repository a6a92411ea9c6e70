/* What php-fpm's children log: to the pool's log, and joined by "; " to the STDERR stream of the running request
 * (fpm_main.c: sapi_cgi_log_fastcgi). */
#include "ftm_internal.h"

static void send_to_stderr_stream(const char *message)
{
    void *request = SG(server_context);
    size_t len = strlen(message);
    if (request == NULL || len == 0 || ftm_is_copy || !FTM_G(fcgi_logging)) {
        return; /* without a request our globals may not exist yet: modules are being loaded */
    }
    if (FTM_G(logging_request_started)) {
        ftm_callbacks->write(request, FTM_STDERR, "; ", 2);
    } else {
        FTM_G(logging_request_started) = true;
    }
    if (!ftm_callbacks->write(request, FTM_STDERR, message, len)) {
        php_handle_aborted_connection();
    }
}

void ftm_log(int level, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    ftm_callbacks->log(SG(server_context), level, message);
    send_to_stderr_stream(message);
}

/* php-fpm cuts a PHP message, it does not wrap it: with its level it has at most log_limit - 1 bytes. */
void ftm_log_message(const char *message, int syslog_type)
{
    (void)syslog_type;
    const size_t level_size = sizeof("NOTICE: ") - 1;
    size_t max = ftm_options->log_limit > level_size + 8 ? ftm_options->log_limit - 1 - level_size : 1024;
    size_t prefix_size = sizeof("PHP message: ") - 1;
    size_t size = prefix_size + strlen(message);
    /* request memory inside a request: a bailout below must not leak it */
    bool in_request = SG(server_context) != NULL;
    char *line = pemalloc(size + 1, !in_request);
    memcpy(line, "PHP message: ", prefix_size);
    memcpy(line + prefix_size, message, size - prefix_size + 1);
    if (size > max) {
        memcpy(line + max - 3, "...", 4);
    }
    ftm_callbacks->php_message(SG(server_context), line);
    send_to_stderr_stream(line);
    pefree(line, !in_request);
}
