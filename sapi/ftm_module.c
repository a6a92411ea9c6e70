/* The internal module "cgi-fcgi": php-fpm's ini settings and userland functions. */
#include "ftm_worker.h"
#include "ext/standard/head.h"
#include "ext/standard/info.h"

ZEND_DECLARE_MODULE_GLOBALS(ftm)

PHP_INI_BEGIN()
    STD_PHP_INI_BOOLEAN("cgi.rfc2616_headers", "0", PHP_INI_ALL, OnUpdateBool, rfc2616_headers, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_BOOLEAN("cgi.nph", "0", PHP_INI_ALL, OnUpdateBool, nph, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_BOOLEAN("cgi.force_redirect", "1", PHP_INI_SYSTEM, OnUpdateBool, force_redirect, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_ENTRY("cgi.redirect_status_env", NULL, PHP_INI_SYSTEM, OnUpdateString, redirect_status_env, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_BOOLEAN("cgi.fix_pathinfo", "1", PHP_INI_SYSTEM, OnUpdateBool, fix_pathinfo, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_BOOLEAN("cgi.discard_path", "0", PHP_INI_SYSTEM, OnUpdateBool, discard_path, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_BOOLEAN("fastcgi.logging", "1", PHP_INI_SYSTEM, OnUpdateBool, fcgi_logging, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_ENTRY("fastcgi.error_header", NULL, PHP_INI_SYSTEM, OnUpdateString, error_header, zend_ftm_globals, ftm_globals)
    STD_PHP_INI_ENTRY("fpm.config", NULL, PHP_INI_SYSTEM, OnUpdateString, fpm_config, zend_ftm_globals, ftm_globals)
PHP_INI_END()

static void globals_ctor(void *ptr)
{
    zend_ftm_globals *globals = ptr;
    memset(globals, 0, sizeof(*globals));
    globals->force_redirect = true;
    globals->fix_pathinfo = true;
    globals->fcgi_logging = true;
    globals->request_body_fd = -2;
    ftm_user_ini_init(&globals->user_config_cache);
}

static void globals_dtor(void *ptr)
{
    zend_ftm_globals *globals = ptr;
    zend_hash_destroy(&globals->user_config_cache);
}

static PHP_MINIT_FUNCTION(ftm)
{
    (void)type;
    REGISTER_INI_ENTRIES();
    if ((ftm_options->worker || ftm_options->early_hints) &&
        zend_register_functions(NULL, ftm_interim_functions, NULL, type) != SUCCESS) {
        return FAILURE;
    }
    if (ftm_options->worker) {
        ftm_register_worker_constants(module_number);
        return zend_register_functions(NULL, ftm_worker_functions, NULL, type);
    }
    return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(ftm)
{
    (void)type;
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(ftm)
{
    php_info_print_table_start();
    php_info_print_table_row(2, "php-fpm", "active");
    php_info_print_table_end();
    DISPLAY_INI_ENTRIES();
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_bool, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_array, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_status, 0, 0, MAY_BE_ARRAY | MAY_BE_FALSE)
ZEND_END_ARG_INFO()

/* Ends the request for the client; the script goes on. */
PHP_FUNCTION(fastcgi_finish_request)
{
    ZEND_PARSE_PARAMETERS_NONE();
    void *request = SG(server_context);
    if (request == NULL || ftm_is_copy || ftm_callbacks->finished(request)) {
        RETURN_FALSE;
    }
    php_output_end_all();
    php_header();
    ftm_callbacks->finish(request, 1);
    RETURN_TRUE;
}

PHP_FUNCTION(apache_request_headers)
{
    ZEND_PARSE_PARAMETERS_NONE();
    void *request = SG(server_context);
    size_t cursor = 0;
    const char *name, *value;
    size_t name_size, value_size;

    array_init(return_value);
    while (request && ftm_callbacks->next_param(request, &cursor, &name, &name_size, &value, &value_size)) {
        sapi_add_request_header(name, (unsigned int)name_size, (char *)value, (unsigned int)value_size, return_value);
    }
}

static const zend_function_entry functions[] = {
    ZEND_FE(fastcgi_finish_request, arginfo_bool)
    ZEND_FE(apache_request_headers, arginfo_array)
    ZEND_FE(fpm_get_status, arginfo_status)
    ZEND_RAW_FENTRY("getallheaders", zif_apache_request_headers, arginfo_array, 0, NULL, NULL)
    ZEND_FE_END
};

zend_module_entry ftm_module_entry = {
    STANDARD_MODULE_HEADER,
    "cgi-fcgi",
    functions,
    PHP_MINIT(ftm),
    PHP_MSHUTDOWN(ftm),
    NULL,
    NULL,
    PHP_MINFO(ftm),
    PHP_VERSION,
    PHP_MODULE_GLOBALS(ftm),
    globals_ctor,
    globals_dtor,
    NULL,
    STANDARD_MODULE_PROPERTIES_EX
};
