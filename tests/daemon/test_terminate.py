"""request_terminate_timeout: whatever a script sits in, its client is rid of it in time, as with php-fpm, and nobody else notices."""

import fcntl
import os
import re
import signal
import socket
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, sanitizer_threads, time_limit
from ftm.server import binary

LIMIT = 1  # seconds

ENDLESS = '''<?php
set_time_limit(0);
ignore_user_abort(true);
register_shutdown_function(function () { touch($_GET['flag'] . '.shutdown'); while (true) { } });
class Last { function __destruct() { touch($_GET['flag'] . '.destructor'); while (true) { } } }
$last = new Last;
ob_start(function ($text) { touch($_GET['flag'] . '.output'); return $text; });
echo 'begun';
touch($_GET['flag'] . '.begun');
while (true) {
    try {
        switch ($_GET['kind']) {
            case 'loop':   while (true) { $x = 1; }
            case 'calls':  while (true) { array_map(fn($x) => $x + 1, [1, 2, 3]); }
            case 'fiber':  (new Fiber(function () { while (true) { try { $y = 1; } finally { } } }))->start(); break;
            case 'sleep':  sleep(100); break;
            case 'usleep': usleep(100000000); break;
            case 'read':   $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); stream_set_timeout($pair[0], 1000); fread($pair[0], 10); break;
            case 'tcp':    $s = stream_socket_client('tcp://' . $_GET['address']); stream_set_timeout($s, 1000); while (true) { fgets($s); } break;
            case 'select': $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); $r = [$pair[0]]; $w = $e = null; @stream_select($r, $w, $e, 1000); break;
            case 'flock':  $f = fopen($_GET['lock'], 'c'); flock($f, LOCK_EX); break;
            case 'exec':   shell_exec('exec sleep 3'); break;
            case 'preg':   ini_set('pcre.backtrack_limit', PHP_INT_MAX); ini_set('pcre.jit', '0'); preg_match('/^(a|aa|aaa)*$/', str_repeat('a', 100) . 'b'); break;
            case 'hash':   hash_pbkdf2('sha512', 'password', 'salt', 2000000000); break;
            case 'spin':   $c = FFI::cdef('int pthread_spin_lock(volatile int *lock);'); $l = $c->new('int[16]'); $c->pthread_spin_lock($l); $c->pthread_spin_lock($l); break;
            case 'mutex':  $c = FFI::cdef('int pthread_mutex_lock(int *mutex);'); $m = $c->new('int[16]'); $c->pthread_mutex_lock($m); $c->pthread_mutex_lock($m); break;
        }
    } catch (Throwable $e) {
    } finally {
        touch($_GET['flag'] . '.finally');
    }
}
'''

INTERRUPTED = ('loop', 'calls', 'fiber', 'sleep', 'usleep', 'read', 'tcp', 'select', 'flock', 'exec')
STUCK = ('preg', 'hash', 'spin', 'mutex')                            # in C that does not return


def kinds():
    return [kind for kind in INTERRUPTED + STUCK if kind not in ('spin', 'mutex') or binary().has('ffi')]


def ffi():
    """For Server()."""
    return {'modules': ['ffi'], 'ini': {'ffi.enable': '1'}} if binary().has('ffi') else {}


class TerminateTest(DaemonTest):
    def make(self, children=6, limit=LIMIT, settings=(), **kwargs):
        server = self.serve([Pool(children=children, settings=[('request_terminate_timeout', f'{limit}s'), *settings])], **ffi(), **kwargs)
        self.endless = server.script('endless.php', ENDLESS)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        self.poll(server.workers)
        return server

    def begin(self, server, kind, keep=False, **query):
        flag = os.path.join(server.tmp, f'{kind}-{time.monotonic_ns()}')
        connection = server.connect()
        self.addCleanup(connection.close)
        query = '&'.join([f'kind={kind}', f'flag={flag}', *(f'{k}={v}' for k, v in query.items())])
        began = time.monotonic()
        connection.send_request(fcgi.script_params(self.endless, QUERY_STRING=query), keep=keep)
        return connection, flag, began

    def assertCut(self, connection, began, limit=LIMIT):
        """Closed without END_REQUEST, and not before its time. Nothing but the limit ends these scripts."""
        with self.assertRaises(fcgi.Closed) as caught:
            connection.read_response()
        elapsed = time.monotonic() - began
        self.assertFalse(caught.exception.partial.complete)
        self.assertGreaterEqual(elapsed, limit - 0.05)

    def assertServes(self, server, timeout=10):
        def answers():
            try:
                return server.get(self.hello, timeout=5).text == 'hello'
            except (fcgi.FcgiError, OSError):
                return False
        self.poll(answers, timeout, 'serves')


