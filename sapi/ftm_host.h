/* What the C side of the boundary may ask of C++: leaf callbacks, noexcept by type, that never call back into Zend.
 * C raises (php_handle_aborted_connection, zend_bailout) only after the callback has returned, so no C++ frame is ever
 * between a zend_try and a longjmp (docs/ARCHITECTURE.md, "the wall").
 *
 * `request` is the opaque pointer given to ftm_run_request(); every callback runs on the thread that runs the request. */
#ifndef FTM_HOST_H
#define FTM_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FTM_NOEXCEPT noexcept
extern "C" {
#else
#define FTM_NOEXCEPT
#endif

typedef enum ftm_stream { FTM_STDOUT, FTM_STDERR } ftm_stream;

/* FPM's request stages (fpm_request.h), in their order. */
typedef enum ftm_stage {
    FTM_STAGE_IDLE = 1,
    FTM_STAGE_READING_HEADERS,
    FTM_STAGE_INFO,
    FTM_STAGE_EXECUTING,
    FTM_STAGE_END,
    FTM_STAGE_FINISHING
} ftm_stage;

typedef struct ftm_header_line {
    const char* line; /* "Name: value", NUL-terminated */
    size_t size;
} ftm_header_line;

/* What is known when the script has ended and before request shutdown: FPM writes its access log here. */
typedef struct ftm_script_end {
    int http_status;
    size_t peak_memory_bytes;
    const ftm_header_line* headers; /* with ftm_php_options.log_headers; valid during the call */
    size_t header_count;
} ftm_script_end;

/* Why a context's VM was interrupted, as bits. */
#define FTM_INTERRUPT_END 1u   /* request_terminate_timeout */
#define FTM_INTERRUPT_TRACE 2u /* request_slowlog_timeout */
#define FTM_TRACE_BYTES 60000u /* a longer backtrace is cut: one message to the master */

#define FTM_WORKER_REASONS 16

/* fpm_get_status(). Strings live as long as the struct. */
typedef struct ftm_pool_status {
    char name[32];
    const char* process_manager;
    int64_t now, start_time; /* wall clock, seconds */
    int64_t accepted, queue, max_queue, queue_length, idle, active, max_active, max_children_reached, slow_requests,
        memory_peak;
    unsigned processes; /* how many process_status() has */
    const char* worker_script; /* NULL: a pool without; like the names below valid until the next pool_status() */
    int64_t booting_workers, ready_workers, busy_workers, failed_workers, worker_queue;
    unsigned worker_reasons; /* how many the next two have */
    const char* worker_reason_names[FTM_WORKER_REASONS];
    int64_t worker_restarts[FTM_WORKER_REASONS];
} ftm_pool_status;

typedef struct ftm_process_status {
    int64_t pid, start_time, requests, duration_us, content_length, memory_bytes;
    double cpu_percent; /* of the last request; like memory_bytes 0 while one runs */
    const char* state_name;
    char uri[128], query[512], method[16], script[256], user[32];
    const char *worker_state, *worker_last_restart; /* "-": no worker; it has not been restarted */
    int64_t worker_requests, worker_restarts, worker_boot_us, worker_memory;
} ftm_process_status;

struct ftm_request_info; /* ftm_engine.h */

typedef struct ftm_host {
    /* 1 when taken (sent or buffered), 0 when the client is gone or the request was already finished. */
    int (*write)(void* request, ftm_stream stream, const char* data, size_t size) FTM_NOEXCEPT;
    int (*flush)(void* request) FTM_NOEXCEPT;
    /* A whole CGI header block with a 1xx status, sent at once. 1: sent; 0: not, for nobody has said that the front relays
     * it, or the client is gone, or the request finished. */
    int (*send_interim)(void* request, const char* block, size_t size) FTM_NOEXCEPT;
    /* Sends everything and END_REQUEST, once. What is written from here on is dropped. With script_goes_on the
     * connection serves its next request meanwhile. */
    void (*finish)(void* request, int script_goes_on) FTM_NOEXCEPT;
    int (*finished)(void* request) FTM_NOEXCEPT;
    /* Bytes read, 0 at the end of the body. */
    size_t (*read_body)(void* request, char* buffer, size_t size) FTM_NOEXCEPT;
    /* NUL-terminated value or NULL; lives as long as the request. */
    const char* (*get_param)(void* request, const char* name, size_t name_size) FTM_NOEXCEPT;
    /* Iterates in php-fpm's order. *cursor starts at 0; returns 0 at the end. All strings are NUL-terminated. */
    int (*next_param)(void* request, size_t* cursor, const char** name, size_t* name_size, const char** value,
                      size_t* value_size) FTM_NOEXCEPT;
    int (*extension_allowed)(void* request, const char* path) FTM_NOEXCEPT;
    void (*stage)(void* request, ftm_stage stage) FTM_NOEXCEPT;
    /* FTM_INTERRUPT_… of the running request; with FTM_INTERRUPT_TRACE *depth says how many frames. */
    unsigned (*interrupted)(void* request, int* depth) FTM_NOEXCEPT;
    /* The trace that was asked for. */
    void (*traced)(void* request, const char* text, size_t size) FTM_NOEXCEPT;
    /* Ends the request for the client without an answer: the connection is closed. */
    void (*cut)(void* request) FTM_NOEXCEPT;
    /* Not called for a request that was cut. 0: its line did not fit into the access log and was cut. */
    int (*script_ended)(void* request, const ftm_script_end* end) FTM_NOEXCEPT;
    /* "PHP message: …" (error_log(), log_errors) for the pool's log; request may be NULL. */
    void (*php_message)(void* request, const char* message) FTM_NOEXCEPT;
    /* A line of ours, level as in FPM's zlog (1 debug … 5 alert); request may be NULL. */
    void (*log)(void* request, int level, const char* message) FTM_NOEXCEPT;
    /* Worker mode; `boot` is what ftm_run_worker() was given. Blocks until this worker's next request, fills what
     * resolution found; NULL: leave the loop. */
    void* (*worker_wait)(void* boot, struct ftm_request_info* info) FTM_NOEXCEPT;
    /* The request has ended and nothing of PHP refers to it any more. heap_bytes: what the context's heap has of the system. */
    void (*worker_done)(void* boot, size_t heap_bytes) FTM_NOEXCEPT;
    int (*pool_status)(void* request, ftm_pool_status* out) FTM_NOEXCEPT;
    /* Of the processes that the last pool_status() of this request has counted; 0: no such one. */
    int (*process_status)(void* request, unsigned index, ftm_process_status* out) FTM_NOEXCEPT;
    /* The environment of the calling context (NULL-terminated "NAME=value"). */
    char** (*environment)(void) FTM_NOEXCEPT;
} ftm_host;

#ifdef __cplusplus
}
#endif
#endif
