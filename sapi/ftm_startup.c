/* libphp's life in a process: module start-up in the pool host, the fork of an engine, module shutdown. */
#include "ftm_internal.h"
#include "zend_virtual_cwd.h"

#include <pthread.h>

#ifndef VIRTUAL_DIR
# error "The runtime is not thread-safe: rebuild it with packaging/php-runtime/build"
#endif

/* declared by zend_virtual_cwd.h for its own library only; the static link reaches it */
extern void virtual_cwd_main_cwd_init(uint8_t reinit);

const ftm_php_options *ftm_options;
bool ftm_is_copy;

const char *ftm_php_version(void)
{
    return PHP_VERSION;
}

const char *ftm_version_text(void)
{
    return "PHP " PHP_VERSION " (fpm-fcgi) (built: " __DATE__ " " __TIME__ ") (ZTS)\n"
           "Copyright (c) The PHP Group\n"
           "Zend Engine v" ZEND_VERSION ", Copyright (c) Zend Technologies\n";
}

static void on_opcache_restart(int reason)
{
    ftm_options->opcache_restart(reason);
}

int ftm_php_startup(const ftm_php_options *options, const ftm_host *host)
{
    ftm_options = options;
    ftm_callbacks = host;

    php_tsrm_startup();
    zend_signal_startup();
    sapi_startup(&ftm_sapi_module);
    ftm_sapi_module.php_ini_path_override = options->ini_path ? strdup(options->ini_path) : NULL;
    ftm_sapi_module.php_ini_ignore_cwd = 1;
    ftm_sapi_module.php_ini_ignore = options->ini_ignore;
    ftm_sapi_module.ini_entries = options->ini_entries;
    ftm_sapi_module.executable_location = (char *)options->executable;
    SG(request_info).path_translated = NULL;

    if (ftm_sapi_module.startup(&ftm_sapi_module) == FAILURE) {
        tsrm_shutdown();
        return -1;
    }
    php_import_environment_variables = ftm_import_environment;
    php_load_environment_variables = ftm_load_environment;
    ftm_interrupt_startup();
    ftm_disable_startup();
    zend_accel_schedule_restart_hook = on_opcache_restart;
    return 0;
}

void ftm_php_shutdown(void)
{
    SG(server_context) = NULL;
    php_module_shutdown();
    sapi_shutdown();
    tsrm_shutdown();
}

static void become_copy(void)
{
    ftm_is_copy = true;
}

void ftm_php_after_fork(void)
{
    pthread_atfork(NULL, NULL, become_copy);
    /* chroot and chdir happened after module start-up: new contexts begin in the directory of now */
    virtual_cwd_main_cwd_init(1);
}
