"""Worker mode: FrankenPHP's contract (boot, loop, end), and that nothing of one visitor reaches the next."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from ftm import fcgi, proc
from ftm.http import multipart
from ftm.server import Pool
from ftm.worker import DISPATCH, LOOP, WorkerTest


class Loop(WorkerTest):
    def test_script_stays_booted(self):
        server = self.worker()
        answers = {self.ask(server, 'booted').text for _ in range(20)}
        self.assertEqual(len(answers), 1)
        self.assertEqual(self.ask(server, 'count').text, '21')

    def test_kept_connection(self):
        server = self.worker()
        with server.connect() as connection:
            self.assertEqual([self.ask(server, 'count', connection).text for _ in range(5)], ['1', '2', '3', '4', '5'])

    def test_other_scripts_run_classic(self):
        server = self.worker()
        other = server.script('other.php', '<?php echo "classic ", getmypid(); var_dump(isset($_SERVER["FRANKENPHP_WORKER"]));')
        self.assertEqual(self.ask(server, 'count').text, '1')
        self.assertRegex(server.get(other).text, r'^classic \d+bool\(false\)')
        self.assertEqual(self.ask(server, 'count').text, '2')

    def test_idle_dynamic_pool_does_not_ask_for_more_contexts(self):
        for num in (3, 4):
            with self.subTest(num=num):
                server = self.worker(children=4, num=num, settings=[('pm', 'dynamic'), ('pm.start_servers', '2'), ('pm.min_spare_servers', '2'), ('pm.max_spare_servers', '3'),
                                                                    ('pm.status_path', '/status')])
                def status():
                    return json.loads(server.get('/status', 'json', SCRIPT_NAME='/status', SCRIPT_FILENAME='/status').text)
                self.poll(lambda: status()['start since'] > 2, 10)
                self.assertEqual(status()['max children reached'], 0)

    def test_symlink_to_the_script(self):
        server = self.worker()
        link = os.path.join(server.docroot, 'current')
        os.symlink('.', link)
        self.ask(server)
        self.assertEqual(server.get(os.path.join(link, 'worker.php'), 'do=count').text, '2')

    def test_match_of_a_path_or_of_the_script_that_the_front_names(self):
        server = self.worker(settings=[('worker.match[]', '/app/'), ('worker.match[]', '/index.php')])
        index = server.script('index.php', '<?php echo "classic";')
        other = server.script('other.php', '<?php echo "classic";')
        self.assertEqual(self.ask(server).text, 'hello 1')
        self.assertEqual(server.get(other).text, 'classic')
        self.assertEqual(server.get(other, REQUEST_URI='/app/page?a=b').text, 'hello 2')
        self.assertEqual(server.get(index, REQUEST_URI='/any/page?a=b').text, 'hello 3')
        self.assertEqual(server.get(other, REQUEST_URI='/any/page?a=/index.php').text, 'classic')
        self.assertEqual(json.loads(server.get(index, 'do=superglobals', REQUEST_URI='/any/page').text)['server']['SCRIPT_FILENAME'], index)

    def test_functions_are_absent_elsewhere(self):
        server = self.serve([Pool('plain')])
        names = ('frankenphp_handle_request', 'frankenphp_finish_request', 'frankenphp_log', 'mercure_publish')
        self.assertEqual(server.run('echo implode(" ", array_filter(%s, "function_exists"));' % json.dumps(names)).text, '')

    def test_functions_of_a_worker_pool(self):
        server = self.worker()
        names = ('frankenphp_handle_request', 'headers_send', 'frankenphp_finish_request', 'fastcgi_finish_request', 'frankenphp_request_headers',
                 'apache_request_headers', 'getallheaders', 'frankenphp_response_headers', 'apache_response_headers', 'frankenphp_log')
        code = 'foreach (%s as $f) if (!function_exists($f)) echo "no $f "; var_dump(function_exists("mercure_publish"), PHP_SAPI, extension_loaded("frankenphp"), FRANKENPHP_LOG_LEVEL_WARN);'
        self.assertEqual(self.php(server, code % json.dumps(names)).text, 'bool(false)\nstring(8) "fpm-fcgi"\nbool(false)\nint(4)\n')

    def test_stubs_name_all_functions(self):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        with open(os.path.join(root, 'packaging/stubs/php-ftm.php'), encoding='utf-8') as file:
            stubs = file.read()
        server = self.worker()
        listed = self.php(server, 'foreach ((new ReflectionExtension("cgi-fcgi"))->getFunctions() as $f) if (str_contains($f->name, "frankenphp") || $f->name === "headers_send")'
                          ' echo $f->name, "\n"; foreach (get_defined_constants(true)["cgi-fcgi"] ?? [] as $n => $v) echo "$n = $v\n";').text.split('\n')
        for line in filter(None, listed):
            self.assertIn(f'const {line};' if ' = ' in line else f'function {line}(', stubs)

    def test_exception_for_a_classic_script(self):
        server = self.worker()
        other = server.script('other.php', '<?php try { frankenphp_handle_request(fn() => 1); } catch (RuntimeException $e) { echo $e->getMessage(); }')
        self.assertEqual(server.get(other).text, 'frankenphp_handle_request() called while not in worker mode')

    def test_boot_environment(self):
        server = self.worker(boot='$at_boot = json_encode(["server" => $_SERVER, "get" => $_GET, "post" => $_POST, "cookie" => $_COOKIE, "env" => getenv("FRANKENPHP_WORKER"), "cwd" => getcwd()]);',
                             callback='global $at_boot; echo $at_boot;')
        got = json.loads(self.ask(server).text)
        self.assertEqual(got['server']['FRANKENPHP_WORKER'], '1')
        self.assertEqual(got['env'], '1')
        self.assertEqual(got['server']['REQUEST_METHOD'], 'GET')
        self.assertEqual(got['server']['SCRIPT_FILENAME'], self.script)
        self.assertTrue(got['server']['REQUEST_URI'])
        self.assertEqual([got['get'], got['post'], got['cookie']], [[], [], []])
        self.assertFalse([name for name in got['server'] if name.startswith('HTTP_')])
        self.assertEqual(got['cwd'], os.path.dirname(self.script))

    def test_worker_mark_is_not_in_requests_but_in_getenv(self):
        server = self.worker()
        self.assertEqual(self.php(server, 'var_dump(isset($_SERVER["FRANKENPHP_WORKER"]), getenv("FRANKENPHP_WORKER"));').text, 'bool(false)\nstring(1) "1"\n')

    def test_output_before_the_loop_goes_to_the_log(self):
        server = self.worker(boot='echo "said at boot\\n";')
        self.assertEqual(self.ask(server).text, 'hello 1')
        server.wait_for('said at boot')

    def test_code_after_the_loop_runs_on_reload_and_stop(self):
        server = self.worker(end='echo "said at the end\\n"; error_log("logged at the end");', stop_time='5')
        self.ask(server)
        server.kill(signal.SIGUSR2)
        server.wait_for('said at the end', 10)
        server.wait_for('PHP message: logged at the end', 10)
        server.wait_for(r'ready to handle connections', 15, count=2)
        self.assertEqual(self.ask(server).text, 'hello 1', 'a new generation')
        since = server.mark()
        server.kill(signal.SIGQUIT)
        server.wait_for('said at the end', 10, since)

    def test_code_between_requests_sees_the_request_that_was(self):
        server = self.worker(after='$last = $_GET["x"] ?? "-"; error_log("after $last");')
        self.ask(server, query='x=first')
        server.wait_for('PHP message: after first')

    def test_output_between_requests_goes_to_the_log_through_buffers(self):
        server = self.worker(after='echo "said between\\n"; ob_start(); echo "caught"; error_log("buffer: " . ob_get_clean()); ob_start(); echo "left\\n";')
        self.ask(server)
        server.wait_for('worker said: "said between"')
        server.wait_for('PHP message: buffer: caught')
        self.assertEqual(self.ask(server).text, 'hello 2')
        server.wait_for('worker said: "left"')

    def test_script_that_ends_is_started_again(self):
        server = self.worker(source='<?php $b = random_int(0, PHP_INT_MAX); for ($i = 0; $i < 3 && frankenphp_handle_request(function () use ($b) { echo $b; }); $i++);')
        answers = [self.ask(server).text for _ in range(9)]
        self.assertEqual([len(set(answers[i:i + 3])) for i in (0, 3, 6)], [1, 1, 1])
        self.assertEqual(len(set(answers)), 3)
        self.assertNotIn('WARNING', server.log_text())

    def test_max_requests(self):
        server = self.worker(settings=[('worker.max_requests', '4')])
        answers = []
        self.poll(lambda: answers.append(self.ask(server, 'booted').text) or len(set(answers)) > 5, 20)
        first, *others, last = dict.fromkeys(answers)
        for booted in (first, *others):  # it serves on until its successor has booted
            self.assertGreaterEqual(answers.count(booted), 4)


class Ends(WorkerTest):
    """How a callback can end, and what the client and the worker get."""

    def alive(self, server, before, same):
        after = self.ask(server, 'booted').text
        (self.assertEqual if same else self.assertNotEqual)(after, before)
        return after

    def test_exit_sends_what_there_is_and_runs_shutdown_functions(self):
        server = self.worker()
        booted = self.ask(server, 'booted').text
        answer = self.php(server, 'header("X-A: b"); register_shutdown_function(function () { echo " shutdown"; }); class D { function __destruct() { echo " destructor"; } } $GLOBALS["d"] = new D; echo "dumped"; exit(3);')
        self.assertEqual((answer.text, answer.header('X-A')), ('dumped shutdown destructor', 'b'))
        self.alive(server, booted, same=False)
        server.wait_for(r'WARNING: \[pool www\] worker .* status 3', 5)

    def test_exit_in_an_output_handler_ends_the_script_after_the_request(self):
        server = self.worker(end='echo "said at the end\\n";')
        booted = self.ask(server, 'booted').text
        self.assertEqual(self.php(server, 'ob_start(function ($text) { exit(3); }); register_shutdown_function(fn() => error_log("shutdown")); echo "shown";').status, 200)
        server.wait_for(r'WARNING: \[pool www\] worker .* status 3 after 2 requests \(exit\)', 5)
        server.wait_for('PHP message: shutdown')
        self.alive(server, booted, same=False)
        self.assertNotIn('said at the end', server.log_text())

    def test_status_of_an_exception_is_not_the_scripts(self):
        server = self.worker(source='<?php for ($i = 0; $i < 2 && frankenphp_handle_request(function () { throw new Exception("out"); }); $i++);', ini={'display_errors': '0'})
        for _ in range(4):
            self.assertEqual(self.ask(server).status, 500)
        server.wait_for(r'NOTICE: .* ended after 2 requests \(script_end\)', 5, count=1)

    def test_exit_without_status_is_no_warning(self):
        server = self.worker()
        self.assertEqual(self.php(server, 'echo "x"; exit;').text, 'x')
        self.ask(server)
        self.assertNotIn('WARNING', server.log_text())

    def test_uncaught_exception_is_the_requests_error_and_the_worker_goes_on(self):
        server = self.worker(ini={'display_errors': '0'})
        booted = self.ask(server, 'booted').text
        answer = self.php(server, 'throw new Exception("out");')
        self.assertEqual(answer.status, 500)
        server.wait_for('PHP Fatal error:  Uncaught Exception: out')
        self.alive(server, booted, same=True)
        self.assertEqual(self.ask(server).status, 200)

    def test_fatal_errors(self):
        server = self.worker(ini={'display_errors': '0', 'memory_limit': '32M', 'max_execution_time': '1'})
        for code in ('$x = str_repeat("x", 64 << 20);', 'function f() { f(); } f();', 'eval("class A {} class A {}");', 'while (true) $x = sha1("y");'):
            with self.subTest(code=code):
                booted = self.ask(server, 'booted').text
                self.assertEqual(self.php(server, code).status, 500)
                self.alive(server, booted, same=False)

    def test_crash_is_contained(self):
        server = self.worker(modules=['ffi'], ini={'ffi.enable': '1'}, children=3, num=2)
        self.ask(server)
        with server.connect() as connection:
            connection.send_request(fcgi.post_params(self.script, b'FFI::cdef("void abort(void);")->abort();', 'application/x-php', QUERY_STRING='do=eval'),
                                    b'FFI::cdef("void abort(void);")->abort();')
            self.assertEqual(connection.read_response().status, 500)
        self.poll(lambda: self.ask(server).text.startswith('hello'), 10)
        server.expect_log('.*')

    def test_crash_when_the_code_boots_no_more_after_a_reload(self):
        server = self.worker(modules=['ffi'], ini={'ffi.enable': '1'}, children=3, settings=[('worker.boot_timeout', '5')])
        other = server.script('other.php', '<?php echo "classic";')
        server.kill(signal.SIGUSR2)
        server.wait_for('ready to handle connections', 15, count=2)
        self.poll(lambda: len(server.workers()) == 1, 15)
        server.script('worker.php', '<?php throw new Exception("broken release");')
        server.expect_log('.*')
        self.assertEqual(self.php(server, 'FFI::cdef("void abort(void);")->abort();').status, 500)
        self.assertEqual(server.get(other).text, 'classic')
        self.assertEqual(self.ask(server).status, 503)

    def test_pool_of_workers_alone_whose_script_does_not_boot(self):
        server = self.worker(children=1, source='<?php throw new Exception("broken");')
        self.assertEqual(self.ask(server).status, 503)
        server.script('worker.php', LOOP % {'boot': '', 'callback': DISPATCH, 'after': '', 'end': ''})
        self.poll(lambda: self.ask(server).status == 200, 10)

    def test_exceptions_of_output_and_session_handlers_are_logged(self):
        server = self.worker(boot='class H extends SessionHandler { function write($id, $data): bool { throw new Exception("not written"); } }')
        booted = self.ask(server, 'booted').text
        self.php(server, 'ob_start(function ($b) { throw new Exception("not printed"); }); echo "hi";')
        server.wait_for('PHP Fatal error:  Uncaught Exception: not printed')
        self.php(server, 'session_set_save_handler(new H, true); session_start(); $_SESSION["a"] = 1; echo "hi";')
        server.wait_for('PHP Fatal error:  Uncaught Exception: not written')
        self.alive(server, booted, same=True)

    def test_exception_of_an_output_handler_does_not_keep_the_session_from_being_written(self):
        handler = '''class H implements SessionHandlerInterface { public static $data = [];
            function open($p, $n): bool { return true; } function close(): bool { return true; } function read($id): string { return self::$data[$id] ?? ""; }
            function write($id, $d): bool { self::$data[$id] = $d; return true; } function destroy($id): bool { return true; } function gc($t): int|false { return 0; } }
            session_set_save_handler(new H, true);'''
        server = self.worker(boot=handler)
        self.php(server, 'session_id("mine"); session_start(); $_SESSION["a"] = 1; ob_start(function ($b) { throw new Exception; }); echo "hi";')
        self.assertEqual(self.php(server, 'echo H::$data["mine"] ?? "none";').text, 'a|i:1;')

    def test_terminate_timeout_in_an_output_or_session_handler(self):
        server = self.worker(boot='class H extends SessionHandler { function write($id, $data): bool { while (true); } }', settings=[('request_terminate_timeout', '2s')])
        ran = os.path.join(server.tmp, 'ran')
        for code in ('ob_start(function ($b) { while (true); }); echo "x";', 'session_set_save_handler(new H, true); session_start(); $_SESSION["a"] = 1;'):
            with self.subTest(code=code):
                booted = self.ask(server, 'booted').text
                with self.assertRaises(fcgi.Closed):
                    self.php(server, f'register_shutdown_function(fn() => touch("{ran}")); {code}')
                self.alive(server, booted, same=False)
                self.assertFalse(os.path.exists(ran))

    def test_reload_is_tried_again_until_the_code_boots(self):
        server = self.worker(settings=[('worker.boot_timeout', '5')])
        booted = self.ask(server, 'booted').text
        with open(self.script, encoding='utf-8') as file:
            good = file.read()
        server.script('worker.php', '<?php throw new Exception("broken release");')
        server.expect_log(r'\[pool www\]')
        server.kill(signal.SIGUSR2)
        server.wait_for('did not become ready', 15)
        self.assertEqual(self.ask(server, 'booted').text, booted)
        server.script('worker.php', good)
        server.wait_for('ready to handle connections', 15, count=2)
        self.assertNotEqual(self.ask(server, 'booted').text, booted)

    def test_reload_with_code_that_does_not_boot_keeps_the_old_generation(self):
        server = self.worker(settings=[('worker.boot_timeout', '5')])
        booted = self.ask(server, 'booted').text
        server.script('worker.php', '<?php throw new Exception("broken release");')
        server.expect_log(r'\[pool www\]')
        server.kill(signal.SIGUSR2)
        server.wait_for('broken release', 10)
        for _ in range(10):
            self.assertEqual(self.ask(server, 'booted').text, booted)
            time.sleep(0.3)


class Isolation(WorkerTest):
    def both(self, server):
        a, b = server.connect(), server.connect()
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        return a, b

    def superglobals(self, server, connection=None, body=b'', **params):
        if body:
            params = fcgi.post_params(self.script, body, params.pop('CONTENT_TYPE', 'application/x-www-form-urlencoded'), **params)
        else:
            params = fcgi.script_params(self.script, **params)
        params['QUERY_STRING'] = 'do=superglobals' + ('&' + params['QUERY_STRING'] if params.get('QUERY_STRING') else '')
        answer = connection.request(params, body) if connection else fcgi.request(server.pool().address, params, body)
        return json.loads(answer.text)

    def test_superglobals_are_the_requests(self):
        server = self.worker()
        first = self.superglobals(server, body=b'p=1&q[]=2', QUERY_STRING='secret=a', HTTP_COOKIE='c=d', HTTP_X_SECRET='s', AUTH='x')
        self.assertEqual(first['post'], {'p': '1', 'q': ['2']})
        self.assertEqual(first['cookie'], {'c': 'd'})
        self.assertEqual(first['get'], {'do': 'superglobals', 'secret': 'a'})
        self.assertEqual(first['request'], {'do': 'superglobals', 'secret': 'a', 'p': '1', 'q': ['2'], 'c': 'd'})
        self.assertEqual(first['server']['HTTP_X_SECRET'], 's')
        second = self.superglobals(server)
        self.assertEqual([second[k] for k in ('post', 'cookie', 'files', 'input')], [[], [], [], ''])
        self.assertEqual(second['get'], {'do': 'superglobals'})
        self.assertEqual(second['request'], {'do': 'superglobals'})
        self.assertFalse({'HTTP_X_SECRET', 'HTTP_COOKIE', 'AUTH'} & set(second['server']))
        self.assertGreaterEqual(second['server']['REQUEST_TIME_FLOAT'], first['server']['REQUEST_TIME_FLOAT'])

    def test_objects_in_superglobals_end_before_the_next_request(self):
        server = self.worker()
        self.php(server, """class Held { function __construct(public $name) {}
            function __destruct() { echo "end of $this->name ", count($GLOBALS[$this->name] ?? $_GET), "\n"; header("X-Held: 1"); } }
            $_GET["o"] = new Held("_GET"); $_POST["o"] = new Held("_POST"); $_COOKIE["o"] = new Held("_COOKIE"); $_SERVER["o"] = new Held("_SERVER");
            $_FILES["o"] = new Held("_FILES"); $_REQUEST["o"] = new Held("_REQUEST");""")
        names = ('_GET', '_POST', '_COOKIE', '_SERVER', '_FILES', '_REQUEST')
        for name in names:
            server.wait_for(f'end of {name} ')
        answer = self.ask(server)
        self.assertEqual((answer.text, answer.header('X-Held')), ('hello 2', None))

    def test_session_of_the_loop_ends_before_the_next_request(self):
        server = self.worker(boot='class Held { function __destruct() { echo "end of _SESSION\\n"; } }', after='$_SESSION = ["o" => new Held];')
        self.assertEqual([self.ask(server).text for _ in range(3)], ['hello 1', 'hello 2', 'hello 3'])
        server.wait_for('end of _SESSION')

    def test_uploads(self):
        server = self.worker()
        body, kind = multipart([('t', 'v')], [('f', 'a.txt', 'text/plain', b'content')])
        first = self.superglobals(server, body=body, CONTENT_TYPE=kind)
        self.assertEqual((first['post'], first['files']['f']['name'], first['files']['f']['size']), ({'t': 'v'}, 'a.txt', 7))
        self.poll(lambda: not os.path.exists(first['files']['f']['tmp_name']))
        self.assertEqual(self.superglobals(server)['files'], [])

    def test_headers_status_and_buffers(self):
        server = self.worker()
        answer = self.php(server, 'http_response_code(418); header("X-Secret: 1"); header_register_callback(fn() => 1); ob_start(); ob_start(); echo "left in a buffer";')
        self.assertEqual((answer.status, answer.text), (418, 'left in a buffer'))
        answer = self.php(server, '$all = implode(",", headers_list()); echo ob_get_level(), " ", $all, " ", http_response_code();')
        self.assertEqual((answer.status, answer.header('X-Secret')), (200, None))
        self.assertRegex(answer.text, r'^0 X-Powered-By: PHP/[\d.]+ 200$')

    def test_last_error(self):
        server = self.worker(ini={'display_errors': '0'})
        self.php(server, 'echo $undefined;')
        self.assertEqual(self.php(server, 'var_dump(error_get_last());').text, 'NULL\n')

    def test_auth(self):
        server = self.worker()
        show = 'echo ($_SERVER["PHP_AUTH_USER"] ?? "-"), ":", ($_SERVER["PHP_AUTH_PW"] ?? "-");'
        self.assertEqual(self.php(server, show, HTTP_AUTHORIZATION='Basic dXNlcjpwYXNz').text, 'user:pass')
        self.assertEqual(self.php(server, show).text, '-:-')

    def test_sessions(self):
        server = self.worker()
        start = 'session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo session_id(), " ", $_SESSION["n"];'
        one = self.php(server, start).text.split()
        two = self.php(server, start).text.split()
        self.assertNotEqual(one[0], two[0])
        self.assertEqual([one[1], two[1]], ['1', '1'])
        for turn in ('2', '3'):
            for client in (one, two):
                self.assertEqual(self.php(server, start, HTTP_COOKIE=f'PHPSESSID={client[0]}').text, f'{client[0]} {turn}')
        self.assertEqual(self.php(server, 'var_dump($_SESSION ?? null, session_id(), session_status());').text, 'NULL\nstring(0) ""\nint(1)\n')

    def test_constant_with_the_session_id(self):
        server = self.worker(boot='ini_set("session.use_only_cookies", "0");')
        started = self.php(server, 'session_start(); echo session_id(), " ", @constant("SID");').text.split()
        self.assertEqual(started[1], 'PHPSESSID=' + started[0])
        show = 'echo "[", defined("SID") ? @constant("SID") : "", "]";'
        self.assertEqual(self.php(server, show).text, '[]')
        self.php(server, 'session_start(); session_destroy();')
        self.assertEqual(self.php(server, show).text, '[]')
        self.assertRegex(self.php(server, 'session_start(); ' + show).text, r'^\[PHPSESSID=\w+\]$')

    def test_session_array_that_was_filled_between_two_requests(self):
        server = self.worker(after='$_SESSION["secret"] = 1;')
        for _ in range(3):
            self.assertEqual(self.php(server, 'var_dump($_SESSION ?? null);').text, 'NULL\n')

    def test_session_after_every_kind_of_end(self):
        server = self.worker(ini={'display_errors': '0'})
        for end in ('exit(0);', 'throw new Exception("x");', 'no_such_function();', '$x = str_repeat("x", 1 << 40);', ''):
            with self.subTest(end=end):
                self.php(server, 'session_start(); $_SESSION["secret"] = "mine"; ' + end)
                self.assertEqual(self.php(server, '$before = $_SESSION ?? null; session_start(); var_dump($before, $_SESSION);').text, 'NULL\narray(0) {\n}\n')

    def test_user_session_handler_registered_at_boot(self):
        handler = '''class H implements SessionHandlerInterface { public static $data = [];
            function open($p, $n): bool { return true; } function close(): bool { return true; } function read($id): string { return self::$data[$id] ?? ""; }
            function write($id, $d): bool { self::$data[$id] = $d; return true; } function destroy($id): bool { unset(self::$data[$id]); return true; } function gc($t): int|false { return 0; } }
            session_set_save_handler(new H, true);'''
        server = self.worker(boot=handler)
        code = 'session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo session_id(), " ", $_SESSION["n"];'
        sid, n = self.php(server, code).text.split()
        self.assertEqual(n, '1')
        self.assertEqual(self.php(server, code, HTTP_COOKIE=f'PHPSESSID={sid}').text, f'{sid} 2')
        self.assertEqual(self.php(server, code).text.split()[1], '1')

    def test_request_ini_values_end_with_the_request(self):
        server = self.worker(boot='ini_set("precision", "10");')
        show = 'echo ini_get("precision"), " ", ini_get("user_agent");'
        self.assertEqual(self.php(server, show, PHP_VALUE='precision=5\nuser_agent=mine').text, '5 mine')
        self.assertEqual(self.php(server, show).text, '10 ')
        self.assertEqual(self.php(server, 'ini_set("precision", "12");' + show).text, '12 ')
        self.assertEqual(self.php(server, show).text, '12 ', 'what the application sets stays')

    def test_session_settings_of_a_request_end_with_it(self):
        server = self.worker(boot='ini_set("session.name", "APP");')
        show = 'echo ini_get("session.name"); flush();'
        for settings, name in (('', 'APP'), ('session.name=FRONT', 'FRONT'), ('', 'APP'), ('', 'APP')):
            self.assertEqual(self.php(server, show, PHP_VALUE=settings).text, name)

    def test_encodings_are_the_clients(self):
        server = self.worker(ini={'zlib.output_compression': None})
        for code in ('ob_start("ob_gzhandler"); echo str_repeat("x", 1000);', 'ini_set("zlib.output_compression", 1); echo str_repeat("x", 1000);'):
            with self.subTest(code=code):
                self.assertEqual(self.php(server, code, HTTP_ACCEPT_ENCODING='gzip').header('Content-Encoding'), 'gzip')
                self.assertEqual(self.php(server, code).text, 'x' * 1000)

    def test_output_compression_acts_in_each_request(self):
        server = self.worker(ini={'zlib.output_compression': '1'})
        for encoding in ('gzip', None, 'gzip', None):
            answer = self.php(server, 'echo str_repeat("x", 1000);', **({'HTTP_ACCEPT_ENCODING': encoding} if encoding else {}))
            self.assertEqual(answer.header('Content-Encoding'), encoding)

    def test_rewrite_variables_are_the_requests(self):
        server = self.worker()
        for name in ('one', 'two'):
            answer = self.php(server, f'output_add_rewrite_var("{name}", "1"); echo "<form></form>";')
            self.assertEqual(answer.text, f'<form><input type="hidden" name="{name}" value="1" /></form>')

    def test_temporary_files_of_the_application_stay_open(self):
        server = self.worker()
        self.php(server, '$GLOBALS["file"] = new SplTempFileObject; $GLOBALS["stream"] = fopen("php://temp", "w+"); $GLOBALS["file"]->fwrite("mine"); fwrite($GLOBALS["stream"], "too");')
        read = 'rewind($GLOBALS["stream"]); $GLOBALS["file"]->rewind(); echo $GLOBALS["file"]->fgets(), " ", stream_get_contents($GLOBALS["stream"]);'
        self.assertEqual(self.php(server, read).text, 'mine too')
        self.assertEqual(self.php(server, read).text, 'mine too')

    def test_kept_input_does_not_read_the_next_body(self):
        server = self.worker(callback='$GLOBALS["kept"] ??= fopen("php://input", "r"); $GLOBALS["spl"] ??= new SplFileObject("php://input");'
                             'echo stream_get_contents($GLOBALS["kept"]), "|", $GLOBALS["spl"]->fread(100), "|", file_get_contents("php://input");')
        self.assertEqual(server.post(self.script, b'first').text, 'first|first|first')
        for _ in range(3):
            self.assertEqual(server.post(self.script, b'second').text, '||second')

    def test_input_is_the_requests(self):
        server = self.worker()
        for size in (0, 10, 100_000, 3 << 20):
            answer = server.post(self.script, b'x' * size, QUERY_STRING='do=superglobals', CONTENT_TYPE='text/plain')
            self.assertEqual(len(json.loads(answer.text)['input']), size)

    def test_bad_input_does_not_end_the_worker(self):
        server = self.worker(boot='set_error_handler(function ($n, $m) { throw new ErrorException($m); });', ini={'max_input_vars': '1000', 'post_max_size': '1M', 'display_errors': '0'})
        booted = self.ask(server, 'booted').text
        for _ in range(5):
            many = '&'.join(f'a{i}=1' for i in range(1001)).encode()
            server.post(self.script, many, CONTENT_TYPE='application/x-www-form-urlencoded')
            server.post(self.script, b'--x\r\nbroken', CONTENT_TYPE='multipart/form-data; boundary=y')
            server.post(self.script, b'a=' + b'x' * (2 << 20), CONTENT_TYPE='application/x-www-form-urlencoded')
        self.assertEqual(self.ask(server, 'booted').text, booted)

    def test_error_of_an_oversized_form_names_the_function(self):
        server = self.worker(callback='echo error_get_last()["message"] ?? "none";', ini={'post_max_size': '1M', 'display_errors': '0'})
        answer = server.post(self.script, b'a=' + b'x' * (2 << 20), CONTENT_TYPE='application/x-www-form-urlencoded')
        self.assertRegex(answer.text, r'^frankenphp_handle_request\(.*POST Content-Length of 2097154 bytes exceeds the limit')
        self.assertEqual(self.ask(server).text, 'none')


class Requests(WorkerTest):
    def test_finish_request(self):
        server = self.worker()
        with server.connect() as connection:
            go, done = (os.path.join(server.tmp, name) for name in ('go', 'done'))
            code = f'echo "early"; var_dump(frankenphp_finish_request(), fastcgi_finish_request()); echo "dropped"; while (!file_exists("{go}")) usleep(5000); touch("{done}");'.encode()
            answer = connection.request(fcgi.post_params(self.script, code, 'application/x-php', QUERY_STRING='do=eval'), code)
            self.assertEqual(answer.text, 'early')
            open(go, 'w').close()
        self.poll(lambda: os.path.exists(done))
        self.assertEqual(self.ask(server).text, 'hello 2')

    def test_headers_functions(self):
        server = self.worker()
        answer = self.php(server, 'header("X-One: 1"); echo json_encode([frankenphp_request_headers(), frankenphp_response_headers(), headers_send(103), headers_send()]); ', HTTP_X_ASKED='yes')
        request, response, interim, sent = json.loads(answer.text)
        self.assertEqual(request['X-Asked'], 'yes')
        self.assertEqual(response['X-One'], '1')
        self.assertEqual(answer.header('X-One'), '1')

    def test_log(self):
        server = self.worker()
        self.php(server, 'frankenphp_log("plain"); frankenphp_log("bad thing", FRANKENPHP_LOG_LEVEL_ERROR, ["a" => 1, "b" => "x/y"]);')
        server.expect_log('bad thing')
        server.wait_for(r'NOTICE: .*plain$')
        server.wait_for(r'ERROR: .*bad thing \{"a":1,"b":"x/y"\}$')

    def test_time_limit_counts_per_request_and_not_while_waiting(self):
        server = self.worker(boot='set_time_limit(2);')
        for _ in range(3):
            self.assertEqual(self.php(server, '$t = hrtime(true); while (hrtime(true) - $t < 0.9e9); echo "ok";').text, 'ok')

    def test_client_that_leaves_does_not_end_the_worker(self):
        server = self.worker()
        booted = self.ask(server, 'booted').text
        for _ in range(20):
            with server.connect() as connection:
                code = b'for ($i = 0; $i < 50; $i++) { echo str_repeat("x", 10000); flush(); }'
                connection.send_request(fcgi.post_params(self.script, code, 'application/x-php', QUERY_STRING='do=eval'), code)
        self.assertEqual(self.ask(server, 'booted').text, booted)

    def test_parallel_requests_on_several_workers(self):
        server = self.worker(children=5, num=4)
        def one(i):
            return server.post(self.script, f'$n = {i}; usleep(random_int(0, 2000)); echo $_SERVER["HTTP_X_N"], " $n";', QUERY_STRING='do=eval',
                               CONTENT_TYPE='application/x-php', HTTP_X_N=str(i), timeout=60).text
        with ThreadPoolExecutor(16) as pool:
            self.assertEqual(list(pool.map(one, range(800))), [f'{i} {i}' for i in range(800)])

    def test_workers_that_have_been_cold_are_what_they_were(self):
        """A cold context gives memory back; a worker's script lives in it."""
        count = 10
        server = self.worker(boot='$kept = array_map(fn($i) => "value $i", range(1, 50000));',
                             callback='global $kept; usleep(200000); echo md5(implode(",", $kept));', children=count + 1, num=count)

        def all_at_once():
            with ThreadPoolExecutor(count) as pool:
                return set(pool.map(lambda _: self.ask(server).text, range(count)))
        before = all_at_once()
        time.sleep(1.5)  # longer than a context keeps what it does not need
        self.assertEqual(all_at_once(), before)
        self.assertEqual(len(before), 1)

    def test_classic_and_worker_requests_mixed(self):
        server = self.worker(children=4, num=2)
        other = server.script('other.php', '<?php usleep(random_int(0, 2000)); echo "classic ", $_GET["n"];')
        def one(i):
            if i % 3 == 0:
                return server.get(other, f'n={i}', timeout=60).text == f'classic {i}'
            return self.ask(server, 'count').text.isdigit()
        with ThreadPoolExecutor(16) as pool:
            self.assertTrue(all(pool.map(one, range(600))))

    def test_state_that_stays(self):
        server = self.worker()
        self.php(server, 'static $x; function kept() { return 1; } define("KEPT", 2); putenv("KEPT=3"); $_ENV["KEPT"] = 4; chdir("/usr"); class K { static $v = 5; }')
        self.assertEqual(self.php(server, 'echo kept(), KEPT, getenv("KEPT"), $_ENV["KEPT"], K::$v, getcwd();').text, '12345/usr')


