/* Worker mode between the C files of sapi/ (docs/ARCHITECTURE.md, "Worker mode"). */
#ifndef FTM_WORKER_H
#define FTM_WORKER_H

#include "ftm_internal.h"

typedef enum ftm_worker_state {
    FTM_WORKER_NONE,    /* this context runs classic requests */
    FTM_WORKER_BOOTING, /* the script has not yet asked for a request */
    FTM_WORKER_WAITING,
    FTM_WORKER_SERVING,
    FTM_WORKER_LEAVING  /* the script has been told to end its loop */
} ftm_worker_state;

/* ftm_worker_request.c: a stripped php_request_startup()/php_request_shutdown() around each request of a worker. Both
 * may run PHP code (output handlers, session handlers) and catch its bailouts. */
typedef enum ftm_worker_step {
    FTM_WORKER_OK,
    FTM_WORKER_EXITED,  /* an output or session handler has called exit() */
    FTM_WORKER_REFUSED, /* the input made an exception: there is nothing to run */
    FTM_WORKER_BAILED   /* PHP's state is not to be trusted: end the script */
} ftm_worker_step;

ftm_worker_step ftm_worker_request_begin(void *request, const ftm_request_info *info);
ftm_worker_step ftm_worker_request_end(void);
/* The superglobals of the request that was, when the script asks for the next one. May bail out or leave an exception. */
void ftm_worker_forget_input(void);
/* What the script has left in output buffers between two requests goes to the log. May bail out or leave an exception. */
void ftm_worker_end_boot_output(void);

/* ftm_worker.c: when a worker's script ends between two requests */
void ftm_worker_return_to_boot(void);

/* ftm_worker_session.c; both run user code. The first may leave an exception. */
void ftm_worker_auto_start_session(void);
void ftm_worker_reset_session(void);

/* ftm_worker_functions.c; registered in pools with worker.script only */
extern const zend_function_entry ftm_worker_functions[];
void ftm_register_worker_constants(int module_number);

#endif
