"""How PHP requests end: fatal error, exit, exception, memory limit, time limit, in every phase; the next request on the same context is fine."""

import os
import time

from ftm import fcgi
from ftm.case import DaemonTest, Pool, signals_reach_loops

WHAT = '''
$what = [
    'fatal' => function () { no_such_function(); },
    'exit' => function () { exit(7); },
    'exit text' => function () { exit('bye'); },
    'exception' => function () { throw new RuntimeException('uncaught'); },
    'memory' => function () { ini_set('memory_limit', '6M'); $x = str_repeat('x', 50000000); },
    'memory in small pieces' => function () { ini_set('memory_limit', '6M'); $x = []; while (true) $x[] = str_repeat('y', 100); },
    'time' => function () { set_time_limit(1); for (;;); },
    'recursion' => function () { ini_set('memory_limit', '20M'); $f = function () use (&$f) { $f(); }; $f(); },
    'warning' => function () { trigger_error('just a warning', E_USER_WARNING); },
    'user error' => function () { trigger_error('a user error', E_USER_ERROR); },
    'type error' => function () { (function (int $x) {})('no'); },
    'compile error' => function () { eval('this is no PHP'); },
    'fiber' => function () { (new Fiber(function () { exit(3); }))->start(); },
    'generator' => function () { foreach ((function () { yield 1; throw new Exception('x'); })() as $x); },
][$_GET['what']];
'''

PHASES = {
    'main': 'echo "start "; $what(); echo "end";',
    'function called deep': 'function deep($n, $f) { $n ? deep($n - 1, $f) : $f(); } echo "start "; deep(200, $what); echo "end";',
    'shutdown function': 'register_shutdown_function($what); echo "start end";',
    'shutdown function after another': 'register_shutdown_function(function () { echo " first"; }); register_shutdown_function($what); register_shutdown_function(function () { echo " third"; }); echo "start end";',
    'destructor': 'class D { function __construct(public $f) {} function __destruct() { ($this->f)(); } } $d = new D($what); echo "start end";',
    'output handler': 'ob_start(function ($s, $mode) use ($what) { if ($mode & PHP_OUTPUT_HANDLER_FINAL) $what(); return $s; }); echo "start end";',
    'error handler': 'set_error_handler($what); echo "start "; echo $undefined; echo "end";',
    'exception handler': 'set_exception_handler($what); echo "start "; throw new Exception("x");',
    'session handler': 'class H extends SessionHandler { public $f; function write($id, $data): bool { ($this->f)(); return true; } } $h = new H; $h->f = $what; session_set_save_handler($h, true); session_start(); echo "start end";',
    'autoloader': 'spl_autoload_register(function () use ($what) { $what(); }); echo "start "; class_exists("Missing"); echo "end";',
    'tick': 'register_tick_function($what); declare(ticks=1) { $a = 1; } echo "start end";',
    'header callback': 'header_register_callback($what); echo "start end";',
    'after finish': 'echo "start end"; fastcgi_finish_request(); $what();',
    'include': 'file_put_contents($f = sys_get_temp_dir() . "/inc" . getmypid() . ".php", "<?php \\$what();"); echo "start "; include $f; echo "end";',
}

CHECK = '''<?php
$left = [];
if (ob_get_level() !== (int) ini_get('output_buffering')) $left[] = 'output buffers ' . ob_get_level();
if (ini_get('memory_limit') !== '128M') $left[] = 'memory_limit ' . ini_get('memory_limit');
if (ini_get('max_execution_time') !== '30') $left[] = 'max_execution_time ' . ini_get('max_execution_time');
if (memory_get_usage() > 4 << 20) $left[] = 'memory ' . memory_get_usage();
if (set_error_handler(null) !== null) $left[] = 'error handler';
if (set_exception_handler(null) !== null) $left[] = 'exception handler';
if (spl_autoload_functions()) $left[] = 'autoloader';
if (error_get_last()) $left[] = 'error ' . error_get_last()['message'];
if (http_response_code() !== 200) $left[] = 'status ' . http_response_code();
if (session_status() !== PHP_SESSION_NONE) $left[] = 'session';
if (function_exists('deep') || class_exists('D', false)) $left[] = 'user function';
if (connection_status()) $left[] = 'connection status';
ob_start(); echo 'x'; $x = ob_get_clean();
echo $left ? implode(', ', $left) : "clean $x";
'''


