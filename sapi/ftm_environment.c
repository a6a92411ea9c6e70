/* $_SERVER, $_ENV and getenv(): the context's environment, then the request's parameters, then PHP_SELF
 * (fpm_main.c: cgi_php_import_environment_variables, sapi_cgi_register_variables). */
#include "ftm_worker.h"

static void import_context_environment(zval *array)
{
    for (char **env = ftm_callbacks->environment(); env != NULL && *env != NULL; env++) {
        char *equals = strchr(*env, '=');
        if (equals == NULL || equals == *env) {
            continue;
        }
        size_t name_len = (size_t)(equals - *env);
        /* names that a PHP variable name cannot hold are left out, as in main/php_variables.c */
        if (strcspn(*env, " .[") < name_len) {
            continue;
        }
        zval value;
        zend_ulong index;
        ZVAL_STRING(&value, equals + 1);
        if (ZEND_HANDLE_NUMERIC_STR(*env, name_len, index)) {
            zend_hash_index_update(Z_ARRVAL_P(array), index, &value);
        } else {
            zend_string *key = zend_string_init_interned(*env, name_len, 0);
            zend_hash_update_ind(Z_ARRVAL_P(array), key, &value);
            zend_string_release_ex(key, 0);
        }
    }
}

static void import_params(zval *array, bool filtered)
{
    void *request = SG(server_context);
    size_t cursor = 0;
    const char *name, *value;
    size_t name_size, value_size;

    if (request == NULL) {
        return;
    }
    int filter_arg = Z_ARR_P(array) == Z_ARR(PG(http_globals)[TRACK_VARS_ENV]) ? PARSE_ENV : PARSE_SERVER;
    while (ftm_callbacks->next_param(request, &cursor, &name, &name_size, &value, &value_size)) {
        char *val = (char *)value;
        size_t val_len = value_size;
        if (!filtered || sapi_module.input_filter(filter_arg, name, &val, strlen(val), &val_len)) {
            php_register_variable_safe(name, val, val_len, array);
        }
    }
}

/* $_SERVER and $_ENV hold the same: whichever is made second is a copy of the first. (In a worker $_ENV stays.) */
static bool copy_of_other_array(zval *array, int which)
{
    zval *other = &PG(http_globals)[which];
    if (FTM_G(worker_state) > FTM_WORKER_BOOTING || Z_TYPE_P(other) != IS_ARRAY || Z_ARR_P(array) == Z_ARR_P(other) ||
        zend_hash_num_elements(Z_ARRVAL_P(other)) == 0) {
        return false;
    }
    zend_array_destroy(Z_ARR_P(array));
    Z_ARR_P(array) = zend_array_dup(Z_ARR_P(other));
    return true;
}

void ftm_import_environment(zval *array)
{
    if (copy_of_other_array(array, TRACK_VARS_ENV) || copy_of_other_array(array, TRACK_VARS_SERVER)) {
        return;
    }
    import_context_environment(array);
    import_params(array, true);
}

void ftm_load_environment(zval *array)
{
    import_context_environment(array);
    import_params(array, false);
}

void ftm_register_server_variables(zval *array)
{
    void *request = SG(server_context);
    const char *uri = SG(request_info).request_uri ? SG(request_info).request_uri : "";
    const char *path_info = NULL;

    php_import_environment_variables(array);

    if (FTM_G(fix_pathinfo) && request) {
        path_info = ftm_callbacks->get_param(request, ZEND_STRL("PATH_INFO"));
    }
    zend_string *self = zend_string_concat2(uri, strlen(uri), path_info ? path_info : "", path_info ? strlen(path_info) : 0);
    char *php_self = estrndup(ZSTR_VAL(self), ZSTR_LEN(self));
    size_t php_self_len = ZSTR_LEN(self);
    zend_string_release(self);
    if (sapi_module.input_filter(PARSE_SERVER, "PHP_SELF", &php_self, php_self_len, &php_self_len)) {
        php_register_variable_safe("PHP_SELF", php_self, php_self_len, array);
    }
    efree(php_self);
}
