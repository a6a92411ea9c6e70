/* Response headers in CGI form, as php-fpm writes them (sapi_cgi_send_headers): "Status:" first when it is not 200. */
#include "ftm_internal.h"
#include "http_status_codes.h"

#define STATUS_LINE_MAX 1024

static bool is_header(const sapi_header_struct *header, const char *name, size_t name_len)
{
    return header->header_len > name_len && strncasecmp(header->header, name, name_len) == 0;
}
#define IS_HEADER(header, name) is_header((header), (name), sizeof(name) - 1)

static bool script_set_status(sapi_headers_struct *headers)
{
    zend_llist_position pos;
    sapi_header_struct *h = zend_llist_get_first_ex(&headers->headers, &pos);
    for (; h; h = zend_llist_get_next_ex(&headers->headers, &pos)) {
        if (IS_HEADER(h, "Status:") && !ftm_is_interim_status(atoi(h->header + sizeof("Status:") - 1))) {
            return true;
        }
    }
    return false;
}

static const char *reason_of(int code)
{
    for (const http_response_status_code_pair *p = http_status_map; p->code != 0; p++) {
        if (p->code == code) {
            return p->str;
        }
    }
    return NULL;
}

/* Writes the status line into buf; returns its length, or 0 when the script's own "Status:" header is to be used. */
static int status_line(sapi_headers_struct *headers, char *buf, size_t size, int *response_status)
{
    const char *line = SG(sapi_headers).http_status_line;
    const char *space = line ? strchr(line, ' ') : NULL;
    int code = SG(sapi_headers).http_response_code;

    if (FTM_G(rfc2616_headers) && line) {
        if (space) {
            *response_status = atoi(space + 1);
        }
        return MIN(slprintf(buf, size, "%s", line), (int)size - 1);
    }
    if (space && space - line >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        *response_status = atoi(space + 1);
        return MIN(slprintf(buf, size, "Status:%s", space), (int)size - 1);
    }
    if (script_set_status(headers)) {
        return 0;
    }
    const char *reason = reason_of(code);
    return reason ? slprintf(buf, size, "Status: %d %s", code, reason) : slprintf(buf, size, "Status: %d", code);
}

/* To every front 1xx means that another header block follows; what it would read as that is the page, which others may
 * have written. php-fpm sends it; FrankenPHP's final status is 200, too. */
static void replace_interim_status(void)
{
    const char *line = SG(sapi_headers).http_status_line;
    const char *space = line ? strchr(line, ' ') : NULL;
    if (ftm_is_interim_status(SG(sapi_headers).http_response_code) || (space && ftm_is_interim_status(atoi(space + 1)))) {
        SG(sapi_headers).http_response_code = 200;
        if (line) {
            efree(SG(sapi_headers).http_status_line);
            SG(sapi_headers).http_status_line = NULL;
        }
    }
}

int ftm_send_headers(sapi_headers_struct *headers)
{
    if (SG(server_context) != NULL && SG(server_context) == FTM_G(worker_boot)) {
        return SAPI_HEADER_SENT_SUCCESSFULLY; /* nobody reads them */
    }
    char buf[STATUS_LINE_MAX];
    bool ignore_status = false;
    replace_interim_status();
    int response_status = SG(sapi_headers).http_response_code;

    if (SG(request_info).no_headers == 1) {
        return SAPI_HEADER_SENT_SUCCESSFULLY;
    }
    if (FTM_G(nph) || SG(sapi_headers).http_response_code != 200) {
        int len = status_line(headers, buf, sizeof(buf), &response_status);
        if (len > 0) {
            PHPWRITE_H(buf, len);
            PHPWRITE_H("\r\n", 2);
            ignore_status = true;
        }
    }

    zend_llist_position pos;
    sapi_header_struct *h = zend_llist_get_first_ex(&headers->headers, &pos);
    for (; h; h = zend_llist_get_next_ex(&headers->headers, &pos)) {
        if (h->header_len == 0) {
            continue; /* an empty line would end the header block */
        }
        if (IS_HEADER(h, "Status:")) {
            if (ignore_status || ftm_is_interim_status(atoi(h->header + sizeof("Status:") - 1))) {
                continue;
            }
            ignore_status = true;
        } else if (response_status == 304 && IS_HEADER(h, "Content-Type:")) {
            continue;
        }
        PHPWRITE_H(h->header, h->header_len);
        PHPWRITE_H("\r\n", 2);
    }
    PHPWRITE_H("\r\n", 2);
    return SAPI_HEADER_SENT_SUCCESSFULLY;
}