class Terminate(TerminateTest):
    @time_limit(200)
    def test_every_kind_is_ended_for_its_client(self):
        for kind in kinds():
            with self.subTest(kind):
                server = self.make(children=3)
                query = {}
                if kind == 'tcp':
                    listener = socket.create_server(('127.0.0.1', 0))
                    self.addCleanup(listener.close)
                    query['address'] = '127.0.0.1:%d' % listener.getsockname()[1]
                if kind == 'flock':
                    query['lock'] = os.path.join(server.tmp, 'held')
                    lock = open(query['lock'], 'w')
                    self.addCleanup(lock.close)
                    os.chmod(query['lock'], 0o666)
                    fcntl.flock(lock, fcntl.LOCK_EX)
                since = server.mark()
                connection, flag, began = self.begin(server, kind, **query)
                self.assertCut(connection, began)
                server.wait_for(rf'WARNING: \[pool www\] child \d+, script \'{re.escape(self.endless)}\' \(request: "GET /endless\.php\?kind={kind}&flag=[^"]*"\) '
                                rf'execution timed out \([1-9]\d*\.\d{{6}} sec\), terminating$', 5, since)
                self.assertServes(server)
                for left in ('shutdown', 'destructor', 'output', 'finally'):
                    self.assertFalse(os.path.exists(f'{flag}.{left}'), f'{left} of a terminated script ran')
                if kind == 'exec':                                   # the program outlives its script, as with php-fpm
                    self.poll(lambda: not any('sleep' in proc.title(pid) for pid in server.processes()), 10)
                server.stop()

    def test_script_whose_client_does_not_read(self):
        server = self.make(children=2, settings=[('output_spool_limit', '1M')] if is_ftm() else [])
        engines = server.workers()
        script = server.script('flood.php', '<?php ignore_user_abort(true); while (true) { echo str_repeat("x", 65536); }')
        connection = server.connect(timeout=30)
        connection.send_request(fcgi.script_params(script))
        server.wait_for('execution timed out', 5)
        self.assertServes(server)
        with self.assertRaises(fcgi.Closed):
            connection.read_response()
        connection.close()
        if is_ftm():
            self.assertEqual(server.workers(), engines)

    def test_log_goes_on_as_php_fpm_s(self):
        """The process that cannot be interrupted ends by SIGTERM, and another is started."""
        server = self.make(children=2)
        victims = server.workers()
        since = server.mark()
        connection, _, began = self.begin(server, 'preg')
        self.assertCut(connection, began)
        timed_out = server.wait_for(r'child (\d+), script .* execution timed out', 5, since)
        self.assertIn(int(timed_out.group(1)), victims)
        server.wait_for(rf'WARNING: \[pool www\] child {timed_out.group(1)} exited on signal 15 \(SIGTERM\) after \d+\.\d{{6}} seconds from start$', 10, since)
        server.wait_for(r'NOTICE: \[pool www\] child \d+ started$', 10, since)
        self.assertServes(server)

    @ftm_only('php-fpm kills the child')
    def test_script_that_can_be_interrupted_does_not_cost_the_engine(self):
        server = self.make(children=2)
        engines = server.workers()
        kinds = ('loop', 'sleep', 'read')
        if sanitizer_threads():                                      # ThreadSanitizer holds signals back from our poll()
            kinds = ('loop', 'sleep')
        for kind in kinds:
            connection, _, began = self.begin(server, kind)
            self.assertCut(connection, began)
        self.assertServes(server)
        self.assertEqual(server.workers(), engines)

    @ftm_only('php-fpm runs neighbours in other processes anyway')
    def test_neighbours_of_a_stuck_request_finish(self):
        server = self.make(children=5, limit=6)
        patient = server.script('patient.php', '<?php touch($_GET["f"]); while (!file_exists($_GET["go"])) { usleep(5000); clearstatcache(); } echo "done";')
        go = os.path.join(server.tmp, 'go')
        old = server.workers()
        stuck, _, began = self.begin(server, 'hash')
        time.sleep(3)                                                # so that their own time is not over when the engine is replaced
        neighbours = []
        for number in range(3):
            connection = server.connect(timeout=30)
            flag = os.path.join(server.tmp, f'neighbour{number}')
            connection.send_request(fcgi.script_params(patient, QUERY_STRING=f'f={flag}&go={go}'), keep=True)
            neighbours.append(connection)
        self.assertCut(stuck, began, 6)
        self.poll(lambda: set(server.workers()) - set(old), 10, 'a successor has started')
        open(go, 'w').close()
        self.assertServes(server)
        for connection in neighbours:
            self.assertBody(connection.read_response(), 'done')
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
            connection.close()
        self.poll(lambda: not set(server.workers()) & set(old), 10, 'the stuck thread went down with its process')

    @ftm_only('the children of php-fpm have no queue')
    def test_who_waits_behind_stuck_requests_goes_to_the_successor(self):
        server = self.make(children=2)
        stuck = [self.begin(server, 'hash') for _ in range(2)]
        self.poll(lambda: all(os.path.exists(flag + '.begun') for _, flag, _ in stuck))
        with server.connect() as waiting:
            waiting.send_request(fcgi.script_params(self.hello), keep=True)
            self.assertBody(waiting.read_response(), 'hello')
            self.assertBody(waiting.request(fcgi.script_params(self.hello), keep=True), 'hello')
        for connection, _, began in stuck:
            self.assertCut(connection, began)

    @ftm_only('the children of php-fpm have no queue')
    def test_who_waits_behind_stuck_requests_of_a_pool_that_stops_is_refused(self):
        server = self.make(children=1, limit=5)
        stuck, flag, began = self.begin(server, 'hash')
        self.poll(lambda: os.path.exists(flag + '.begun'))
        with server.connect() as waiting:
            waiting.send_request(fcgi.script_params(self.hello))
            os.kill(server.hosts()[0], signal.SIGQUIT)
            self.assertEqual(waiting.read_response().status, 503)
        self.assertCut(stuck, began, 5)

    @ftm_only('reload ends the children of php-fpm')
    def test_stuck_request_does_not_prolong_a_reload(self):
        server = self.make(children=2, limit=1)
        stuck, _, began = self.begin(server, 'hash')
        old = server.workers()
        server.kill(signal.SIGUSR2)
        self.assertCut(stuck, began)
        self.poll(lambda: not set(server.workers()) & set(old), 10, 'the old engine is gone')
        self.assertServes(server)

    def test_request_within_its_time_is_left_alone(self):
        server = self.make(children=2, limit=8)
        response = server.run('$t = microtime(true); sleep(1); usleep(500000); echo microtime(true) - $t >= 1.5 ? "slept" : "cut short";')
        self.assertBody(response, 'slept')
        self.assertNotIn('timed out', server.log_text())

    def test_many_requests_on_a_kept_connection_have_a_limit_each(self):
        server = self.make(children=2, limit=3)
        script = server.script('half.php', '<?php usleep(900000); echo "ok";')
        with server.connect() as connection:
            for _ in range(4):
                self.assertBody(connection.request(fcgi.script_params(script), keep=True), 'ok')
        self.assertNotIn('timed out', server.log_text())

    @ftm_only('php-fpm kills children that wait for the next request of a kept connection')
    def test_idle_kept_connection_is_no_request(self):
        server = self.make(children=2, limit=2)
        with server.connect() as connection:
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
            self.assertFalse(connection.wait_closed(2 + 1.5))
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
        self.assertNotIn('timed out', server.log_text())

    FINISHED = '''<?php
        fastcgi_finish_request();
        touch($_GET['flag'] . '.begun');
        while (!file_exists($_GET['flag'] . '.go')) { usleep(5000); clearstatcache(); }
        touch($_GET['flag'] . '.done');'''

    def finished(self, track):
        server = self.make(children=2, limit=3, settings=[('request_terminate_timeout_track_finished', track)])
        script = server.script('finished.php', self.FINISHED)
        flag = os.path.join(server.tmp, 'flag')
        self.assertBody(server.get(script, 'flag=' + flag), '')
        self.poll(lambda: os.path.exists(flag + '.begun'), 5)
        return server, flag

    def test_finished_request_is_exempt(self):
        server, flag = self.finished('no')
        time.sleep(5)                                                # beyond the limit and its second of grace
        open(flag + '.go', 'w').close()
        self.poll(lambda: os.path.exists(flag + '.done'), 10)
        self.assertNotIn('timed out', server.log_text())

    def test_finished_request_of_a_kept_connection_is_not_exempt(self):
        server = self.make(children=2)
        script = server.script('finished.php', self.FINISHED)
        flag = os.path.join(server.tmp, 'flag')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING='flag=' + flag), keep=True)
            server.wait_for(r'execution timed out', 5)

    def test_finished_request_is_tracked_if_wanted(self):
        server, flag = self.finished('yes')
        server.wait_for(r'execution timed out', 5)
        self.assertServes(server)
        open(flag + '.go', 'w').close()
        time.sleep(1)                                                # it would be done by then
        self.assertFalse(os.path.exists(flag + '.done'))

    @ftm_only('a kept connection of php-fpm ends with its child')
    def test_connection_that_went_on_is_not_cut_with_its_former_request(self):
        server = self.make(children=3, settings=[('request_terminate_timeout_track_finished', 'yes')])
        script = server.script('finished.php', "<?php fastcgi_finish_request(); hash_pbkdf2('sha512', 'password', 'salt', 2000000000);")
        since = server.mark()
        old = server.workers()
        with server.connect() as connection:
            self.assertBody(connection.request(fcgi.script_params(script), keep=True), '')
            server.wait_for('execution timed out', 5, since)
            self.poll(lambda: not set(server.workers()) & set(old), 15, 'the engine is replaced')
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')

    def test_session_lock_is_free_again(self):
        server = self.make(children=3)
        script = server.script('session.php', '<?php session_id("abcdefghij"); session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; if (isset($_GET["hang"])) { while (true) { } } echo $_SESSION["n"];')
        self.assertBody(server.get(script), '1')
        connection = server.connect(timeout=30)
        connection.send_request(fcgi.script_params(script, QUERY_STRING='hang=1'))
        self.assertCut(connection, time.monotonic())
        self.assertBody(server.get(script), '2')                     # what the killed one had in mind was not written
        connection.close()

    def test_repeated_timeouts_leave_the_pool_whole(self):
        server = self.make(children=3)
        for kind in ('loop', 'sleep', 'preg', 'loop', 'hash', 'usleep'):
            connections = [self.begin(server, kind) for _ in range(2)]
            for connection, _, began in connections:
                self.assertCut(connection, began)
            self.assertServes(server)
        if is_ftm():
            self.poll(lambda: len(server.workers()) == 1, 20, 'one engine is left')