class Outcomes(DaemonTest):
    """One pool of one child, so that the next request meets what the last one left."""

    def setUp(self):
        self.server = self.serve([Pool(children=1)], ini={'max_execution_time': '30', 'memory_limit': '128M'})
        self.check = self.server.script('check.php', CHECK)
        self.poll(self.server.workers)
        self.pids = self.server.workers()

    def outcome(self, what, phase):
        script = self.server.script('outcome-' + phase.replace(' ', '-') + '.php', '<?php ' + WHAT + PHASES[phase])
        return self.server.get(script, query='what=' + what.replace(' ', '+'))

    def assertClean(self, message=None):
        for _ in range(2):
            self.assertEqual(self.server.get(self.check).text, 'clean x', message)
        self.assertEqual(self.server.workers(), self.pids, f'the process is the same {message}')

    def every(self, *whats):
        for what in whats:
            for phase in PHASES:
                if (what, phase) in (('warning', 'error handler'),):
                    continue
                with self.subTest(what=what, phase=phase):
                    response = self.outcome(what, phase)
                    self.assertTrue(response.complete)
                    self.assertEqual(response.protocol_status, fcgi.REQUEST_COMPLETE)
                    self.assertClean(f'after {what} in {phase}')

    def test_fatal_everywhere(self):
        self.every('fatal', 'type error', 'compile error', 'user error')

    def test_exit_everywhere(self):
        self.every('exit', 'exit text', 'fiber')

    def test_exception_everywhere(self):
        self.every('exception', 'generator', 'warning')

    def test_memory_limit_everywhere(self):
        self.every('memory', 'memory in small pieces', 'recursion')

    @signals_reach_loops
    def test_time_limit_everywhere(self):
        self.every('time')

    def test_fatal_with_nothing_sent_is_500(self):
        response = self.server.run('no_such_function();')
        self.assertEqual((response.status, response.body), (500, b''))
        self.assertIn(b'PHP Fatal error:  Uncaught Error: Call to undefined function no_such_function()', response.stderr)
        self.assertClean()

    def test_fatal_after_output_keeps_the_output(self):
        response = self.server.run('echo "before"; flush(); no_such_function();')
        self.assertEqual((response.status, response.body), (200, b'before'))
        self.assertClean()

    def test_exit_in_the_middle_runs_shutdown_functions_and_destructors(self):
        response = self.server.run('class D { function __destruct() { echo " destructor"; } } $d = new D; register_shutdown_function(function () { echo " shutdown"; }); echo "main"; exit(3);')
        self.assertBody(response, 'main shutdown destructor')

    def test_kept_connection_survives_every_outcome(self):
        with self.server.connect() as connection:
            for what in ('fatal', 'exit', 'exception', 'memory', 'user error', 'warning'):
                script = self.server.script('kept.php', '<?php ' + WHAT + PHASES['main'])
                response = connection.request(fcgi.script_params(script, QUERY_STRING='what=' + what.replace(' ', '+')), keep=True)
                self.assertTrue(response.complete, what)
            self.assertEqual(connection.request(fcgi.script_params(self.check), keep=True).text, 'clean x')

    def test_memory_limit_message_and_return_of_memory(self):
        response = self.server.run('ini_set("memory_limit", "8M"); $x = str_repeat("x", 100 << 20);')
        self.assertEqual(response.status, 500)
        self.assertRegex(response.stderr.decode(), r'Allowed memory size of 8388608 bytes exhausted \(tried to allocate \d+ bytes\)')
        self.assertBody(self.server.run('$x = str_repeat("x", 60 << 20); echo strlen($x);'), str(60 << 20))


