/* Ini values that php-fpm takes from the pool (php_value, php_admin_value) and from the request (PHP_VALUE,
 * PHP_ADMIN_VALUE). Pool values replace the context's master value; request values last for the request: php-fpm
 * leaks them into later requests of the same child, which docs/COMPATIBILITY.md lists as not copied. */
#include "ftm_worker.h"

/* fpm_php_zend_ini_alter_master(): the value survives every request of this context. */
static bool alter_master(const char *key, const char *value, bool admin)
{
    zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), key, strlen(key));
    if (entry == NULL) {
        return false;
    }
    zend_string *duplicate = zend_string_init(value, strlen(value), 1);
    if (!entry->on_modify || entry->on_modify(entry, duplicate, entry->mh_arg1, entry->mh_arg2, entry->mh_arg3,
                                              PHP_INI_STAGE_ACTIVATE) == SUCCESS) {
        entry->value = duplicate;
        if (admin) {
            entry->modifiable = ZEND_INI_SYSTEM;
        }
    } else {
        zend_string_release_ex(duplicate, 1);
    }
    return true;
}

void ftm_apply_pool_values(void)
{
    for (size_t i = 0; i < ftm_options->value_count; i++) {
        const ftm_ini_value *v = &ftm_options->values[i];
        if (!alter_master(v->key, v->value, v->admin)) {
            ftm_log(FTM_LOG_ERROR, "Unable to set %s '%s'", v->admin ? "php_admin_value" : "php_value", v->key);
        }
    }
}

/* A worker's settings outlive its requests; what a request has brought must not. */
typedef struct kept_setting {
    zend_string *value;
    bool was_modified;
    uint8_t modifiable;
} kept_setting;

static void release_kept(zval *zv)
{
    kept_setting *kept = Z_PTR_P(zv);
    if (kept->value) {
        zend_string_release(kept->value);
    }
    efree(kept);
}

static void keep_setting(zend_string *key)
{
    const zend_ini_entry *entry = zend_hash_find_ptr(EG(ini_directives), key);
    if (FTM_G(worker_state) <= FTM_WORKER_BOOTING || entry == NULL) {
        return;
    }
    if (FTM_G(request_values) == NULL) {
        ALLOC_HASHTABLE(FTM_G(request_values));
        zend_hash_init(FTM_G(request_values), 4, NULL, release_kept, 0);
    }
    if (zend_hash_exists(FTM_G(request_values), key)) {
        return;
    }
    kept_setting *kept = emalloc(sizeof(*kept));
    kept->was_modified = entry->modified;
    kept->modifiable = entry->modifiable;
    kept->value = entry->modified && entry->value ? zend_string_copy(entry->value) : NULL;
    zend_hash_add_new_ptr(FTM_G(request_values), key, kept);
}

void ftm_restore_request_values(void)
{
    HashTable *values = FTM_G(request_values);
    zend_string *key;
    kept_setting *kept;
    if (values == NULL) {
        return;
    }
    FTM_G(request_values) = NULL;
    const bool headers_sent = SG(headers_sent);
    SG(headers_sent) = 0; /* ext/session would refuse what the application has set */
    ZEND_HASH_FOREACH_STR_KEY_PTR(values, key, kept)
    {
        zend_restore_ini_entry(key, PHP_INI_STAGE_DEACTIVATE);
        if (kept->was_modified && kept->value) {
            zend_alter_ini_entry_ex(key, kept->value, PHP_INI_SYSTEM, PHP_INI_STAGE_RUNTIME, true);
            zend_ini_entry *entry = zend_hash_find_ptr(EG(ini_directives), key);
            entry->modifiable = kept->modifiable;
        }
    }
    ZEND_HASH_FOREACH_END();
    SG(headers_sent) = headers_sent;
    zend_hash_destroy(values);
    FREE_HASHTABLE(values);
}

static void on_request_entry(zval *arg1, zval *arg2, zval *arg3, int type, void *mode)
{
    (void)arg3;
    if (type != ZEND_INI_PARSER_ENTRY) {
        ftm_log(FTM_LOG_ERROR, "Passing INI directive through FastCGI: only classic entries are allowed");
        return;
    }
    if (!Z_STRLEN_P(arg1)) {
        ftm_log(FTM_LOG_ERROR, "Passing INI directive through FastCGI: empty key");
        return;
    }
    if (!arg2) {
        ftm_log(FTM_LOG_ERROR, "Passing INI directive through FastCGI: empty value for key '%s'", Z_STRVAL_P(arg1));
        return;
    }
    zend_string *key = zend_string_init(Z_STRVAL_P(arg1), Z_STRLEN_P(arg1), 0);
    keep_setting(key);
    zend_ini_entry *entry = zend_hash_find_ptr(EG(ini_directives), key);
    // A value that PHP refuses has PHP's own message: fpm_php_zend_ini_alter_master() succeeds then.
    const bool settable = entry != NULL && (entry->modifiable & *(int *)mode);
    if (zend_alter_ini_entry_ex(key, Z_STR_P(arg2), *(int *)mode, PHP_INI_STAGE_ACTIVATE, true) == FAILURE && !settable) {
        ftm_log(FTM_LOG_ERROR, "Passing INI directive through FastCGI: unable to set '%s'", Z_STRVAL_P(arg1));
    }
    if (zend_string_equals_literal(key, "disable_functions")) {
        ftm_disable_functions(Z_STRVAL_P(arg2));
    }
    zend_string_release(key);
}

static void apply_request_string(const char *text, int mode)
{
    if (text && *text) {
        char *copy = estrdup(text);
        zend_parse_ini_string(copy, true, ZEND_INI_SCANNER_NORMAL, on_request_entry, &mode);
        efree(copy);
    }
}

/* Before request start-up, so that limits act on the body too; zend_ini_deactivate() undoes it at the end. */
void ftm_apply_request_values(const char *value, const char *admin_value)
{
    apply_request_string(value, ZEND_INI_USER);
    apply_request_string(admin_value, ZEND_INI_SYSTEM);
}

void ftm_thread_settings(ftm_ini_settings *out)
{
    out->fix_pathinfo = FTM_G(fix_pathinfo);
    out->discard_path = FTM_G(discard_path);
    out->doc_root = PG(doc_root);
    out->expose_php = PG(expose_php);
    out->default_charset = SG(default_charset);
    out->default_mimetype = SG(default_mimetype);
}

static bool is_fixed(const char *key)
{
    const zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), key, strlen(key));
    return entry != NULL && !(entry->modifiable & (ZEND_INI_USER | ZEND_INI_PERDIR));
}

static const char *first_named(const char *one, const char *other)
{
    return one && *one ? one : other && *other ? other : "";
}

void ftm_thread_body_settings(ftm_body_settings *out)
{
    out->post_max_size = SG(post_max_size);
    out->is_fixed = is_fixed("post_max_size");
    out->per_directory = php_ini_has_per_dir_config() || php_ini_has_per_host_config();
    out->user_ini = first_named(PG(user_ini_filename), NULL);
    out->upload_dir = first_named(PG(upload_tmp_dir), PG(sys_temp_dir));
}
