/* headers_send(): interim answers (1xx), and what is a final status. Which headers go into an interim answer and why its
 * names are in lower case: docs/EARLY-HINTS.md. */
#include "ftm_worker.h"
#include "zend_smart_str.h"

#define FTM_INTERIM_MAX 4096 /* what nginx' default buffer takes of a block; hints are small */

bool ftm_is_interim_status(zend_long status)
{
    while (status > 999) { /* fronts that read three digits */
        status /= 10;
    }
    return status >= 100 && status < 200;
}

static bool names_hint(const sapi_header_struct *header, size_t *name_len)
{
    static const char *const names[] = {"link", "content-security-policy"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *name_len = strlen(names[i]);
        if (header->header_len > *name_len && header->header[*name_len] == ':' &&
            strncasecmp(header->header, names[i], *name_len) == 0) {
            return true;
        }
    }
    return false;
}

/* To an HTTP/1.0 client no server may send one (RFC 9110, 15.2). */
static bool client_knows_interim(void *request)
{
    const char *protocol = ftm_callbacks->get_param(request, ZEND_STRL("SERVER_PROTOCOL"));
    return protocol == NULL || strcmp(protocol, "HTTP/1.0") != 0;
}

static bool send_interim(int status)
{
    void *request = SG(server_context);
    if (request == NULL || request == FTM_G(worker_boot) || SG(headers_sent) || SG(request_info).no_headers ||
        status == 101 || !client_knows_interim(request)) {
        return false;
    }
    smart_str block = {0};
    smart_str_appends(&block, "Status: ");
    smart_str_append_long(&block, status);
    smart_str_appends(&block, status == 103 ? " Early Hints\r\n" : "\r\n");
    bool any = false;
    zend_llist_position position;
    sapi_header_struct *header = zend_llist_get_first_ex(&SG(sapi_headers).headers, &position);
    for (; header != NULL; header = zend_llist_get_next_ex(&SG(sapi_headers).headers, &position)) {
        size_t name_len;
        if (names_hint(header, &name_len)) {
            size_t begin = ZSTR_LEN(block.s);
            smart_str_appendl(&block, header->header, header->header_len);
            zend_str_tolower(ZSTR_VAL(block.s) + begin, name_len);
            smart_str_appendl(&block, "\r\n", 2);
            any = true;
        }
    }
    smart_str_appendl(&block, "\r\n", 2);
    smart_str_0(&block);
    /* Early hints without a hint are nothing. */
    bool sent = (any || status != 103) && ZSTR_LEN(block.s) <= FTM_INTERIM_MAX &&
                ftm_callbacks->send_interim(request, ZSTR_VAL(block.s), ZSTR_LEN(block.s));
    smart_str_free(&block);
    return sent;
}

/* 1xx: an interim answer with the headers set so far, which stay for the final one. Else the headers are sent now. */
PHP_FUNCTION(headers_send)
{
    zend_long status = 200;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(status)
    ZEND_PARSE_PARAMETERS_END();
    if (status >= 100 && status < 200) {
        RETURN_LONG(send_interim((int)status) ? 1 : 0);
    }
    if (SG(sapi_headers).http_status_line) { /* of a header('HTTP/1.1 …'): it would win */
        efree(SG(sapi_headers).http_status_line);
        SG(sapi_headers).http_status_line = NULL;
    }
    SG(sapi_headers).http_response_code = (int)status;
    RETURN_LONG(sapi_send_headers());
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_headers_send, 0, 0, IS_LONG, 0)
    ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, status, IS_LONG, 0, "200")
ZEND_END_ARG_INFO()

const zend_function_entry ftm_interim_functions[] = {
    ZEND_FE(headers_send, arginfo_headers_send)
    ZEND_FE_END
};