class TimeLimit(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=2)], ini={'max_execution_time': '1'})

    @signals_reach_loops
    def test_cpu_time_is_limited(self):
        began = time.monotonic()
        response = self.server.run('echo "x"; while (true) { $y = sha1("z"); }')
        took = time.monotonic() - began
        self.assertIn(b'Maximum execution time of 1 second exceeded', response.stderr)
        self.assertGreater(took, 0.9)

    def test_sleeping_and_waiting_do_not_count(self):
        self.assertBody(self.server.run('$t = microtime(true); while (microtime(true) - $t < 2.2) usleep(50000); echo "slept";'), 'slept')

    def test_waiting_for_a_program_does_not_count(self):
        self.assertBody(self.server.run('echo trim(shell_exec("sleep 1.6; echo done"));'), 'done')

    def test_set_time_limit_starts_anew(self):
        self.assertBody(self.server.run('for ($i = 0; $i < 3; $i++) { set_time_limit(1); $t = microtime(true); while (microtime(true) - $t < 0.6); } echo "done";'), 'done')

    @signals_reach_loops
    def test_limit_of_one_request_spares_the_neighbour(self):
        """The neighbour uses its own time: 0.7 s of CPU beside a spinning one is no time-out."""
        spin = self.server.script('spin.php', '<?php while (true) { $y = sha1("z"); }')
        work = self.server.script('work.php', '<?php set_time_limit(5); $n = 0; $t = microtime(true); while (microtime(true) - $t < 0.7) $n++; echo "worked";')
        with self.server.connect() as a, self.server.connect() as b:
            a.send_request(fcgi.script_params(spin))
            b.send_request(fcgi.script_params(work))
            self.assertEqual(b.read_response().text, 'worked')
            self.assertIn(b'Maximum execution time', a.read_response().stderr)

    @signals_reach_loops
    def test_many_time_limits_at_once(self):
        self.server.stop()
        server = self.serve([Pool(children=6)], ini={'max_execution_time': '1'})
        spin = server.script('spin.php', '<?php while (true) { $y = sha1("z"); }')
        connections = [server.connect(timeout=60) for _ in range(6)]
        for connection in connections:
            connection.send_request(fcgi.script_params(spin))
        for connection in connections:
            self.assertIn(b'Maximum execution time', connection.read_response().stderr)
            connection.close()
        self.assertEqual(server.run('echo "fine";').text, 'fine')

    def test_limit_is_off(self):
        self.assertBody(self.server.run('set_time_limit(0); $t = microtime(true); while (microtime(true) - $t < 1.5); echo "done";'), 'done')

    @signals_reach_loops
    def test_what_a_request_left_of_its_time_does_not_end_the_next(self):
        """A context keeps its timer and does not stop it between requests."""
        self.server.stop()
        server = self.serve([Pool(children=1)], ini={'max_execution_time': '1'})
        work = '<?php $t = hrtime(true); while (hrtime(true) - $t < %s * 1e9); echo "worked";'
        short, long = server.script('short.php', work % '0.7'), server.script('long.php', work % '1.5')
        for _ in range(3):
            self.assertBody(server.get(short), 'worked')
        spin = server.script('spin.php', '<?php while (true) { $y = sha1("z"); }')
        self.assertIn(b'Maximum execution time', server.get(spin).stderr)
        self.assertBody(server.get(short), 'worked')
        # last: php-fpm keeps the value for the child's later requests
        self.assertBody(server.get(long, PHP_VALUE='max_execution_time=0'), 'worked')

    @signals_reach_loops
    def test_a_longer_limit_right_after_a_shorter_one(self):
        """php-ftm leaves a timer that was just set as it is, and adds to it when it runs out."""
        self.server.stop()
        server = self.serve([Pool(children=1)], ini={'max_execution_time': '1', 'max_input_time': '60'})
        short = server.script('short.php', '<?php echo "short";')
        spin = server.script('spin.php', '<?php while (true) { $y = sha1("z"); }')
        for limit in (1, 2, 1, 3):
            self.assertBody(server.get(short, PHP_VALUE='max_execution_time=1'), 'short')
            began = time.monotonic()
            response = server.get(spin, PHP_VALUE=f'max_execution_time={limit}')
            self.assertRegex(response.stderr, rf'Maximum execution time of {limit} second'.encode())
            self.assertGreater(time.monotonic() - began, limit - 0.1)

    @signals_reach_loops
    def test_loop_in_a_library_call(self):
        """The timer only marks the request; it ends when the call returns.  php-fpm kills the child after hard_timeout."""
        response = self.server.run('$x = str_repeat("a", 200000); for ($i = 0; $i < 100000; $i++) { $y = strrev($x); $z = md5($y); }')
        self.assertIn(b'Maximum execution time', response.stderr)


class Uploads(DaemonTest):
    def test_uploaded_files_exist_during_and_vanish_after_the_request(self):
        from ftm.http import multipart
        server = self.serve([Pool(children=1)])
        script = server.script('upload.php', '<?php $f = $_FILES["f"]; echo $f["size"], " ", sha1_file($f["tmp_name"]) === $_POST["sum"] ? "same" : "other", " ", is_uploaded_file($f["tmp_name"]) ? "uploaded" : "-",'
                               ' " ", $f["tmp_name"]; if (isset($_GET["fatal"])) no_such(); if (isset($_GET["move"])) move_uploaded_file($f["tmp_name"], $_GET["move"]);')
        import hashlib
        data = os.urandom(300000)
        body, kind = multipart([('sum', hashlib.sha1(data).hexdigest())], [('f', 'x.bin', 'application/octet-stream', data)])
        for query in ('', 'fatal=1'):
            response = server.post(script, body, CONTENT_TYPE=kind, QUERY_STRING=query)
            size, same, uploaded, path = response.text.split(' ')
            self.assertEqual((size, same, uploaded), ('300000', 'same', 'uploaded'))
            self.poll(lambda: not os.path.exists(path))
        kept = os.path.join(server.tmp, 'moved')
        server.post(script, body, CONTENT_TYPE=kind, QUERY_STRING='move=' + kept)
        self.poll(lambda: os.path.exists(kept))
        with open(kept, 'rb') as f:
            self.assertEqual(f.read(), data)


