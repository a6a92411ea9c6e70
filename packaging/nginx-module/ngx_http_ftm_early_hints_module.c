
/*
 * Copyright (C) the php-ftm authors. MIT license, see LICENSE.
 *
 * Relays 103 Early Hints of a FastCGI application: $ftm_early_hints, as the
 * value of a fastcgi_param, prepares the request for them and is "1" if the
 * client is to see them.
 *
 * nginx's upstream code knows interim answers since 1.29.0, but only protocol
 * modules tell it of one, by NGX_HTTP_UPSTREAM_EARLY_HINTS from
 * process_header(); the FastCGI module takes the first header block for the
 * answer.  So its process_header() is wrapped, for one request at a time.
 * Which header fields pass, to whom (directive early_hints) and how they are
 * written in each version of HTTP is nginx's own code.
 *
 * Whoever evaluates the variable does so while the request to the application
 * is being made.  Thus the application is told that hints are welcome in those
 * requests only that have the wrapper, whatever fastcgi_pass, "if", error_page
 * or subrequest led there; and a configuration that names the variable without
 * the module does not start.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (nginx_version < 1029000)
#error this nginx has no early hints: 1.29.0 is the first that does
#endif


#define NGX_HTTP_FTM_RECORD_HEADER  8
#define NGX_HTTP_FTM_STDOUT         6
#define NGX_HTTP_FTM_STDERR         7


/*
 * Where in the stream of FastCGI records the FastCGI module has arrived, whose
 * own account of it is private.
 */

typedef struct {
    u_char       header[NGX_HTTP_FTM_RECORD_HEADER];
    size_t       have;      /* bytes of header; 0 between records */
    size_t       content;   /* bytes of the record that are still to come */
    size_t       padding;
} ngx_http_ftm_position_t;


typedef struct {
    ngx_int_t  (*process_header)(ngx_http_request_t *r);
    ngx_int_t  (*reinit_request)(ngx_http_request_t *r);

    ngx_http_ftm_position_t  position;
} ngx_http_ftm_ctx_t;