@ftm_only('worker mode')
class TerminateWorker(TerminateTest):
    """The same in a worker's callback: its script boots again, what is classic in the pool does not notice."""

    def make_worker(self, children=3):
        server = self.serve([Pool(children=children)], start=False, **ffi())
        body = re.sub(r'class Last .*\n.*new Last;\n', '', ENDLESS.replace('<?php', '', 1))
        self.endless = server.script('worker.php', '<?php\n$boot = random_int(0, PHP_INT_MAX);\nwhile (frankenphp_handle_request(function () use ($boot) {\n'
                                     '    if (!isset($_GET["kind"])) { echo "worker $boot"; return; }\n    endless();\n}));\n'
                                     'function endless() {' + body + '}')
        self.hello = server.script('hello.php', '<?php echo "hello";')
        server.pools[0].settings += [('worker.script', self.endless), ('worker.num', '1'), ('request_terminate_timeout', f'{LIMIT}s')]
        server.write_conf()
        server.start()
        self.poll(server.workers)
        return server

    @time_limit(200)
    def test_every_kind_is_ended_for_its_client(self):
        server = self.make_worker()
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        path = os.path.join(server.tmp, 'held')
        lock = open(path, 'w')
        self.addCleanup(lock.close)
        os.chmod(path, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        query = {'tcp': {'address': '127.0.0.1:%d' % listener.getsockname()[1]}, 'flock': {'lock': path}}
        for kind in kinds():
            with self.subTest(kind):
                since = server.mark()
                engines = self.poll(server.workers)
                boot = server.get(self.endless).text
                self.assertRegex(boot, '^worker [0-9]+$')
                connection, flag, began = self.begin(server, kind, **query.get(kind, {}))
                self.assertServes(server)                            # beside it
                self.assertCut(connection, began)
                server.wait_for(rf'script \'{re.escape(self.endless)}\' \(request: "GET /worker\.php\?kind={kind}&flag=[^"]*"\) '
                                rf'execution timed out \([1-9]\d*\.\d{{6}} sec\), terminating$', 5, since)
                again = server.get(self.endless).text
                self.assertRegex(again, '^worker [0-9]+$')
                self.assertNotEqual(again, boot)
                for left in ('shutdown', 'output', 'finally'):
                    self.assertFalse(os.path.exists(f'{flag}.{left}'), f'{left} of a terminated script ran')
                if kind in STUCK:
                    self.poll(lambda: len(server.workers()) == 1 and server.workers() != engines, 10, 'the engine is replaced')
                    server.wait_for(r'child \d+ exited on signal 15 \(SIGTERM\)', 5, since)
                elif kind == 'exec' or sanitizer_threads():          # as long as the program runs, pclose() waits for it; TSan delays signals
                    self.poll(lambda: len(server.workers()) == 1, 10)
                else:
                    self.assertEqual(server.workers(), engines)
