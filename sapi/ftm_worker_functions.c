/* FrankenPHP's functions beside frankenphp_handle_request() and headers_send(), for pools with worker.script. */
#include "ftm_worker.h"

#include "ext/json/php_json.h"
#include "ext/spl/spl_exceptions.h"
#include "zend_smart_str.h"

PHP_FUNCTION(frankenphp_handle_request);
PHP_FUNCTION(fastcgi_finish_request);
PHP_FUNCTION(apache_request_headers);

#define FTM_LOG_LEVEL_DEBUG (-4)
#define FTM_LOG_LEVEL_INFO 0
#define FTM_LOG_LEVEL_WARN 4
#define FTM_LOG_LEVEL_ERROR 8

PHP_FUNCTION(frankenphp_response_headers)
{
    ZEND_PARSE_PARAMETERS_NONE();
    array_init(return_value);
    zend_llist_position position;
    sapi_header_struct *header = zend_llist_get_first_ex(&SG(sapi_headers).headers, &position);
    for (; header != NULL; header = zend_llist_get_next_ex(&SG(sapi_headers).headers, &position)) {
        char *colon = memchr(header->header, ':', header->header_len);
        if (colon == NULL || colon == header->header) {
            continue;
        }
        char *value = colon + 1;
        char *end = header->header + header->header_len;
        while (value < end && (*value == ' ' || *value == '\t')) {
            value++;
        }
        add_assoc_stringl_ex(return_value, header->header, (size_t)(colon - header->header), value, (size_t)(end - value));
    }
}

PHP_FUNCTION(frankenphp_log)
{
    zend_string *message;
    zend_long level = FTM_LOG_LEVEL_INFO;
    HashTable *context = NULL;
    ZEND_PARSE_PARAMETERS_START(1, 3)
        Z_PARAM_STR(message)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(level)
        Z_PARAM_ARRAY_HT(context)
    ZEND_PARSE_PARAMETERS_END();
    smart_str line = {0};
    smart_str_append(&line, message);
    if (context != NULL && zend_hash_num_elements(context) > 0) {
        zval array;
        ZVAL_ARR(&array, context);
        smart_str_appendc(&line, ' ');
        if (php_json_encode(&line, &array, PHP_JSON_UNESCAPED_SLASHES | PHP_JSON_UNESCAPED_UNICODE) == FAILURE) {
            smart_str_free(&line);
            zend_throw_exception(spl_ce_RuntimeException, "Cannot convert the log context", 0);
            RETURN_THROWS();
        }
    }
    smart_str_0(&line);
    int fpm_level = level < FTM_LOG_LEVEL_INFO    ? FTM_LOG_DEBUG
                    : level < FTM_LOG_LEVEL_WARN  ? FTM_LOG_NOTICE
                    : level < FTM_LOG_LEVEL_ERROR ? FTM_LOG_WARNING
                                                  : FTM_LOG_ERROR;
    ftm_callbacks->log(SG(server_context), fpm_level, line.s ? ZSTR_VAL(line.s) : "");
    smart_str_free(&line);
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_handle_request, 0, 1, _IS_BOOL, 0)
    ZEND_ARG_TYPE_INFO(0, callback, IS_CALLABLE, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_bool, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_array, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_log, 0, 1, IS_VOID, 0)
    ZEND_ARG_TYPE_INFO(0, message, IS_STRING, 0)
    ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, level, IS_LONG, 0, "0")
    ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, context, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

const zend_function_entry ftm_worker_functions[] = {
    ZEND_FE(frankenphp_handle_request, arginfo_handle_request)
    ZEND_RAW_FENTRY("frankenphp_finish_request", zif_fastcgi_finish_request, arginfo_bool, 0, NULL, NULL)
    ZEND_RAW_FENTRY("frankenphp_request_headers", zif_apache_request_headers, arginfo_array, 0, NULL, NULL)
    ZEND_FE(frankenphp_response_headers, arginfo_array)
    ZEND_RAW_FENTRY("apache_response_headers", zif_frankenphp_response_headers, arginfo_array, 0, NULL, NULL)
    ZEND_FE(frankenphp_log, arginfo_log)
    ZEND_FE_END
};

void ftm_register_worker_constants(int module_number)
{
    const struct {
        const char *name;
        zend_long value;
    } levels[] = {{"FRANKENPHP_LOG_LEVEL_DEBUG", FTM_LOG_LEVEL_DEBUG},
                  {"FRANKENPHP_LOG_LEVEL_INFO", FTM_LOG_LEVEL_INFO},
                  {"FRANKENPHP_LOG_LEVEL_WARN", FTM_LOG_LEVEL_WARN},
                  {"FRANKENPHP_LOG_LEVEL_ERROR", FTM_LOG_LEVEL_ERROR}};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        zend_register_long_constant(levels[i].name, strlen(levels[i].name), levels[i].value, CONST_PERSISTENT, module_number);
    }
}
