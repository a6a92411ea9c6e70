"""Starting and stopping: log lines, pid file, process titles, sockets, exit codes, -t, broken configurations, daemonizing."""

import glob
import os
import re
import signal
import socket
import subprocess
import unittest

from ftm import fcgi, proc
from ftm.case import IS_ROOT, DaemonTest, Pool, Server, ftm_only, is_ftm, needs_module, root_only, sanitizer_threads, stock_only
from ftm.preload import library
from ftm.proc import PATIENCE
from ftm.server import POOL_USER, PROJECT, StartError, binary, is_socket

TIME = r'^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\] '


class Start(DaemonTest):
    def test_log_lines_in_order(self):
        server = self.serve()
        lines = [line for line in server.log() if 'systemd' not in line and 'directive is ignored' not in line]
        self.assertRegex(lines[0], TIME + rf'NOTICE: fpm is running, pid {server.pid}$')
        ready = next(i for i, line in enumerate(lines) if 'ready to handle' in line)
        self.assertRegex(lines[ready], TIME + r'NOTICE: ready to handle connections$')
        self.assertEqual(server.run('echo 6 * 7;').text, '42')

    def test_pid_file_has_the_number_and_no_newline(self):
        server = self.serve()
        with open(server.pid_file) as f:
            self.assertEqual(f.read(), str(server.pid))
        server.stop()
        self.assertFalse(os.path.exists(server.pid_file))

    def test_titles(self):
        server = self.serve([Pool('www'), Pool('second')])
        self.poll(lambda: server.workers('www') and server.workers('second'))
        self.assertEqual(proc.title(server.pid), f'php-fpm: master process ({server.conf})')
        for pool in ('www', 'second'):
            for pid in server.workers(pool):
                self.assertEqual(proc.title(pid), f'php-fpm: pool {pool}')

    @stock_only('a process per child')
    def test_processes_of_stock(self):
        server = self.serve([Pool(children=3)])
        self.poll(lambda: len(server.workers()) == 3)

    @ftm_only('master, pool host, engine')
    def test_processes(self):
        server = self.serve([Pool('www', children=8), Pool('second', children=2)])
        for pool in ('www', 'second'):
            self.poll(lambda: len(server.workers(pool)) == 1 and len(server.hosts(pool)) == 1, what=f'one host, one engine for {pool}')
            self.assertEqual(proc.stat(server.hosts(pool)[0]).ppid, server.pid)
            self.assertEqual(proc.stat(server.workers(pool)[0]).ppid, server.hosts(pool)[0])
        self.assertEqual(len(server.processes()), 5)
        self.assertLessEqual(proc.thread_count(server.pid), 1 + sanitizer_threads(), 'the master is single-threaded')
        self.assertLessEqual(proc.thread_count(server.hosts('www')[0]), 1 + sanitizer_threads(), 'the pool host is single-threaded')

    @ftm_only('the master never runs PHP')
    def test_master_has_no_php(self):
        server = self.serve(modules=['mysqlnd', 'mysqli'] if binary().has('mysqli') else [])
        with open(f'/proc/{server.pid}/maps') as f:
            self.assertNotIn('mysqli.so', f.read())

    def test_own_session(self):
        server = self.serve()
        self.assertEqual(proc.stat(server.pid).session, server.pid)

    def test_socket_mode_and_owner(self):
        server = self.serve([Pool(settings={'listen.mode': '0620'})], start=False)
        server.start()
        path = server.pool().address
        self.assertTrue(is_socket(path))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o620)
        server.stop()
        self.assertFalse(os.path.exists(path), 'the socket is removed on stop')

    def test_tcp(self):
        server = self.serve([Pool(listen='tcp')])
        self.assertEqual(server.run('echo "over tcp";').text, 'over tcp')

    def test_two_listeners_of_one_server_keep_their_pools_apart(self):
        server = self.serve([Pool('one', settings={'env[WHO]': 'first'}), Pool('two', listen='tcp', settings={'env[WHO]': 'second'})])
        script = server.script('who.php', '<?php echo getenv("WHO");')
        self.assertEqual(server.get(script, pool='one').text, 'first')
        self.assertEqual(server.get(script, pool='two').text, 'second')

    @root_only
    def test_pool_runs_as_its_user_and_master_as_root(self):
        server = self.serve()
        pid = server.workers()[0]
        self.assertEqual(os.stat(f'/proc/{server.pid}').st_uid, 0)
        self.assertNotEqual(proc.status_field(pid, 'Uid').split()[0], '0')
        self.assertEqual(server.run('echo posix_geteuid() === posix_getpwnam("www-data")["uid"] ? "yes" : "no";').text
                         if 'posix' in server.binary.compiled_in else 'yes', 'yes')

    def test_standard_descriptors_of_workers(self):
        server = self.serve()
        for pid in server.workers():
            self.assertEqual(proc.descriptors(pid).get(0), '/dev/null', 'bug 73342: descriptor 0 is no socket')