static ngx_int_t ngx_http_ftm_early_hints_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ftm_wrap(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ngx_int_t ngx_http_ftm_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_ftm_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_ftm_interim(ngx_http_request_t *r,
    ngx_http_ftm_ctx_t *ctx);
static void ngx_http_ftm_advance(ngx_http_ftm_position_t *at, u_char *p,
    u_char *last);
static ngx_int_t ngx_http_ftm_add_variables(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_ftm_early_hints_module_ctx = {
    ngx_http_ftm_add_variables,            /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_ftm_early_hints_module = {
    NGX_MODULE_V1,
    &ngx_http_ftm_early_hints_module_ctx,  /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_ftm_early_hints_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_upstream_t       *u;
    ngx_http_core_loc_conf_t  *clcf;

    v->len = 0;
    v->data = (u_char *) "1";
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    u = r->upstream;

    if (u == NULL
        || u->conf == NULL
        || u->conf->module.len != sizeof("fastcgi") - 1
        || ngx_strncmp(u->conf->module.data, "fastcgi", sizeof("fastcgi") - 1)
           != 0)
    {
        return NGX_OK;
    }

    /* also for a client that sees no hints: it must not see what they are */

    if (ngx_http_ftm_wrap(r, u) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r != r->main || r->http_version < NGX_HTTP_VERSION_11) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    switch (ngx_http_test_predicates(r, clcf->early_hints)) {

    case NGX_DECLINED:
        v->len = 1;
        return NGX_OK;

    case NGX_ERROR:
        return NGX_ERROR;

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_ftm_wrap(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    ngx_http_ftm_ctx_t  *ctx;

    if (u->process_header == ngx_http_ftm_process_header) {
        return NGX_OK;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_ftm_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->process_header = u->process_header;
    ctx->reinit_request = u->reinit_request;

    u->process_header = ngx_http_ftm_process_header;
    u->reinit_request = ngx_http_ftm_reinit_request;

    ngx_http_set_ctx(r, ctx, ngx_http_ftm_early_hints_module);

    return NGX_OK;
}


/* Before the next server is asked, or a stale answer taken from the cache. */

static ngx_int_t
ngx_http_ftm_reinit_request(ngx_http_request_t *r)
{
    ngx_http_ftm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ftm_early_hints_module);

    ngx_memzero(&ctx->position, sizeof(ngx_http_ftm_position_t));

    return ctx->reinit_request(r);
}


static ngx_int_t
ngx_http_ftm_process_header(ngx_http_request_t *r)
{
    size_t                front;
    u_char               *pos, *last, saved[NGX_HTTP_FTM_RECORD_HEADER];
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;
    ngx_http_ftm_ctx_t   *ctx;
#if (NGX_HTTP_CACHE)
    size_t                header_start;
#endif

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_ftm_early_hints_module);

    pos = u->buffer.pos;
    last = u->buffer.last;

    /*
     * With a cache the FastCGI module may write a record header over the first
     * bytes, in the place of a long stderr record's end.
     */

    front = ngx_min((size_t) (last - pos), sizeof(saved));
    ngx_memcpy(saved, pos, front);

#if (NGX_HTTP_CACHE)
    header_start = r->cache ? r->cache->header_start : 0;
#endif

    rc = ctx->process_header(r);

#if (NGX_HTTP_CACHE)

    /*
     * If that end is too short for one, the FastCGI module moves the beginning
     * of the data instead, and the answer cannot be read from the cache again.
     */

    if (r->cache && r->cache->header_start != header_start) {
        r->cache->header_start = header_start;
        u->cacheable = 0;
    }

#endif

    if (rc == NGX_OK) {
        status = u->headers_in.status_n;

        if (status < 100 || status >= 200
            || status == NGX_HTTP_SWITCHING_PROTOCOLS)
        {
            return NGX_OK;
        }

        last = u->buffer.pos;

    } else if (rc != NGX_AGAIN) {
        return rc;
    }

    /* NGX_AGAIN: all of it has been read, though buffer.pos may be reset */

    front = ngx_min((size_t) (last - pos), front);

    ngx_http_ftm_advance(&ctx->position, saved, saved + front);
    ngx_http_ftm_advance(&ctx->position, pos + front, last);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_http_ftm_interim(r, ctx);
}


/*
 * What follows an interim answer is made the beginning of a response: the
 * FastCGI module starts anew, and if the record goes on (with the next header
 * block, or with padding) that rest gets a record header.  So a cache stores
 * whole records, and errors sent before the final header may be as long as
 * without hints.
 */

static ngx_int_t
ngx_http_ftm_interim(ngx_http_request_t *r, ngx_http_ftm_ctx_t *ctx)
{
    u_char                   *h, *first;
    ngx_buf_t                *b;
    ngx_uint_t                status;
    ngx_http_upstream_t      *u;
    ngx_http_ftm_position_t  *at;

    u = r->upstream;
    b = &u->buffer;
    at = &ctx->position;
    status = u->headers_in.status_n;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http ftm interim answer %ui, left in record: %uz+%uz",
                   status, at->content, at->padding);

    if (at->have) {
        first = b->start;

#if (NGX_HTTP_CACHE)
        if (r->cache) {
            first += r->cache->header_start;
        }
#endif

        /* the interim answer itself was longer than that */

        if (b->pos - first < NGX_HTTP_FTM_RECORD_HEADER) {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "no place behind an interim answer");
            return NGX_ERROR;
        }

        b->pos -= NGX_HTTP_FTM_RECORD_HEADER;
        h = b->pos;

        /* an empty STDOUT record would be the end of the response */

        h[0] = 1;
        h[1] = at->content ? NGX_HTTP_FTM_STDOUT : NGX_HTTP_FTM_STDERR;
        h[2] = 0;
        h[3] = 1;
        h[4] = (u_char) (at->content >> 8);
        h[5] = (u_char) at->content;
        h[6] = (u_char) at->padding;
        h[7] = 0;
    }

    if (ngx_http_ftm_reinit_request(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (u->state) {
        u->state->status = 0;
    }

    /*
     * Read when this function returns, and then only: other interim answers
     * are dropped, since nginx would send them as 103.
     */

    u->conf->pass_early_hints = (status == NGX_HTTP_EARLY_HINTS);

    return NGX_HTTP_UPSTREAM_EARLY_HINTS;
}


static void
ngx_http_ftm_advance(ngx_http_ftm_position_t *at, u_char *p, u_char *last)
{
    size_t  n;

    while (p < last) {

        if (at->have < NGX_HTTP_FTM_RECORD_HEADER) {
            at->header[at->have++] = *p++;

            if (at->have == NGX_HTTP_FTM_RECORD_HEADER) {
                at->content = (at->header[4] << 8) | at->header[5];
                at->padding = at->header[6];
            }

        } else {
            n = ngx_min((size_t) (last - p), at->content);
            at->content -= n;
            p += n;

            n = ngx_min((size_t) (last - p), at->padding);
            at->padding -= n;
            p += n;
        }

        if (at->have == NGX_HTTP_FTM_RECORD_HEADER
            && at->content == 0
            && at->padding == 0)
        {
            at->have = 0;
        }
    }
}


static ngx_int_t
ngx_http_ftm_add_variables(ngx_conf_t *cf)
{
    ngx_str_t             name = ngx_string("ftm_early_hints");
    ngx_http_variable_t  *var;

    /* not cacheable: elsewhere, and before, it is empty */

    var = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_ftm_early_hints_variable;

    return NGX_OK;
}
