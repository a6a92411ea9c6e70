"""A crash in C (null dereference, abort(), stack overflow) loses its own request only, is logged as php-fpm logs it, and serving goes on."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, needs_module, time_limit
from ftm.load import ECHO, Load, echo_request
from ftm.preload import folder, preload
from ftm.server import PROJECT

with open(os.path.join(PROJECT, 'src/base/channel.hpp')) as header:
    MESSAGES = re.findall(r'^ {8}(\w+)', re.search(r'enum class Kind[^{]*{(.*?)};', header.read(), re.S).group(1), re.M)

CRASHES = int(os.environ.get('FTM_CRASHES', '20'))

CRASH = '''<?php
switch ($_GET['kind']) {
    case 'null':       FFI::memset(FFI::cast('char *', 0), 0, 1); break;
    case 'wild':       FFI::string(FFI::cast('char *', 0x10), 8); break;
    case 'abort':      FFI::cdef('void abort(void);')->abort(); break;
    case 'stack':      ini_set('memory_limit', -1); function deep($x) { return array_map('deep', [$x]); } deep(1); break;
    case 'fpe':        $f = FFI::cdef('typedef struct { int quot; int rem; } div_t; div_t div(int a, int b);'); $f->div(1, 0); break;
}
echo 'survived';
'''

SIGNALS = {'null': 11, 'wild': 11, 'stack': 11, 'abort': 6, 'fpe': 8}


@needs_module('ffi')
class Crash(DaemonTest):
    INI = {'ffi.enable': '1', 'zend.max_allowed_stack_size': '-1'}

    def make(self, children=8):
        server = self.serve([Pool(children=children)], modules=['ffi'], ini=self.INI)
        self.crash = server.script('crash.php', CRASH)
        self.echo = server.script('echo.php', ECHO)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        self.poll(server.workers)
        return server

    def crash_once(self, server, kind, keep=False):
        """The crashing request gets 500 or a closed connection, and soon."""
        try:
            with server.connect(timeout=20) as connection:
                response = connection.request(fcgi.script_params(self.crash, QUERY_STRING='kind=' + kind), keep=keep)
        except fcgi.Closed:
            return 'closed'
        self.assertEqual(response.status, 500, repr(response))
        self.assertNotIn(b'survived', response.body)
        return '500'

    def assertServes(self, server, timeout=10):
        def answers():
            try:
                return server.get(self.hello, timeout=5).text == 'hello'
            except (fcgi.FcgiError, OSError):
                return False
        self.poll(answers, timeout, 'serves')

    def test_kept_connection_of_a_crashed_request_goes_on(self):
        """A front that was told of the request's end may have sent the next one when the connection closes."""
        server = self.make(children=2)
        for _ in range(3):
            engine = server.workers()
            with server.connect() as connection:
                self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
                response = connection.request(fcgi.script_params(self.crash, QUERY_STRING='kind=null'), keep=True)
                self.assertEqual(response.status, 500, repr(response))
                for _ in range(3):
                    self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
            self.poll(lambda: server.workers() and not set(server.workers()) & set(engine), what='a new engine')

    def test_each_kind_is_logged_with_its_signal(self):
        for kind in SIGNALS:
            with self.subTest(kind):
                server = self.make(children=2)
                since = server.mark()
                self.crash_once(server, kind)
                name = {11: 'SIGSEGV', 6: 'SIGABRT', 8: 'SIGFPE'}[SIGNALS[kind]]
                server.wait_for(rf'WARNING: \[pool www\] child \d+ exited on signal {SIGNALS[kind]} \({name}\) after \d+\.\d{{6}} seconds from start$', 40, since)
                server.wait_for(r'NOTICE: \[pool www\] child \d+ started$', 10, since)
                self.assertServes(server)
                server.stop()

    @ftm_only('php-fpm says only which child')
    def test_log_names_pool_and_script(self):
        server = self.make(children=2)
        self.crash_once(server, 'null')
        server.wait_for('exited on signal 11', 40)
        server.wait_for(re.escape(self.crash))

    @ftm_only('php-fpm closes the connection')
    def test_client_gets_500_if_nothing_was_sent(self):
        server = self.make(children=2)
        self.assertEqual(self.crash_once(server, 'null'), '500')
        self.assertEqual(self.crash_once(server, 'abort', keep=True), '500')

    @ftm_only('php-fpm runs neighbours in other processes anyway')
    def test_neighbours_in_the_same_engine_finish(self):
        server = self.make(children=6)
        slow = server.script('slow.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 1.5) { $x = str_repeat("x", 10000); usleep(2000); } echo "whole ", $_GET["f"];')
        for kind in ('null', 'abort', 'stack'):
            with self.subTest(kind):
                connections = []
                for number in range(5):
                    connection = server.connect(timeout=30)
                    flag = os.path.join(server.tmp, f'{kind}{number}')
                    connection.send_request(fcgi.script_params(slow, QUERY_STRING=f'f={flag}'), keep=True)
                    connections.append((flag, connection))
                self.poll(lambda: all(os.path.exists(f) for f, _ in connections), 10)
                self.crash_once(server, kind)
                self.assertServes(server)
                for flag, connection in connections:
                    self.assertBody(connection.read_response(), 'whole ' + flag)
                    params, body, check = echo_request(self.echo, 'POST', 1, 1, 100)
                    self.assertIsNone(check(connection.request(params, body, keep=True)), 'the kept connection went to the successor')
                    connection.close()

    @ftm_only('php-fpm closes kept connections of a crashed child')
    def test_idle_connections_of_a_wounded_engine_are_handed_over(self):
        server = self.make(children=2)
        connections = [server.connect() for _ in range(10)]
        for connection in connections:
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
        self.crash_once(server, 'null')
        for connection in connections:
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
            connection.close()

    @time_limit(400)
    def test_crashes_under_load_lose_only_themselves(self):
        server = self.make(children=8 if is_ftm() else 24)
        kinds = ('null', 'abort', 'stack')
        since = server.mark()
        with Load(server.pool().address, self.echo, clients=16, seconds=3600, pause=0.005, size=5000) as load:
            self.poll(lambda: load.done > 100, 20)
            for number in range(CRASHES):
                self.crash_once(server, kinds[number % len(kinds)], keep=number % 2 == 0)
                done = load.done
                self.poll(lambda: load.done > done + 40, 20, lambda: f'serving goes on after crash {number}: {load.result}')
        self.assertEqual(load.result.failed, 0, str(load.result))
        server.wait_for(r'exited on signal (11|6) ', 60, since, count=CRASHES)
        self.assertGreaterEqual(server.log_text()[since:].count('exited on signal 11 (SIGSEGV)'), CRASHES // 2)
        if is_ftm():
            self.poll(lambda: len(server.workers()) == 1, 60, 'one engine is left')

    def test_pool_that_does_nothing_but_crash(self):
        """Twenty crashes at once, and no other pool and no later request is worse for it."""
        server = self.serve([Pool('www', children=8), Pool('other', children=2)], modules=['ffi'], ini=self.INI)
        self.crash = server.script('crash.php', CRASH)
        self.echo = server.script('echo.php', ECHO)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        self.poll(lambda: server.workers('other'))
        others = server.workers('other')

        def make(method, client, number):
            return fcgi.script_params(self.crash, QUERY_STRING='kind=null'), b'', lambda r: None if r.status == 500 else f'status {r.status}'
        with Load(server.pool('other').address, self.echo, clients=2, seconds=3600, pause=0.01, kinds=('kept GET', 'kept POST')) as load:
            crashes = Load(server.pool('www').address, make=make, clients=4, seconds=300, requests=20, kinds=('new GET',)).run()
            self.assertLessEqual(set(crashes.reasons()), {'closed', 'status 503'}, str(crashes))
            self.assertServes(server, 30)
        self.assertEqual(load.result.failed, 0, str(load.result))
        self.assertEqual(server.workers('other'), others)

    @ftm_only('php-fpm has no engines')
    def test_engine_that_crashes_before_it_has_said_that_it_is_ready(self):
        """It accepts a moment earlier; the host hears of the crash first, and must not believe the later message."""
        mark = os.path.join(folder(self), 'mark')
        env = preload(self, 'late-message', LATE_KIND=MESSAGES.index('engine_ready'), LATE_MS=30, LATE_MARK=mark)
        server = self.serve([Pool(children=4)], modules=['ffi'], ini=self.INI, env=env)
        self.crash = server.script('crash.php', CRASH)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        for _ in range(3):
            with ThreadPoolExecutor(4) as threads:
                # Everybody gets an end. With more wounded engines than the host keeps, it may be a closed connection.
                self.assertLessEqual(set(threads.map(lambda _: self.crash_once(server, 'null'), range(16))), {'500', 'closed'})
            for _ in range(10):
                self.assertBody(server.get(self.hello), 'hello')
        self.assertTrue(os.path.exists(mark))
        self.poll(lambda: len(server.workers()) == 1, 20, 'one engine is left')

    @ftm_only('php-fpm has no successors')
    def test_successor_that_dies_is_succeeded(self):
        """Who waits in a wounded engine gets his answer from the next one."""
        server = self.serve([Pool(children=2, settings=[('pm.drain_timeout', '600s')])], modules=['ffi'], ini=self.INI)
        self.crash = server.script('crash.php', CRASH)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        slow = server.script('slow.php', '<?php touch($_GET["f"]); while (!file_exists($_GET["f"] . "-go")) { usleep(5000); clearstatcache(); } echo "slow";')
        flag = os.path.join(server.tmp, 'flag')
        wounded, = self.poll(server.workers)
        with server.connect() as busy:
            busy.send_request(fcgi.script_params(slow, QUERY_STRING='f=' + flag), keep=True)
            self.poll(lambda: os.path.exists(flag))
            self.crash_once(server, 'null')
            successor, = self.poll(lambda: set(server.workers()) - {wounded} if server.workers() else None)
            self.assertServes(server)
            os.kill(successor, signal.SIGKILL)
            server.wait_for(rf'child {successor} exited on signal 9', 10)
            self.assertServes(server)
            open(flag + '-go', 'w').close()
            self.assertBody(busy.read_response(), 'slow')
            self.assertBody(busy.request(fcgi.script_params(self.hello), keep=True), 'hello')
            self.poll(lambda: len(server.workers()) == 1, 10, 'the wounded one is gone')
            self.assertBody(busy.request(fcgi.script_params(self.hello), keep=True), 'hello')

    @ftm_only('php-fpm runs neighbours in other processes anyway')
    def test_answer_of_a_crash_waits_for_no_neighbour(self):
        server = self.make(children=4)
        slow = server.script('slow.php', '<?php touch($_GET["f"]); while (!file_exists($_GET["f"] . "-go")) { usleep(5000); clearstatcache(); } echo "slow";')
        flag = os.path.join(server.tmp, 'flag')
        with server.connect() as busy:
            busy.send_request(fcgi.script_params(slow, QUERY_STRING='f=' + flag))
            self.poll(lambda: os.path.exists(flag))
            self.crash_once(server, 'null')
            self.assertServes(server)
            self.assertFalse(busy.readable())
            open(flag + '-go', 'w').close()
            self.assertBody(busy.read_response(), 'slow')
