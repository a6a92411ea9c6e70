"""Scripts that do to a worker what they should not: the request gets an answer, the worker lives or is replaced, and the next visitor sees nothing of it."""

import os
import signal
import tempfile
import threading

from ftm import fcgi
from ftm.case import IS_ROOT, needs_module, signals_reach_loops
from ftm.server import POOL_USER
from ftm.worker import WorkerTest

CALL = 'try { frankenphp_handle_request(fn() => 1); } catch (RuntimeException $e) { %s }'


class Hostile(WorkerTest):
    def alive(self, server):
        for _ in range(2):
            self.assertRegex(self.ask(server).text, r'^hello \d+$')

    def test_loop_called_from_where_it_must_not_be(self):
        server = self.worker(ini={'display_errors': '0'}, after='if (isset($_GET["ob"])) { ob_start(function ($text) { ' + CALL % 'error_log("told: " . $e->getMessage());' + ' return ""; }); echo "x"; ob_end_flush(); }')
        inside = 'frankenphp_handle_request() called inside of its own callback'
        self.assertEqual(self.php(server, CALL % 'echo $e->getMessage();').text, inside)
        self.assertEqual(self.php(server, 'ob_start(function ($text) { ' + CALL % 'return $e->getMessage();' + ' }); echo "x";').text, inside)
        self.assertEqual(self.php(server, 'header_register_callback(function () { ' + CALL % 'header("X-Said: " . $e->getMessage());' + ' });').header('X-Said'), inside)
        self.assertEqual(self.php(server, '(new Fiber(function () { ' + CALL % 'echo $e->getMessage();' + ' }))->start();').text, inside)
        self.assertEqual(self.php(server, 'register_shutdown_function(function () { ' + CALL % 'echo $e->getMessage();' + ' }); exit;').text, inside)
        self.ask(server, query='ob=1')
        server.wait_for(r'told: frankenphp_handle_request\(\) called inside of an output handler')
        self.alive(server)

    def test_loop_called_in_an_output_handler_while_the_script_boots(self):
        server = self.worker(boot='ob_start(function ($text) { ' + CALL % 'error_log("told: " . $e->getMessage());' + ' return ""; }); echo "x"; ob_end_flush();')
        server.wait_for(r'told: frankenphp_handle_request\(\) called inside of an output handler')
        self.alive(server)

    def test_loop_inside_of_a_fiber(self):
        server = self.worker(source='''<?php $boot = random_int(0, PHP_INT_MAX); (new Fiber(function () use ($boot) {
            while (frankenphp_handle_request(function () use ($boot) { switch ($_GET["do"] ?? "") {
                case "throw": throw new Exception("x"); case "exit": echo "bye"; exit(0); case "fatal": eval("class A {} class A {}"); case "suspend": Fiber::suspend();
                default: echo "hello $boot"; } })); }))->start();''', ini={'display_errors': '0'})
        hello = self.ask(server).text
        self.assertEqual([self.ask(server).text for _ in range(3)], [hello] * 3)
        self.assertEqual(self.ask(server, 'throw').status, 500)
        self.assertEqual(self.ask(server).text, hello)
        for end, status, text in (('exit', 200, 'bye'), ('fatal', 500, ''), ('suspend', 200, '')):    # suspended for ever: the script has come to its end
            with self.subTest(end=end):
                answer = self.ask(server, end)
                self.assertEqual((answer.status, answer.text), (status, text))
                other = self.ask(server).text
                self.assertNotEqual(other, hello)
                self.assertRegex(other, r'^hello \d+$')
                hello = other

    def test_fiber_suspended_in_one_request_goes_on_in_another(self):
        server = self.worker(ini={'display_errors': '0'})
        start = '$GLOBALS["f"] = new Fiber(function () { echo "in ", $_GET["n"]; Fiber::suspend(); echo "then ", $_GET["n"]; Fiber::suspend(); throw new Exception("from the fiber"); }); $GLOBALS["f"]->start();'
        self.assertEqual(server.post(self.script, start, QUERY_STRING='do=eval&n=1', CONTENT_TYPE='a/b').text, 'in 1')
        self.assertEqual(server.post(self.script, '$GLOBALS["f"]->resume();', QUERY_STRING='do=eval&n=2', CONTENT_TYPE='a/b').text, 'then 2')
        self.assertEqual(self.php(server, '$GLOBALS["f"]->resume();').status, 500)
        self.alive(server)

    def test_generators_and_destructors(self):
        server = self.worker(ini={'display_errors': '0'})
        for code, status, text in (
                ('function g() { try { yield 1; } finally { throw new Exception("g"); } } $g = g(); $g->current(); unset($g); echo "not";', 500, ''),
                ('(function () { yield from (function () { echo "x"; exit(0); yield 1; })(); })()->current();', 200, 'x'),
                ('class C { public $self; function __destruct() { throw new Exception("c"); } } $c = new C; $c->self = $c; unset($c); gc_collect_cycles();', 500, ''),
                ('class E { function __destruct() { echo "x"; exit(0); } } $e = new E;', 200, 'x')):
            with self.subTest(code=code):
                answer = self.php(server, code)
                self.assertEqual((answer.status, answer.text), (status, text))
                self.alive(server)

    def test_callbacks_that_throw_or_end_the_script(self):
        server = self.worker(boot='class S extends SessionHandler { function read($id): string|false { exit(4); } } class W extends SessionHandler { function write($id, $data): bool { exit(4); } }',
                             ini={'display_errors': '0'})
        for code, status, text in (
                ('ob_start(function ($text) { throw new Exception("o"); }); echo "x";', 200, 'x'), ('ob_start(function ($text) { ob_start(); return $text; }); echo "x";', 200, ''),
                ('header_register_callback(function () { throw new Exception("h"); }); echo "x";', 200, 'x'), ('header_register_callback(function () { exit(2); }); echo "x";', 200, 'x'),
                ('session_set_save_handler(new S, true); session_start(); echo "x";', 200, ''), ('session_set_save_handler(new W, true); session_start(); $_SESSION["a"] = 1; echo "x";', 200, 'x'),
                ('set_error_handler(function ($n, $m) { restore_error_handler(); throw new ErrorException($m); }); echo $undefined;', 500, ''),
                ('spl_autoload_register($a = function ($c) use (&$a) { spl_autoload_unregister($a); throw new Exception($c); }); new Missing;', 500, ''),
                ('declare(ticks=1); register_tick_function($t = function () use (&$t) { unregister_tick_function($t); throw new Exception("tick"); }); $a = 1; $b = 2;', 500, '')):
            with self.subTest(code=code):
                answer = self.php(server, code)
                self.assertEqual((answer.status, answer.text), (status, text))
                self.alive(server)

    def test_shutdown_functions_outside_of_the_callback_run_when_the_script_ends(self):
        server = self.worker(boot='register_shutdown_function(function () { echo " at the end, ", $_GET["do"] ?? "no request"; });', stop_time='5')
        self.ask(server)
        self.assertEqual(self.php(server, 'echo "x"; exit;').text, 'x at the end, eval')
        self.ask(server)
        server.kill(signal.SIGQUIT)
        server.wait_for('at the end, no request')

    def test_superglobals_that_are_replaced_removed_or_referred_to(self):
        server = self.worker()
        types = 'echo gettype($_SERVER), gettype($_GET), gettype($_POST), gettype($_COOKIE), gettype($_FILES), gettype($_REQUEST), isset($_SESSION) ? 1 : 0, $_SERVER["REQUEST_METHOD"];'
        for code in ('$_SERVER = null; $_GET = 5; $_POST = "x"; $_COOKIE = new stdClass; $_FILES = null; $_REQUEST = 1; $_SESSION = 1;', 'foreach (array_keys($GLOBALS) as $k) unset($GLOBALS[$k]);'):
            self.php(server, code)
            self.assertEqual(self.php(server, types).text, 'array' * 6 + '0POST')
        self.php(server, '$GLOBALS["get"] =& $_GET; $_GET["mine"] = "secret"; session_start(); $GLOBALS["session"] =& $_SESSION; $_SESSION["mine"] = "secret";')
        self.assertEqual(self.php(server, 'session_start(); $_SESSION["b"] = 1; echo json_encode([$_GET, $_SESSION, $GLOBALS["session"]]);').text, '[{"do":"eval"},{"b":1},{"mine":"secret"}]')

    def test_body_that_is_not_read(self):
        server = self.worker()
        with server.connect() as connection:
            for size in (1, 1 << 16, 3 << 20):
                body = b'x' * size
                answer = connection.request(fcgi.post_params(self.script, body, 'application/octet-stream'), body)
                self.assertRegex(answer.text, r'^hello \d+$')

    def test_opcache_reset_beside_other_requests(self):
        server = self.worker(children=4, num=3, ini={'opcache.enable': '1', 'opcache.validate_timestamps': '0'}, modules=['opcache'])
        stop, wrong = threading.Event(), []

        def others():
            while not stop.is_set():
                answer = self.ask(server)
                if answer.status != 200 or not answer.text.startswith('hello '):
                    wrong.append(repr(answer))
        threads = [threading.Thread(target=others) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                before = set(server.workers())
                self.assertEqual(self.php(server, 'var_dump(opcache_reset());').text, 'bool(true)\n')
                self.poll(lambda: (now := set(server.workers())) and not now & before)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def test_reload_in_mid_request(self):
        server = self.worker(stop_time='10', end='error_log("left the loop");')
        go = os.path.join(server.tmp, 'go')
        with server.connect() as connection:
            code = f'echo "first "; flush(); while (!file_exists("{go}")) {{ clearstatcache(); usleep(5000); }} echo "second";'.encode()
            connection.send_request(fcgi.post_params(self.script, code, 'a/b', QUERY_STRING='do=eval'), code)
            connection.read_record()
            server.kill(signal.SIGUSR2)
            server.wait_for('ready to handle connections', count=2)
            self.assertEqual(self.ask(server).text, 'hello 1', 'the new generation')
            with open(go, 'w', encoding='utf-8'):
                pass
            self.assertIn(b'second', connection.read_response().body)
        server.wait_for('left the loop')

    @needs_module('pcntl')
    def test_fork_in_a_request(self):
        server = self.worker(modules=['pcntl'])
        code = '$pid = pcntl_fork(); if ($pid === 0) { echo "child"; exit(0); } pcntl_waitpid($pid, $status); echo "parent ", pcntl_wexitstatus($status);'
        self.assertEqual(self.php(server, code).text, 'parent 0')
        forever = 'if (pcntl_fork() === 0) { while (frankenphp_handle_request(fn() => 1)); exit(0); } echo "parent";'
        self.assertEqual(self.php(server, forever).text, 'parent')
        self.alive(server)

    def test_preloaded_classes(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix='ftm-preload-'))
        os.chmod(folder, 0o755)
        with open(os.path.join(folder, 'preload.php'), 'w', encoding='utf-8') as file:
            file.write('<?php class Preloaded { static $n = 0; static function next() { static $m = 10; return ++self::$n . " " . ++$m; } }')
        ini = {'opcache.enable': '1', 'opcache.preload': file.name, **({'opcache.preload_user': POOL_USER} if IS_ROOT else {})}
        server = self.worker(modules=['opcache'], ini=ini, children=3, num=1)
        self.assertEqual([self.php(server, 'echo Preloaded::next();').text for _ in range(3)], ['1 11', '2 12', '3 13'])
        classic = server.script('classic.php', '<?php echo Preloaded::next();')
        for _ in range(3):
            self.assertEqual(server.get(classic).text, '1 11')
        self.assertEqual(self.php(server, 'echo Preloaded::next(); exit;').text, '4 14')
        self.assertEqual(self.php(server, 'echo Preloaded::next();').text, '1 11', 'in the script that was booted anew')


