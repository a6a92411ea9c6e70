/* Per-request ini from files: [HOST=] and [PATH=] sections of php.ini, then .user.ini from DOCUMENT_ROOT down to the
 * script's directory (fpm_main.c: sapi_cgi_activate). The result is cached per directory and context. */
#include "ftm_worker.h"

typedef struct user_config_entry {
    time_t expires;
    HashTable config;
} user_config_entry;

static void release_config_value(zval *zv)
{
    if (Z_TYPE_P(zv) == IS_STRING) {
        zend_string_release_ex(Z_STR_P(zv), 1);
    }
}

static void entry_dtor(zval *zv)
{
    user_config_entry *entry = Z_PTR_P(zv);
    zend_hash_destroy(&entry->config);
    pefree(entry, 1);
}

void ftm_user_ini_init(HashTable *cache)
{
    zend_hash_init(cache, 8, NULL, entry_dtor, 1);
}

static user_config_entry *find_or_add(const char *path, size_t path_len)
{
    user_config_entry *entry = zend_hash_str_find_ptr(&FTM_G(user_config_cache), path, path_len);
    if (entry == NULL) {
        entry = pemalloc(sizeof(*entry), 1);
        entry->expires = 0;
        zend_hash_init(&entry->config, 0, NULL, release_config_value, 1);
        zend_hash_str_update_ptr(&FTM_G(user_config_cache), path, path_len, entry);
    }
    return entry;
}

/* Reads every .user.ini that applies to `path` (which ends in a slash) into the entry. */
static void scan(user_config_entry *entry, char *path, size_t path_len, const char *doc_root, size_t doc_root_len)
{
    bool inside = path_len > doc_root_len ? strncmp(doc_root, path, doc_root_len) == 0
                                          : strncmp(path, doc_root, path_len) == 0;
    if (!inside || path_len <= doc_root_len) {
        php_parse_user_ini_file(path, PG(user_ini_filename), &entry->config);
        return;
    }
    for (char *p = path + doc_root_len; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        php_parse_user_ini_file(path, PG(user_ini_filename), &entry->config);
        *p = '/';
    }
}

static void activate_user_ini(char *path, size_t path_len, const char *doc_root)
{
    size_t doc_root_len = strlen(doc_root);
    if (doc_root_len > 0 && doc_root[doc_root_len - 1] == '/') {
        doc_root_len--;
    }
    time_t now = (time_t)sapi_get_request_time();
    user_config_entry *entry = find_or_add(path, path_len);
    if (now > entry->expires) {
        zend_hash_clean(&entry->config);
        if (path[0] != '/') {
            char *real = tsrm_realpath(path, NULL);
            if (real == NULL) {
                return;
            }
            scan(entry, real, strlen(real), doc_root, doc_root_len);
            efree(real);
        } else {
            scan(entry, path, path_len, doc_root, doc_root_len);
        }
        entry->expires = now + PG(user_ini_cache_ttl);
    }
    php_ini_activate_config(&entry->config, PHP_INI_PERDIR, PHP_INI_STAGE_HTACCESS);
}

int ftm_activate(void)
{
    void *request = SG(server_context);
    const char *translated = SG(request_info).path_translated;

    if (translated == NULL || request == NULL) {
        return FAILURE;
    }
    if (FTM_G(worker_state) > FTM_WORKER_BOOTING) {
        return SUCCESS; /* they act when the script boots; from then on the settings are the application's */
    }
    if (php_ini_has_per_host_config()) {
        const char *server_name = ftm_callbacks->get_param(request, ZEND_STRL("SERVER_NAME"));
        if (server_name) {
            char *lower = estrdup(server_name);
            zend_str_tolower(lower, strlen(lower));
            php_ini_activate_per_host_config(lower, strlen(lower));
            efree(lower);
        }
    }
    bool user_ini = PG(user_ini_filename) && *PG(user_ini_filename);
    if (!php_ini_has_per_dir_config() && !user_ini) {
        return SUCCESS;
    }
    size_t len = strlen(translated);
    char *path = emalloc(len + 2);
    memcpy(path, translated, len + 1);
    len = zend_dirname(path, len);
    if (len == 0 || path[len - 1] != '/') {
        path[len++] = '/';
    }
    path[len] = '\0';
    php_ini_activate_per_dir_config(path, len);
    const char *doc_root = user_ini ? ftm_callbacks->get_param(request, ZEND_STRL("DOCUMENT_ROOT")) : NULL;
    if (doc_root) {
        activate_user_ini(path, len, doc_root);
    }
    efree(path);
    return SUCCESS;
}
