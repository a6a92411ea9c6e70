/* Shared by the C files of sapi/ only. */
#ifndef FTM_INTERNAL_H
#define FTM_INTERNAL_H

#include "php.h"
#include "SAPI.h"
#include "php_ini.h"
#include "php_main.h"
#include "php_output.h"
#include "php_variables.h"
#include "zend_exceptions.h"
#include "zend_ini.h"
#include "zend_ini_scanner.h"

#include "ftm_engine.h"

ZEND_TSRMLS_CACHE_EXTERN()

/* Per-context globals of the module "cgi-fcgi": the ini settings php-fpm defines, and what one request needs. */
ZEND_BEGIN_MODULE_GLOBALS(ftm)
    bool rfc2616_headers;
    bool nph;
    bool force_redirect;
    bool fix_pathinfo;
    bool discard_path;
    bool fcgi_logging;
    char *redirect_status_env;
    char *error_header;
    char *fpm_config;
    bool logging_request_started; /* a STDERR message was already sent in this request: the next one is joined by "; " */
    bool terminated;              /* request_terminate_timeout has ended the script */
    int request_body_fd;          /* REQUEST_BODY_FILE, -1 unopened, -2 outside of a request */
    HashTable user_config_cache;  /* .user.ini per directory */
    struct disabled_function *disabled_functions; /* ftm_disable.c: of the running request */
    /* ftm_worker.c */
    int worker_state;             /* ftm_worker_state */
    void *worker_boot;            /* the request that the worker's script runs as */
    int worker_exit_status;
    bool worker_has_warned;       /* that a request's disable_functions does not act, since the script was booted */
    HashTable *request_values;    /* settings that the running request of a worker has changed, and what they were */
ZEND_END_MODULE_GLOBALS(ftm)

ZEND_EXTERN_MODULE_GLOBALS(ftm)
#define FTM_G(v) ZEND_MODULE_GLOBALS_ACCESSOR(ftm, v)

extern const ftm_host *ftm_callbacks;
extern const ftm_php_options *ftm_options;
extern sapi_module_struct ftm_sapi_module;
extern zend_module_entry ftm_module_entry;

/* ftm_headers.c */
int ftm_send_headers(sapi_headers_struct *headers);

/* ftm_interim.c */
bool ftm_is_interim_status(zend_long status);
extern const zend_function_entry ftm_interim_functions[];

/* ftm_environment.c */
void ftm_import_environment(zval *array);
void ftm_load_environment(zval *array);
void ftm_register_server_variables(zval *array);

/* ftm_user_ini.c */
int ftm_activate(void);
void ftm_user_ini_init(HashTable *cache);

/* ftm_ini.c */
void ftm_apply_pool_values(void);
void ftm_apply_request_values(const char *value, const char *admin_value);
void ftm_restore_request_values(void);

/* ftm_disable.c */
void ftm_disable_startup(void);
void ftm_disable_functions(const char *list);
void ftm_enable_functions(void);

/* ftm_run.c */
void ftm_prepare_request(const ftm_request_info *info);
void ftm_end_script(void);

/* ftm_interrupt.c */
void ftm_interrupt_startup(void);
void ftm_thread_handle_init(ftm_thread_handle *handle);
void ftm_end_terminated(void);

/* ftm_status.c */
PHP_FUNCTION(fpm_get_status);

/* ftm_startup.c: this process is what pcntl_fork() made of an engine. It has the thread of one script and the
 * connection of its client: it says nothing there, and ends with the script. */
extern bool ftm_is_copy;

/* ftm_log.c: zlog of a php-fpm child, that is: the log and the STDERR stream of the running request */
void ftm_log(int level, const char *format, ...) ZEND_ATTRIBUTE_FORMAT(printf, 2, 3);
void ftm_log_message(const char *message, int syslog_type);

#define FTM_LOG_DEBUG 1
#define FTM_LOG_NOTICE 2
#define FTM_LOG_WARNING 3
#define FTM_LOG_ERROR 4

#endif
