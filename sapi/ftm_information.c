/* php-fpm -m and -i: start PHP once, print, end. */
#include "ftm_internal.h"
#include "ext/standard/info.h"
#include "zend_extensions.h"

static int by_module_name(Bucket *a, Bucket *b)
{
    return strcasecmp(((zend_module_entry *)Z_PTR(a->val))->name, ((zend_module_entry *)Z_PTR(b->val))->name);
}

static int by_extension_name(const zend_llist_element **a, const zend_llist_element **b)
{
    return strcmp(((zend_extension *)(*a)->data)->name, ((zend_extension *)(*b)->data)->name);
}

static void print_extension(void *data)
{
    php_printf("%s\n", ((zend_extension *)data)->name);
}

void ftm_print_modules(void)
{
    HashTable modules;
    zend_llist extensions;
    zend_module_entry *module;

    php_output_activate();
    SG(headers_sent) = 1;
    php_printf("[PHP Modules]\n");
    zend_hash_init(&modules, 50, NULL, NULL, 1);
    zend_hash_copy(&modules, &module_registry, NULL);
    zend_hash_sort(&modules, by_module_name, 0);
    ZEND_HASH_MAP_FOREACH_PTR(&modules, module)
    {
        php_printf("%s\n", module->name);
    }
    ZEND_HASH_FOREACH_END();
    zend_hash_destroy(&modules);
    php_printf("\n[Zend Modules]\n");
    zend_llist_copy(&extensions, &zend_extensions);
    extensions.dtor = NULL;
    zend_llist_sort(&extensions, by_extension_name);
    zend_llist_apply(&extensions, print_extension);
    zend_llist_destroy(&extensions);
    php_printf("\n");
    php_output_end_all();
    php_output_deactivate();
}

int ftm_print_information(void)
{
    volatile int result = -1;
    sapi_module.phpinfo_as_text = 1; /* the copy that start-up has made: ftm_sapi_module is read no more */
    zend_first_try
    {
        if (php_request_startup() == SUCCESS) {
            SG(headers_sent) = 1;
            SG(request_info).no_headers = 1;
            php_print_info(0xFFFFFFFF);
            php_request_shutdown(NULL);
            result = 0;
        }
    }
    zend_end_try();
    return result;
}