class Stop(DaemonTest):
    def stop_lines(self, number, word):
        server = self.serve()
        self.assertEqual(server.run('echo 1;').text, '1')
        os.kill(server.pid, number)
        self.assertEqual(server.wait_ended(), 0)
        lines = [line for line in server.log() if 'NOTICE' in line]
        self.assertRegex(lines[-2], TIME + rf'NOTICE: {word} \.\.\.$')
        self.assertRegex(lines[-1], TIME + r'NOTICE: exiting, bye-bye!$')
        self.assertFalse(os.path.exists(server.pool().address))
        self.assertFalse(os.path.exists(server.pid_file))

    def test_quit(self):
        self.stop_lines(signal.SIGQUIT, 'Finishing')

    def test_term(self):
        self.stop_lines(signal.SIGTERM, 'Terminating')

    def test_int(self):
        self.stop_lines(signal.SIGINT, 'Terminating')

    def test_quit_lets_a_running_request_finish(self):
        server = self.serve(settings={'process_control_timeout': '10'})
        script = server.script('slow.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 0.7) usleep(10000); echo "whole answer";')
        flag = os.path.join(server.tmp, 'running')
        with server.connect() as connection:
            from ftm import fcgi
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}'))
            self.poll(lambda: os.path.exists(flag))
            os.kill(server.pid, signal.SIGQUIT)
            self.assertEqual(connection.read_response().text, 'whole answer')
        self.assertEqual(server.wait_ended(), 0)

    def test_quit_escalates_after_process_control_timeout(self):
        server = self.serve(settings={'process_control_timeout': '1'})
        script = server.script('hang.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 1000) { usleep(100000); }')
        flag = os.path.join(server.tmp, 'running')
        from ftm import fcgi
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}'))
            self.poll(lambda: os.path.exists(flag))
            os.kill(server.pid, signal.SIGQUIT)
            self.assertEqual(server.wait_ended(), 0)

    def test_quit_waits_for_the_request_of_a_new_connection(self):
        server = self.serve(settings={'process_control_timeout': '100'})
        hello = server.script('hello.php', '<?php echo "hello";')

        def sockets():
            return sum(what.startswith('socket:') for pid in server.workers() for what in proc.descriptors(pid).values())
        before = self.poll(sockets)
        with server.connect() as connection:
            self.poll(lambda: sockets() > before, what='accepted')
            server.kill(signal.SIGQUIT)
            server.wait_for('Finishing ...')
            self.assertFalse(connection.readable(0.3), 'not closed')
            self.assertEqual(connection.request(fcgi.script_params(hello), keep=False).text, 'hello')
        server.wait_ended()

    def test_quit_with_idle_kept_connections(self):
        server = self.serve(settings={'process_control_timeout': '5'})
        script = server.script('hello.php', '<?php echo "hello";')
        from ftm import fcgi
        with server.connect() as connection:
            self.assertEqual(connection.request(fcgi.script_params(script), keep=True).text, 'hello')
            os.kill(server.pid, signal.SIGQUIT)
            self.assertEqual(server.wait_ended(), 0)
            self.assertTrue(connection.wait_closed())

    def test_second_signal_overrides_the_first(self):
        server = self.serve(settings={'process_control_timeout': '1000'})
        script = server.script('hang.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 1000) { usleep(100000); }')
        flag = os.path.join(server.tmp, 'running')
        from ftm import fcgi
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}'))
            self.poll(lambda: os.path.exists(flag))
            os.kill(server.pid, signal.SIGQUIT)
            server.wait_for('Finishing')
            os.kill(server.pid, signal.SIGTERM)
            self.assertEqual(server.wait_ended(), 0)
            server.wait_for('Terminating')


