"""Settings that the web server sends with a request: disable_functions, and what of it and of .user.ini acts on a worker."""

import os

from ftm.case import DaemonTest, Pool, ftm_only, needs_module
from ftm.worker import WorkerTest

CODE = 'echo function_exists("str_rot13") ? "there" : "gone", " "; try { echo str_rot13(time() ? "nop" : ""); $a = [2, 1]; exec("echo x", $a); echo " ", end($a); } catch (Error $e) { echo $e->getMessage(); }'


class DisabledFunctions(DaemonTest):
    def test_they_are_gone_for_the_request(self):
        server = self.serve([Pool(children=1)])
        script = server.script('page.php', '<?php ' + CODE)
        values = 'disable_functions="str_rot13, no_such_function,exec"\nmemory_limit=64M'
        self.assertEqual(server.get(script, PHP_ADMIN_VALUE=values).text, 'gone Call to undefined function str_rot13()')
        self.assertEqual(server.get(script, PHP_VALUE=values).text, 'gone Call to undefined function str_rot13()')
        self.assertEqual(server.get(server.script('ini.php', '<?php echo ini_get("disable_functions"), " ", ini_get("memory_limit");'), PHP_ADMIN_VALUE=values).text,
                         'str_rot13, no_such_function,exec 64M')

    @ftm_only('php-fpm removes them from the child for ever')
    def test_they_are_back_afterwards(self):
        server = self.serve([Pool(children=1)])
        script = server.script('page.php', '<?php ' + CODE)
        for _ in range(3):
            self.assertEqual(server.get(script, PHP_ADMIN_VALUE='disable_functions=str_rot13').text, 'gone Call to undefined function str_rot13()')
            self.assertEqual(server.get(script, PHP_ADMIN_VALUE='disable_functions=exec').text, 'there abcCall to undefined function exec()')
            self.assertEqual(server.get(script).text, 'there abc x')

    @ftm_only('php-fpm breaks a script that it has compiled before')
    @needs_module('opcache')
    def test_in_a_script_that_opcache_has_compiled(self):
        server = self.serve([Pool(children=2)], modules=['opcache'], ini={'opcache.enable': '1', 'opcache.file_update_protection': '0'})
        script = server.script('page.php', '<?php function f() { ' + CODE + ' } f();')
        other = server.script('other.php', '<?php function g() { ' + CODE + ' } g();')
        for _ in range(4):
            self.assertEqual(server.get(script).text, 'there abc x')
            self.assertRegex(server.get(script, PHP_ADMIN_VALUE='disable_functions=str_rot13').text, r'Call to undefined function str_rot13\(\)$')
            self.assertRegex(server.get(other, PHP_ADMIN_VALUE='disable_functions=str_rot13,exec').text, r'Call to undefined function str_rot13\(\)$')
            self.assertRegex(server.get(other).text, 'abc x$')

    @ftm_only('php-fpm removes them from the child for ever')
    def test_after_every_kind_of_end(self):
        server = self.serve([Pool(children=1)], ini={'display_errors': '0', 'memory_limit': '32M'})
        script = server.script('page.php', '<?php ' + CODE)
        for end in ('exit(0);', 'throw new Exception;', '$x = str_repeat("x", 1 << 28);', 'function f() { f(); } f();', 'register_shutdown_function(fn() => str_rot13("x"));'):
            with self.subTest(end=end):
                server.run(end, PHP_ADMIN_VALUE='disable_functions=str_rot13,exec')
                self.assertEqual(server.get(script).text, 'there abc x')


class Workers(WorkerTest):
    def test_disabled_functions_do_not_act_and_one_line_says_so(self):
        server = self.worker()
        for _ in range(3):
            self.assertEqual(self.php(server, CODE, PHP_ADMIN_VALUE='disable_functions=str_rot13').text, 'there abc x')
        server.wait_for('WARNING: .*disable_functions does not act on a worker')
        self.assertEqual(server.log_text().count('disable_functions does not act'), 1)

    def test_disabled_functions_of_the_pool_act(self):
        server = self.worker(settings=[('php_admin_value[disable_functions]', 'str_rot13')])
        self.assertEqual(self.php(server, CODE).text, 'gone Call to undefined function str_rot13()')

    def test_admin_values_act_for_one_request(self):
        server = self.worker()
        show = 'ini_set("open_basedir", "/"); echo ini_get("memory_limit"), " ", ini_get("open_basedir"), " ", @file_get_contents("/etc/hostname") === false ? "closed" : "open";'
        for _ in range(3):
            self.assertEqual(self.php(server, show, PHP_ADMIN_VALUE=f'memory_limit=33M\nopen_basedir={server.tmp}:{server.docroot}').text, f'33M {server.tmp}:{server.docroot} closed')
            self.assertEqual(self.php(server, 'echo ini_get("memory_limit"), " ", ini_get("open_basedir"), "|";').text, '128M |')

    def test_user_ini_beside_the_script_acts_when_it_boots(self):
        server = self.worker(ini={'user_ini.cache_ttl': '0'}, source='<?php $boot = ini_get("precision"); while (frankenphp_handle_request(function () use ($boot) { if (isset($_GET["exit"])) exit; echo $boot, " ", ini_get("precision"); }));')
        self.assertEqual(self.ask(server).text, '14 14')
        server.script('.user.ini', 'precision = 7\n')
        self.poll(lambda: self.ask(server, query='exit=1').status == 200 and self.ask(server).text == '7 7', interval=0.2)    # what was read in this second is still known
        os.unlink(os.path.join(server.docroot, '.user.ini'))
        self.assertEqual(self.ask(server, DOCUMENT_ROOT=server.docroot).text, '7 7', 'settings are the application\'s from its boot on')

    def test_session_auto_start(self):
        server = self.worker(ini={'session.auto_start': '1'})
        count = '$_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo session_id(), " ", $_SESSION["n"];'
        one, two = self.php(server, count).text.split(), self.php(server, count).text.split()
        self.assertEqual([one[1], two[1]], ['1', '1'])
        self.assertNotEqual(one[0], two[0])
        for n in ('2', '3'):
            for visitor in (one, two):
                self.assertEqual(self.php(server, count, HTTP_COOKIE='PHPSESSID=' + visitor[0]).text, f'{visitor[0]} {n}')
