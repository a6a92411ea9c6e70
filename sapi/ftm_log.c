/* What php-fpm's children log: to the pool's log, and joined by "; " to the STDERR stream of the running request
 * (fpm_main.c: sapi_cgi_log_fastcgi). */
#include "ftm_internal.h"

static void send_to_stderr_stream(const char *message)
{
    void *request = SG(server_context);
    size_t len = strlen(message);
    if (!FTM_G(fcgi_logging) || request == NULL || len == 0) {
        return;
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

void ftm_log_message(const char *message, int syslog_type)
{
    (void)syslog_type;
    ftm_callbacks->php_message(SG(server_context), message);
    char *line = NULL;
    int len = asprintf(&line, "PHP message: %s", message);
    if (len >= 0) {
        char *owned = SG(server_context) ? estrndup(line, (size_t)len) : NULL;
        free(line);
        if (owned) { /* request memory: a bailout below must not leak it */
            send_to_stderr_stream(owned);
            efree(owned);
        }
    }
}
