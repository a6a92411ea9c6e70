/* A context that keeps a script booted: frankenphp_handle_request() waits for requests inside the script's loop. The
 * script itself runs as a request of its own, the boot request, whose output goes to the log. */
#include "ftm_worker.h"

#include "ext/spl/spl_exceptions.h"

/* Waiting costs no time of the script's. As at the end of a request the timer is only paused: no system call. */
static void pause_timeout(void)
{
    uint32_t flags = EG(flags);
    EG(flags) |= EG_FLAGS_IN_SHUTDOWN;
    zend_unset_timeout();
    EG(flags) = flags;
}

/* What the script does after its loop belongs to the boot request again. */
void ftm_worker_return_to_boot(void)
{
    int exit_status = EG(exit_status);
    static const ftm_request_info nothing = {.request_method = "GET", .response_code = 200};
    if (FTM_G(worker_state) != FTM_WORKER_WAITING) {
        return;
    }
    FTM_G(worker_state) = FTM_WORKER_LEAVING;
    ftm_worker_forget_input();
    ftm_worker_end_boot_output();
    ftm_worker_request_begin(FTM_G(worker_boot), &nothing);
    EG(exit_status) = exit_status;
}

/* The application's code for one request. False: it wants to end the script (exit). */
static bool call_application(zend_fcall_info *fci, zend_fcall_info_cache *fcc)
{
    zval result;
    ZVAL_UNDEF(&result);
    fci->size = sizeof(*fci);
    fci->retval = &result;
    if (zend_call_function(fci, fcc) == SUCCESS && Z_TYPE(result) != IS_UNDEF) {
        zval_ptr_dtor(&result);
    }
    if (EG(exception) == NULL) {
        return true;
    }
    if (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception))) {
        return false;
    }
    zend_exception_error(EG(exception), E_ERROR); /* says so and goes on, like any uncaught exception's end of a request */
    return true;
}

PHP_FUNCTION(frankenphp_handle_request)
{
    zend_fcall_info fci;
    zend_fcall_info_cache fcc;
    ftm_request_info info = {0};

    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_FUNC(fci, fcc)
    ZEND_PARSE_PARAMETERS_END();

    if (FTM_G(worker_state) == FTM_WORKER_NONE) {
        zend_throw_exception(spl_ce_RuntimeException, "frankenphp_handle_request() called while not in worker mode", 0);
        RETURN_THROWS();
    }
    if (FTM_G(worker_state) == FTM_WORKER_SERVING) {
        zend_throw_exception(spl_ce_RuntimeException, "frankenphp_handle_request() called inside of its own callback", 0);
        RETURN_THROWS();
    }
    if (FTM_G(worker_state) == FTM_WORKER_LEAVING || ftm_is_copy) {
        RETURN_FALSE; /* it has been told */
    }
    if (OG(running)) { /* the buffers of the boot request cannot be ended from inside of one of them */
        zend_throw_exception(spl_ce_RuntimeException, "frankenphp_handle_request() called inside of an output handler", 0);
        RETURN_THROWS();
    }
    if (FTM_G(worker_state) == FTM_WORKER_BOOTING) {
        ftm_worker_step booted = ftm_worker_request_end(); /* of the boot request */
        if (booted == FTM_WORKER_BAILED) {
            zend_bailout();
        }
        if (booted == FTM_WORKER_EXITED) {
            zend_throw_unwind_exit();
            RETURN_THROWS();
        }
    }
    ftm_worker_forget_input();
    ftm_worker_end_boot_output();
    if (EG(exception)) {
        RETURN_THROWS();
    }
    FTM_G(worker_state) = FTM_WORKER_WAITING;
    pause_timeout();
    void *request = ftm_callbacks->worker_wait(FTM_G(worker_boot), &info);
    if (request == NULL) {
        ftm_worker_return_to_boot();
        RETURN_FALSE;
    }
    FTM_G(worker_state) = FTM_WORKER_SERVING;
    ftm_worker_step began = ftm_worker_request_begin(request, &info);
    if (began == FTM_WORKER_OK) {
        ftm_callbacks->stage(request, FTM_STAGE_EXECUTING);
        if (!call_application(&fci, &fcc)) {
            zend_bailout(); /* exit(): the script ends with the request attached, its last output reaches the client */
        }
    } else if (SG(sapi_headers).http_response_code == 200) {
        SG(sapi_headers).http_response_code = began == FTM_WORKER_REFUSED ? 400 : 500;
    }
    ftm_worker_step ended = ftm_worker_request_end();
    if (FTM_G(terminated)) {
        zend_bailout(); /* its time was over in an output or session handler: as in the callback */
    }
    ftm_callbacks->worker_done(FTM_G(worker_boot), zend_memory_usage(true));
    FTM_G(worker_state) = FTM_WORKER_WAITING;
    if (began == FTM_WORKER_BAILED || ended == FTM_WORKER_BAILED) {
        zend_bailout();
    }
    if (ended == FTM_WORKER_EXITED) {
        zend_throw_unwind_exit();
        RETURN_THROWS();
    }
    RETURN_TRUE;
}

ftm_run_result ftm_run_worker(void *boot, const ftm_request_info *info, ftm_worker_end *end)
{
    FTM_G(worker_boot) = boot;
    FTM_G(worker_state) = FTM_WORKER_BOOTING;
    FTM_G(worker_has_warned) = false;
    ftm_run_result result = ftm_run_request(boot, info);
    end->booted = FTM_G(worker_state) != FTM_WORKER_BOOTING;
    end->in_request = FTM_G(worker_state) == FTM_WORKER_SERVING;
    end->exit_status = FTM_G(worker_exit_status);
    FTM_G(worker_state) = FTM_WORKER_NONE;
    FTM_G(worker_boot) = NULL;
    FTM_G(request_values) = NULL; /* the request's memory is gone, and PHP has restored all settings */
    return result;
}
