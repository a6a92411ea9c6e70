/* Between two requests of a worker: nothing of a visitor's session stays, the application's save handlers do
 * (ext/session: php_rshutdown_session_globals() and php_rinit_session_globals(), less what frees user handlers). */
#include "ftm_worker.h"
#include "ext/session/php_session.h"

static bool has_session_module(void)
{
    return zend_hash_str_exists(&module_registry, ZEND_STRL("session"));
}

/* As ext/session does in the next session_start(), but the next visitor's page may have none. The constant itself must
 * stay: compiled code points to it. */
static void forget_sid_constant(void)
{
    zval *sid = zend_get_constant_str(ZEND_STRL("SID"));
    if (sid != NULL) {
        zval_ptr_dtor(sid);
        ZVAL_EMPTY_STRING(sid);
    }
}

/* What ext/session does at the end of its request start-up. */
void ftm_worker_auto_start_session(void)
{
    if (has_session_module() && PS(auto_start) && PS(mod) != NULL && PS(serializer) != NULL) {
        php_session_start();
    }
}

void ftm_worker_reset_session(void)
{
    volatile bool bailed = false;
    if (!has_session_module()) {
        return;
    }
    if (PS(session_status) == php_session_active) {
        zend_try
        {
            php_session_flush(1);
        }
        zend_catch
        {
            bailed = true;
        }
        zend_end_try();
    }
    if (!Z_ISUNDEF(PS(http_session_vars))) {
        zval_ptr_dtor(&PS(http_session_vars));
        ZVAL_UNDEF(&PS(http_session_vars));
    }
    /* After a bailout inside a save handler the guard is still set: close would refuse, and the file stay locked. */
    PS(in_save_handler) = 0;
    if (PS(mod) && (PS(mod_data) || PS(mod_user_implemented))) {
        zend_try
        {
            PS(mod)->s_close(&PS(mod_data));
        }
        zend_catch
        {
            bailed = true;
        }
        zend_end_try();
    }
    if (PS(id)) {
        zend_string_release_ex(PS(id), 0);
        PS(id) = NULL;
    }
    if (PS(session_vars)) {
        zend_string_release_ex(PS(session_vars), 0);
        PS(session_vars) = NULL;
    }
    if (PS(session_started_filename)) {
        zend_string_release(PS(session_started_filename));
        PS(session_started_filename) = NULL;
        PS(session_started_lineno) = 0;
    }
    PS(session_status) = php_session_none;
    PS(in_save_handler) = 0;
    PS(set_handler) = 0;
    PS(mod_data) = NULL;
    PS(mod_user_is_open) = 0;
    PS(define_sid) = 1;
    forget_sid_constant();
    zend_hash_str_del(&EG(symbol_table), ZEND_STRL("_SESSION"));
    if (bailed) {
        zend_bailout();
    }
}