class Limits(WorkerTest):
    """What ends what does not end by itself; as in php-fpm for the same script."""

    @signals_reach_loops
    def test_shutdown_function_after_exit_is_ended_by_max_execution_time(self):
        server = self.worker(ini={'display_errors': '0', 'max_execution_time': '1'})
        self.assertEqual(self.php(server, 'register_shutdown_function(function () { while (true); }); echo "x"; exit(1);').text, 'x')
        server.wait_for('Maximum execution time of 1 second exceeded')
        self.assertEqual(self.ask(server).text, 'hello 1')

    @signals_reach_loops
    def test_shutdown_function_after_a_timeout_is_ended_by_hard_timeout(self):
        server = self.worker(ini={'display_errors': '0', 'max_execution_time': '1', 'hard_timeout': '1'})
        self.php(server, 'register_shutdown_function(function () { while (true); }); while (true);')
        server.wait_for('Maximum execution time of 1 second exceeded', count=2)
        self.assertEqual(self.ask(server).text, 'hello 1')

    @signals_reach_loops
    def test_work_after_the_answer_is_ended_when_it_is_tracked(self):
        server = self.worker(ini={'max_execution_time': '0'}, settings=[('request_terminate_timeout', '3s'), ('request_terminate_timeout_track_finished', 'yes')])
        for code, text in (('echo "x"; fastcgi_finish_request(); while (true);', 'x'), ('register_shutdown_function(function () { while (true); }); echo "x"; exit;', None)):
            with self.subTest(code=code):
                since = server.mark()
                if text is None:
                    with self.assertRaises(fcgi.Closed):
                        self.php(server, code)
                else:
                    self.assertEqual(self.php(server, code).text, text)
                server.wait_for('execution timed out', since=since)
                self.assertEqual(self.ask(server).text, 'hello 1')

    def test_memory_limit_of_the_pool(self):
        server = self.worker(settings=[('php_admin_value[memory_limit]', '32M')], ini={'display_errors': '0'})
        for _ in range(3):
            self.assertEqual(self.php(server, 'ini_set("memory_limit", "-1"); $x = str_repeat("x", 64 << 20);').status, 500)
            self.assertEqual(self.ask(server).text, 'hello 1')

    def test_memory_limit_that_a_request_sets_itself(self):
        server = self.worker(ini={'memory_limit': '32M', 'display_errors': '0'})
        self.assertEqual(self.php(server, 'ini_set("memory_limit", "128M"); echo strlen(str_repeat("x", 64 << 20));').text, str(64 << 20))
        self.assertEqual(self.php(server, 'echo strlen(str_repeat("x", 64 << 20));').text, str(64 << 20), 'ini_set() stays')

