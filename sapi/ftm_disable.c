/* disable_functions as a value of a request. php-fpm removes the functions from its child, for ever; here they are back
 * when the request has ended. They are not removed but replaced: scripts that opcache has compiled while a function was
 * there call it without looking whether it still is. */
#include "ftm_worker.h"

typedef struct disabled_function {
    struct disabled_function *next;
    zend_internal_function *original;
    zend_internal_function replacement;
} disabled_function;

static zif_handler original_function_exists;

static ZEND_NAMED_FUNCTION(call_disabled)
{
    (void)return_value;
    zend_throw_error(NULL, "Call to undefined function %s()", ZSTR_VAL(EX(func)->common.function_name));
}

static bool is_disabled(const zend_function *function)
{
    return function->type == ZEND_INTERNAL_FUNCTION && function->internal_function.handler == call_disabled;
}

static ZEND_NAMED_FUNCTION(function_exists)
{
    original_function_exists(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    if (FTM_G(disabled_functions) != NULL && Z_TYPE_P(return_value) == IS_TRUE) {
        const zend_string *name = Z_STR_P(ZEND_CALL_ARG(execute_data, 1));
        const size_t skip = ZSTR_VAL(name)[0] == '\\';
        const zend_function *function =
            zend_hash_str_find_ptr_lc(CG(function_table), ZSTR_VAL(name) + skip, ZSTR_LEN(name) - skip);
        RETVAL_BOOL(function != NULL && !is_disabled(function));
    }
}

void ftm_disable_startup(void)
{
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("function_exists"));
    if (function != NULL && original_function_exists == NULL) {
        original_function_exists = function->internal_function.handler;
        function->internal_function.handler = function_exists;
    }
}

static void disable(const char *name, size_t len)
{
    char *lower = zend_str_tolower_dup(name, len);
    zval *entry = zend_hash_str_find(CG(function_table), lower, len);
    efree(lower);
    if (entry == NULL || Z_FUNC_P(entry)->type != ZEND_INTERNAL_FUNCTION || is_disabled(Z_FUNC_P(entry))) {
        return;
    }
    disabled_function *disabled = malloc(sizeof(*disabled));
    if (disabled == NULL) {
        zend_error_noreturn(E_CORE_ERROR, "Out of memory");
    }
    disabled->original = Z_PTR_P(entry);
    disabled->replacement = *disabled->original; /* calls are compiled as for the original */
    disabled->replacement.handler = call_disabled;
    disabled->replacement.frameless_function_infos = NULL;
    disabled->next = FTM_G(disabled_functions);
    FTM_G(disabled_functions) = disabled;
    Z_PTR_P(entry) = &disabled->replacement;
}

void ftm_disable_functions(const char *list)
{
    if (FTM_G(worker_state) != FTM_WORKER_NONE) { /* its code has looked functions up already, and keeps what it finds */
        if (!FTM_G(worker_has_warned)) {
            ftm_log(FTM_LOG_WARNING, "Passing INI directive through FastCGI: disable_functions does not act on a worker, set "
                                     "php_admin_value[disable_functions] in its pool");
        }
        FTM_G(worker_has_warned) = true;
        return;
    }
    while (*list != '\0') {
        const size_t len = strcspn(list, " ,");
        if (len > 0) {
            disable(list, len);
        }
        list += len + strspn(list + len, " ,");
    }
}

void ftm_enable_functions(void)
{
    while (FTM_G(disabled_functions) != NULL) {
        disabled_function *disabled = FTM_G(disabled_functions);
        zval *entry;
        ZEND_HASH_FOREACH_VAL(CG(function_table), entry)
        {
            if (Z_PTR_P(entry) == &disabled->replacement) {
                Z_PTR_P(entry) = disabled->original;
                break;
            }
        }
        ZEND_HASH_FOREACH_END();
        FTM_G(disabled_functions) = disabled->next;
        free(disabled);
    }
}