class Memory(WorkerTest):
    def test_workers_that_were_not_needed_keep_their_memory(self):
        num = os.cpu_count() + 6  # more than wait in the ready set
        server = self.worker(children=num + 1, num=num, boot='class App { static $data = []; } for ($i = 0; $i < 20000; $i++) App::$data["k$i"] = str_repeat("x", $i % 50);')
        code = 'usleep(300000); $sum = 0; foreach (App::$data as $value) $sum += strlen($value); echo $sum;'
        for _ in range(2):
            with ThreadPoolExecutor(num) as pool:
                self.assertEqual(set(pool.map(lambda _: self.php(server, code).text, range(num))), {'490000'})
            time.sleep(2)  # they give memory back after a second


class Files(WorkerTest):
    def test_descriptors_and_temporary_files_stay_flat(self):
        server = self.worker()
        [engine] = server.workers()
        def post():
            return server.post(self.script, b'x' * (1 << 20), QUERY_STRING='do=superglobals', CONTENT_TYPE='text/plain')
        for _ in range(20):
            post()
        before = len(proc.descriptors(engine))
        for _ in range(200):
            post()
        self.poll(lambda: len(proc.descriptors(engine)) <= before + 2, what=lambda: f'{before} before, now {proc.descriptors(engine)}')
        self.poll(lambda: not [name for name in os.listdir(server.tmp) if name.startswith('php')])