class ExitCodes(unittest.TestCase):
    def run_binary(self, *args, **kwargs):
        return binary().run(*args, **kwargs)

    def test_version(self):
        result = self.run_binary('-n', '-v')
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout.splitlines()[0], r'^PHP 8\.\d+\.\d+\S* \(fpm-fcgi\) \(built: ')

    def test_help(self):
        for option in ('-h', '--help', '-?', '--usage'):
            result = self.run_binary('-n', option)
            self.assertEqual(result.returncode, 0, option)
            self.assertRegex(result.stdout, r'^Usage: \S+ \[-n\]')

    def test_information_is_text(self):
        result = self.run_binary('-n', '-i')
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith('phpinfo()\nPHP Version => '), result.stdout[:200])
        self.assertNotIn('<td', result.stdout)

    def test_modules(self):
        result = self.run_binary('-n', '-m')
        self.assertEqual(result.returncode, 0)
        self.assertIn('cgi-fcgi', result.stdout)

    def test_unknown_option_and_stray_argument(self):
        for args in (['--no-such-option'], ['-Z'], ['stray'], ['-n', '-C']):
            result = self.run_binary(*args)
            self.assertEqual(result.returncode, 64, args)
            self.assertRegex(result.stdout, r'^Usage: ', args)

    def test_missing_configuration(self):
        result = self.run_binary('-n', '-F', '-y', '/nonexistent/php-fpm.conf')
        self.assertEqual(result.returncode, 78)
        self.assertRegex(result.stderr, r"ERROR: failed to open configuration file '/nonexistent/php-fpm.conf': No such file or directory \(2\)")
        self.assertRegex(result.stderr, r"ERROR: failed to load configuration file '/nonexistent/php-fpm.conf'")
        self.assertRegex(result.stderr, 'ERROR: FPM initialization failed')

    def test_port_in_use_in_foreground_and_as_daemon(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            address = '127.0.0.1:%d' % taken.getsockname()[1]
            for daemonize, code in ((False, 78), (True, 70)):
                with self.subTest(daemonize=daemonize), self.assertRaises(StartError) as caught:
                    Server([Pool(listen=address)], daemonize=daemonize).start()
                self.assertEqual(caught.exception.code, code)
                self.assertRegex(caught.exception.output, rf"ERROR: unable to bind listening socket for address '{address}': Address already in use \(98\)")
                self.assertIn('ERROR: FPM initialization failed', caught.exception.output)

    def test_another_instance_on_the_unix_socket(self):
        with Server() as first:
            with self.assertRaises(StartError) as caught:
                Server([Pool(listen=first.pool().address)]).start()
            self.assertEqual(caught.exception.code, 78)
            self.assertIn(f'ERROR: Another FPM instance seems to already listen on {first.pool().address}', caught.exception.output)
            self.assertEqual(first.run('echo "still here";').text, 'still here')

    def test_stale_unix_socket_is_replaced(self):
        server = Server().prepare()
        path = server.pool().address
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
        with server:
            self.assertEqual(server.run('echo "fresh";').text, 'fresh')


class ConfigTest(unittest.TestCase):
    """-t and the messages of broken configurations, with file and line."""

    def check(self, conf, *args):
        server = Server(conf_text=conf).prepare()
        try:
            result = server.binary.run('-n', *(args or ['-t']), '-y', server.conf, cwd=server.root)
            self.root = server.root
            return result.returncode, result.stderr, server.conf
        finally:
            server.cleanup()

    USER = 'user = www-data\n' if IS_ROOT else ''
    GOOD = '[global]\nerror_log = {root}/error.log\n[www]\nlisten = {root}/www.sock\n' + USER + 'pm = static\npm.max_children = 2\n'

    def test_good(self):
        code, err, conf = self.check(self.GOOD)
        self.assertEqual(code, 0, err)
        self.assertRegex(err, rf'NOTICE: configuration file {re.escape(conf)} test is successful')

    def test_port_in_use_does_not_matter_to_a_test(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            code, err, _ = self.check(self.GOOD.replace('{root}/www.sock', '127.0.0.1:%d' % taken.getsockname()[1]))
            self.assertEqual(code, 0, err)

    def test_dump(self):
        code, err, _ = self.check(self.GOOD + 'env[A] = b\nphp_admin_value[memory_limit] = 32M\n', '-tt')
        self.assertEqual(code, 0, err)
        for line in (r'NOTICE: \[global\]', r'NOTICE: \terror_log = /.*/error.log', r'NOTICE: \tprocess_control_timeout = 0s', r'NOTICE: \[www\]',
                     r'NOTICE: \tpm = static', r'NOTICE: \tpm.max_children = 2', r'NOTICE: \tenv\[A\] = b', r'NOTICE: \tclear_env = yes',
                     r'NOTICE: \tphp_admin_value\[memory_limit\] = 32M', r'NOTICE: \tslowlog = undefined'):
            self.assertRegex(err, line)

    LOG = '[global]\nerror_log = {root}/error.log\n'       # the default is not for everybody to write
    BROKEN = [
        ('unknown directive', GOOD + 'pm.max_childern = 3\n', r"ERROR: \[{conf}:{line}\] unknown entry 'pm.max_childern'"),
        ('unknown array', GOOD + 'envv[a] = 3\n', r"ERROR: \[{conf}:{line}\] unknown directive 'envv'"),
        ('not a number', GOOD + 'pm.max_requests = many\n',
         r"ERROR: \[{conf}:{line}\] unable to parse value for entry 'pm.max_requests': is not a valid number \(greater or equal than zero\)"),
        ('not a boolean', GOOD + 'clear_env = perhaps\n', r"ERROR: \[{conf}:{line}\] unable to parse value for entry 'clear_env': invalid boolean value"),
        ('not a time', GOOD + 'request_terminate_timeout = 5x\n',
         r"ERROR: \[{conf}:{line}\] unable to parse value for entry 'request_terminate_timeout': unknown suffix used in time value"),
        ('unknown pm', GOOD + 'pm = sometimes\n',
         r"ERROR: \[{conf}:{line}\] unable to parse value for entry 'pm': invalid process manager \(static, dynamic or ondemand\)"),
        ('unknown log level', '[global]\nlog_level = loud\n' + GOOD, r"ERROR: \[{conf}:2\] unable to parse value for entry 'log_level': invalid value for 'log_level'"),
        ('key without value', GOOD + 'just_a_key\n', r'ERROR: \[{conf}:{line}\] value is NULL for a ZEND_INI_PARSER_ENTRY'),
        ('no pool', '[global]\nerror_log = {root}/error.log\n', r'ERROR: No pool defined. at least one pool section must be specified in config file'),
        ('no listen', LOG + '[www]\n' + USER + 'pm = static\npm.max_children = 2\n', r'ALERT: \[pool www\] no listen address have been defined!'),
        ('no pm', LOG + '[www]\n' + USER + 'listen = {root}/s\n', r'ALERT: \[pool www\] the process manager is missing \(static, dynamic or ondemand\)'),
        ('no max_children', LOG + '[www]\n' + USER + 'listen = {root}/s\npm = static\n', r'ALERT: \[pool www\] pm.max_children must be a positive value'),
        ('same listen twice', GOOD + '[two]\nlisten = {root}/www.sock\n' + USER + 'pm = static\npm.max_children = 1\n',
         r"ERROR: \[pool two\] unable to set listen address as it's already used in another pool 'www'"),
        ('unknown user', GOOD.replace('www-data', 'nosuchuser') if IS_ROOT else GOOD + 'user = nosuchuser\n', r"ERROR: \[pool www\] cannot get uid for user 'nosuchuser'"),
        ('chdir', GOOD + 'chdir = /no/such/dir\n', r"ERROR: \[pool www\] the chdir path '/no/such/dir' does not exist or is not a directory"),
        ('slowlog missing', GOOD + 'request_slowlog_timeout = 1\n',
         r"ERROR: \[pool www\] 'slowlog' must be specified for use with 'request_slowlog_timeout'"),
        ('status path', GOOD + 'pm.status_path = status\n', r"ERROR: \[pool www\] the status path 'status' must start with a '/'"),
        ('access format', GOOD + 'access.log = {root}/access.log\naccess.format = "%Z"\n', r"ERROR: .*wrong format for access.format '%Z'"),
        ('include dir missing', 'include = /no/such/dir/*.conf\n' + GOOD, r"ERROR: Unable to globalize '/no/such/dir/\*\.conf' \(ret=2\) from {conf} at line 1\."),
        ('log_limit', '[global]\nlog_limit = 100\n' + GOOD, r'ERROR: log_limit must be greater than 512'),
    ]

    def test_broken(self):
        for name, conf, message in self.BROKEN:
            with self.subTest(name):
                line = conf.count('\n')
                code, err, path = self.check(conf)
                self.assertEqual(code, 78, err)
                self.assertRegex(err, message.replace('{conf}', re.escape(path)).replace('{line}', str(line)))
                self.assertRegex(err, 'ERROR: FPM initialization failed')

    def test_broken_in_foreground_and_as_daemon(self):
        for mode in (['-F'], ['-D']):
            code, err, _ = self.check(self.GOOD + 'no_such = 1\n', *mode)
            self.assertEqual(code, 78, mode)
            self.assertIn("unknown entry 'no_such'", err)

    def test_includes_are_read_in_alphabetical_order(self):
        server = Server(conf_text='[global]\nerror_log = {root}/error.log\ninclude = {root}/pool.d/*.conf\n').prepare()
        try:
            os.mkdir(os.path.join(server.root, 'pool.d'))
            for name in ('b', 'a', 'c'):
                with open(os.path.join(server.root, 'pool.d', name + '.conf'), 'w') as f:
                    f.write(f'[{name}]\nlisten = {server.root}/{name}.sock\n{self.USER}pm = static\npm.max_children = 1\n')
            result = server.binary.run('-n', '-tt', '-y', server.conf)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(re.findall(r'NOTICE: \[([abc])\]', result.stderr), ['a', 'b', 'c'])
        finally:
            server.cleanup()

    @root_only
    def test_root_without_user(self):
        code, err, _ = self.check(self.GOOD.replace('user = www-data\n', ''))
        self.assertEqual(code, 78)
        self.assertRegex(err, r'ALERT: \[pool www\] user has not been defined')


class Daemonize(DaemonTest):
    def test_more_children_than_memory_could_ever_hold(self):
        with self.assertRaises(StartError) as caught:
            Server([Pool(children=1400000000)]).start()
        self.assertEqual(caught.exception.code, 78)
        self.assertRegex(caught.exception.output, r'ERROR: unable to allocate \d+ bytes in shared memory: Cannot allocate memory: Cannot allocate memory \(12\)')

    def test_daemon(self):
        server = self.serve(daemonize=True)
        self.assertEqual(server.process.wait(PATIENCE), 0, 'the parent ends with 0 once the master is up')
        pid = server.pid
        self.assertNotEqual(pid, server.process.pid)
        self.assertEqual(proc.title(pid), f'php-fpm: master process ({server.conf})')
        self.assertEqual(proc.stat(pid).session, pid)
        self.assertEqual(server.run('echo "daemon";').text, 'daemon')
        server.wait_for(rf'NOTICE: fpm is running, pid {pid}$')
        os.kill(pid, signal.SIGQUIT)
        self.poll(server.ended, 10)
        self.assertEqual(server.code, 0)
        server.wait_for('exiting, bye-bye!')

    def test_parent_ends_only_when_connections_are_accepted(self):
        server = self.serve(daemonize=True, start=False)
        script = server.script('hello.php', '<?php echo "hello";')
        server.start(wait=False)
        self.assertEqual(server.process.wait(PATIENCE), 0)
        self.assertEqual(server.get(script).text, 'hello')
        server.wait_ready()

    @needs_module('opcache')
    def test_php_that_cannot_start_ends_the_start(self):
        """Both when PHP's start returns with an error and when PHP ends the process."""
        for ini in ({'opcache.preload': '/nonexistent', 'opcache.preload_user': POOL_USER}, {'browscap': '/nonexistent'}):
            for daemonize in (False, True):
                with self.subTest(ini=ini, daemonize=daemonize), self.assertRaises(StartError) as caught:
                    Server(ini=ini, modules=['opcache'], daemonize=daemonize).start()
                self.assertIn(caught.exception.code, (70, 254), caught.exception.output)

    def test_caller_has_closed_descriptors(self):
        """As some supervisors do. What is opened in their place must not be taken for them."""
        for closed in ('<&-', '>&-', '2>&-', '<&- >&-', '<&- >&- 2>&-'):
            for daemonize in (True, False):
                with self.subTest(closed, daemonize=daemonize):
                    server = self.serve(daemonize=daemonize, force_stderr=False, wrapper=['sh', '-c', f'exec "$@" {closed}', 'sh'])
                    self.assertBody(server.run('echo shell_exec("echo from a program; echo error >&2");'), 'from a program\n')
                    since = server.mark()
                    server.kill(signal.SIGUSR2)
                    server.wait_for('ready to handle connections', 15, since)
                    self.assertBody(server.run('echo "again";'), 'again')
                    server.stop()

    @ftm_only('php-fpm believes every number')
    def test_inherited_number_that_is_no_listening_socket(self):
        for value in ('/somewhere.sock=99', '=3', '/somewhere.sock=4', 'nonsense', '/somewhere.sock=0'):
            with self.subTest(value):
                server = self.serve(env={'FPM_SOCKETS': value})
                self.assertBody(server.run('echo "served";'), 'served')
                server.stop()

    def test_daemon_keeps_no_descriptor_of_its_caller(self):
        server = self.serve(daemonize=True)
        for pid in server.processes():
            for number, target in proc.descriptors(pid).items():
                if number <= 2:
                    self.assertNotEqual(target, server.output, f'descriptor {number} of {pid} ({proc.title(pid)})')

    def test_pid_file_that_cannot_be_written(self):
        with self.assertRaises(StartError) as caught:
            Server(settings={'pid': '/nonexistent/dir/php-fpm.pid'}).start()
        self.assertEqual(caught.exception.code, 78)
        self.assertIn('ERROR: Unable to create the PID file (/nonexistent/dir/php-fpm.pid).', caught.exception.output)


class Options(DaemonTest):
    def test_ini_from_file_and_options(self):
        server = self.serve(php_ini='memory_limit = 77M\nprecision = 9\n', ini={'precision': '11'})
        self.assertEqual(server.run('echo ini_get("memory_limit"), " ", ini_get("precision");').text, '77M 11')

    def test_module_that_is_missing_is_a_warning(self):
        server = self.serve(args=['-d', 'extension=no_such_module'])
        self.assertEqual(server.run('echo "serves";').text, 'serves')
        server.wait_for("Unable to load dynamic library 'no_such_module'")
        if is_ftm():
            server.wait_for('packaging/php-runtime/extension no_such_module')    # the command that builds it

    @ftm_only('to php-fpm it is the right one')
    def test_module_of_another_abi_is_a_warning_and_names_the_command(self):
        stock = os.path.join(PROJECT, 'build', 'stock', 'lib', 'php')
        found = glob.glob(os.path.join(stock, '*', 'bcmath.so')) + glob.glob('/usr/lib/php/20*/calendar.so')
        if not found:
            self.skipTest('no module of a PHP that is not thread-safe here')
        for module in found:
            server = self.serve(args=['-d', f'extension={module}'])
            self.assertEqual(server.run('echo "serves";').text, 'serves')
            server.wait_for('Unable to (load dynamic library|initialize module)')
            name = os.path.basename(module)[:-len('.so')]
            server.wait_for(f'packaging/php-runtime/extension {name}')
            self.assertEqual(server.all_output().count(f'packaging/php-runtime/extension {name}'), 1)

    @ftm_only('to php-fpm they are the right ones')
    def test_zend_extension_of_another_abi_is_not_loaded_and_names_the_command(self):
        stock = glob.glob(os.path.join(PROJECT, 'build/stock/lib/php/*/opcache.so')) + glob.glob('/usr/lib/php/20*/opcache.so')
        cases = [(module, 'opcache', 'Failed loading .*undefined symbol') for module in stock]
        cases.append((library(self, 'zend-extension'), 'zend-extension', 'Cannot load Foreign - it was built with configuration API420240924,NTS'))
        cases.append(('no_such_module', 'no_such_module', "Failed loading Zend extension 'no_such_module'"))
        for module, name, words in cases:
            with self.subTest(module):
                server = self.serve(args=['-d', f'zend_extension={module}'])
                self.assertEqual(server.run('echo "serves";').text, 'serves')
                server.wait_for(words)
                server.wait_for(f'packaging/php-runtime/extension {name}')
                self.assertEqual(server.all_output().count(f'packaging/php-runtime/extension {name}'), 1, server.all_output())

    @needs_module('mysqli')
    def test_module_with_an_undefined_symbol_is_a_warning(self):
        """mysqli without mysqlnd: an order of ini files that administrators do get wrong."""
        if 'mysqli' in binary().compiled_in:
            self.skipTest('mysqli is compiled in')
        server = self.serve(modules=['mysqli'])
        self.assertEqual(server.run('echo "serves";').text, 'serves')
        server.wait_for("Unable to load dynamic library 'mysqli.so'")

    def test_module_that_is_loaded_twice_is_a_warning(self):
        if not binary().has('posix') or 'posix' in binary().compiled_in:
            self.skipTest('posix is no loadable module here')
        server = self.serve(modules=['posix', 'posix'])
        self.assertEqual(server.run('echo "serves";').text, 'serves')
        server.wait_for('Module "posix" is already loaded')

    def test_long_options(self):
        server = Server().prepare()
        command = [server.binary.path, '--nodaemonize', '--force-stderr', '--no-php-ini', '--fpm-config=' + server.conf, '--define', 'precision=5']
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=server.root,
                                   start_new_session=True)
        try:
            self.poll(server.accepts)
            self.assertEqual(server.run('echo ini_get("precision");').text, '5')
        finally:
            process.send_signal(signal.SIGQUIT)
            self.assertEqual(process.wait(PATIENCE), 0)
            server.cleanup()


if __name__ == '__main__':
    unittest.main()
