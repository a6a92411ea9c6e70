/* libphp as C++ sees it: start-up in the pool host, one thread attach per context, one call per request.
 * Every zend_try of the project is behind these functions; none of them longjmps out, none throws. */
#ifndef FTM_ENGINE_H
#define FTM_ENGINE_H

#include "ftm_host.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One php_value/php_admin_value of the pool, applied to each context as php-fpm applies it to each child. */
typedef struct ftm_ini_value {
    const char* key;
    const char* value;
    int admin; /* php_admin_value: locked against ini_set() and .user.ini */
} ftm_ini_value;

typedef struct ftm_php_options {
    const char* executable;      /* argv[0] */
    const char* ini_path;        /* -c, or NULL */
    int ini_ignore;              /* -n */
    const char* ini_entries;     /* "key=value\n" lines of -d and of opcache/apc pool values, or NULL */
    const ftm_ini_value* values; /* applied by ftm_thread_attach(), in order */
    size_t value_count;
    int worker;                  /* the pool has worker.script: FrankenPHP's functions exist */
    int early_hints;             /* not off: headers_send() exists; it does in pools with workers in any case */
    size_t log_limit;            /* bytes of a logged PHP message with its level (log_limit of php-fpm.conf) */
    int log_headers;             /* access.format shows response headers */
    /* Called by opcache instead of restarting itself; async-signal-safe code only: it runs under opcache's lock. */
    void (*opcache_restart)(int reason) FTM_NOEXCEPT;
} ftm_php_options;

/* What resolution found; strings are NUL-terminated and outlive ftm_run_request(). NULL path_translated: 404. */
typedef struct ftm_request_info {
    const char* request_method;
    const char* query_string;
    const char* content_type;
    const char* request_uri;
    const char* path_translated;
    const char* authorization;
    const char* php_value;       /* FastCGI parameters PHP_VALUE and PHP_ADMIN_VALUE, or NULL: act on this request only */
    const char* php_admin_value;
    int64_t content_length;
    int response_code; /* what is answered if nobody sets another: 404 when no script was found */
} ftm_request_info;

typedef enum ftm_run_result {
    FTM_RUN_OK,         /* ended by itself: return, exit, fatal error; the context is clean */
    FTM_RUN_POISONED,   /* a bailout escaped from request startup or shutdown: end this thread, start another */
    FTM_RUN_TERMINATED  /* interrupted because its time was over. Persistent connections may be in the middle of
                           something: end this thread, start another, as php-fpm starts another child */
} ftm_run_result;

typedef struct ftm_ini_settings {
    int fix_pathinfo;
    int discard_path;
    const char* doc_root; /* or NULL */
    int expose_php;
    const char* default_charset;  /* or NULL */
    const char* default_mimetype; /* or NULL */
} ftm_ini_settings;

/* What decides how much of a body is kept, and where. Strings live as long as the context. */
typedef struct ftm_body_settings {
    int64_t post_max_size;  /* 0: no limit */
    int is_fixed;           /* php_admin_value: only PHP_ADMIN_VALUE of a request can change it */
    int per_directory;      /* php.ini has [PATH=] or [HOST=] sections */
    const char* user_ini;   /* user_ini.filename, or "" */
    const char* upload_dir; /* upload_tmp_dir, else sys_temp_dir, else "" */
} ftm_body_settings;

/* PHP_VERSION and the `php-fpm -v` text; need no start-up. */
const char* ftm_php_version(void) FTM_NOEXCEPT;
const char* ftm_version_text(void) FTM_NOEXCEPT;

/* Pool host, single-threaded. 0 = ok. `options` must stay valid until ftm_php_shutdown(). */
int ftm_php_startup(const ftm_php_options* options, const ftm_host* host) FTM_NOEXCEPT;
void ftm_php_shutdown(void) FTM_NOEXCEPT;
/* php-fpm -m and -i, after ftm_php_startup(), to stdout. */
void ftm_print_modules(void) FTM_NOEXCEPT;
int ftm_print_information(void) FTM_NOEXCEPT;
/* Engine, right after fork and after chroot/chdir, before any context exists. */
void ftm_php_after_fork(void) FTM_NOEXCEPT;

/* What other threads may reach of a context. Filled by ftm_thread_attach(), valid until ftm_thread_detach(). */
typedef struct ftm_thread_handle {
    void* vm_interrupt; /* zend_atomic_bool* */
    const void* const* current_execute_data;
    const char* const* path_translated;
} ftm_thread_handle;

/* Any thread, while the context is attached: its VM calls ftm_host.interrupted() at its next chance. */
void ftm_thread_interrupt(const ftm_thread_handle* handle) FTM_NOEXCEPT;

/* The context's backtrace as php-fpm's slowlog has it, NUL-terminated; returns its length. At most `depth` frames. The
 * context's own thread passes pipe NULL; any other one an empty, non-blocking pipe of its own, while the context is
 * attached. What such a one gets is right if the context did not run meanwhile, and harmless if it did. */
size_t ftm_thread_trace(const ftm_thread_handle* handle, const int pipe[2], int depth, char* out,
                        size_t size) FTM_NOEXCEPT;

/* Context thread: before its first and after its last request. 0 = ok. */
int ftm_thread_attach(ftm_thread_handle* handle) FTM_NOEXCEPT;
void ftm_thread_detach(void) FTM_NOEXCEPT;
void ftm_thread_settings(ftm_ini_settings* out) FTM_NOEXCEPT;
void ftm_thread_body_settings(ftm_body_settings* out) FTM_NOEXCEPT;
/* Gives back what the last requests' peak has left in the thread's heap. Only between two requests, also of a worker. */
void ftm_thread_trim(void) FTM_NOEXCEPT;
/* Whether realpath() finds this absolute path; the context's realpath cache is asked first, as in php-fpm. */
int ftm_thread_path_exists(const char* path) FTM_NOEXCEPT;
ftm_run_result ftm_run_request(void* request, const ftm_request_info* info) FTM_NOEXCEPT;

/* How a worker's script ended. */
typedef struct ftm_worker_end {
    int booted;     /* it has asked for a request at least once */
    int in_request; /* it ended while serving one (exit, fatal error) */
    int exit_status;
} ftm_worker_end;

/* Runs worker.script as the request `boot`; its frankenphp_handle_request() calls worker_wait and worker_done. */
ftm_run_result ftm_run_worker(void* boot, const ftm_request_info* info, ftm_worker_end* end) FTM_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
