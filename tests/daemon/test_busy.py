"""More clients than contexts: slow and idle ones occupy none, 64 kept connections share 8, ping and status answer while all are busy."""

import os
import re
import signal
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, root_only, sanitized, sanitizer_threads
from ftm.load import ECHO, KeptFlood, Load, echo_request
from ftm.server import free_port

HOLD = '<?php touch($_GET["f"] . getmypid() . uniqid("", true)); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } echo "released";'


class Busy(DaemonTest):
    CHILDREN = 3

    def setUp(self):
        self.server = self.serve([Pool(children=self.CHILDREN, settings={'ping.path': '/ping', 'pm.status_path': '/status'})])
        self.hello = self.server.script('hello.php', '<?php echo "hello";')
        self.echo = self.server.script('echo.php', ECHO)
        self.go = os.path.join(self.server.tmp, 'go')
        self.marks = os.path.join(self.server.tmp, 'marks')
        os.mkdir(self.marks)
        os.chmod(self.marks, 0o777)
        self.connections = []
        self.addCleanup(lambda: [c.close() for c in self.connections])

    def occupy(self, count=None, keep=False):
        """Every context runs a script that waits for self.release()."""
        script = self.server.script('hold.php', HOLD)
        count = count or self.CHILDREN
        for _ in range(count):
            connection = self.server.connect()
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={self.marks}/&go={self.go}'), keep=keep)
            self.connections.append(connection)
        self.poll(lambda: len(os.listdir(self.marks)) >= min(count, self.CHILDREN))
        return self.connections[-count:]

    def assertHeld(self, connections):
        """None of them has been answered yet, so whatever was answered meanwhile did not wait for them."""
        self.assertFalse(any(connection.readable() for connection in connections))

    def release(self):
        open(self.go, 'w').close()

    def idle(self, data=b'', count=20):
        for _ in range(count):
            connection = self.server.connect(timeout=60)
            if data:
                connection.send(data)
            self.connections.append(connection)
        return self.connections[-count:]

    def assertServes(self):
        for _ in range(5):
            self.assertBody(self.server.get(self.hello), 'hello')


class SlowClients(Busy):
    @ftm_only('a connection occupies a child of php-fpm from its first byte')
    def test_idle_and_half_sent_requests_occupy_no_context(self):
        params, body, check = echo_request(self.echo, 'POST', 1, 1, 50000)
        data = fcgi.whole_request(params, body)
        for cut in (0, 3, 8, 16, 30, 200, len(data) // 3, len(data) - 1):
            with self.subTest(cut=cut):
                waiting = self.idle(data[:cut], 6)
                self.assertServes()
                for connection in waiting[:3]:
                    connection.send(data[cut:])
                    self.assertIsNone(check(connection.read_response()))

    @ftm_only('a kept connection occupies a child of php-fpm')
    def test_idle_kept_connections_occupy_no_context(self):
        for connection in self.idle(count=50):
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')
        self.assertServes()
        for connection in self.connections:
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')

    @ftm_only('php-fpm reads the body in the child')
    def test_slow_uploads_occupy_no_context(self):
        params, body, check = echo_request(self.echo, 'POST', 1, 1, 300000)
        data = fcgi.whole_request(params, body)
        uploads = self.idle(count=12)
        step = len(data) // 20
        for at in range(0, len(data), step):
            for connection in uploads:
                connection.send(data[at:at + step])
            self.assertBody(self.server.get(self.hello), 'hello')
        for connection in uploads:
            self.assertIsNone(check(connection.read_response()))

    @ftm_only('php-fpm blocks in write')
    def test_clients_that_do_not_read_occupy_no_context(self):
        script = self.server.script('large.php', '<?php for ($i = 0; $i < 128; $i++) echo str_repeat(chr(65 + $i % 26), 65536);')
        readers = self.idle(count=8)
        for connection in readers:
            connection.send_request(fcgi.script_params(script))
        self.assertServes()
        for connection in readers:
            response = connection.read_response(timeout=60)
            self.assertEqual(len(response.body), 128 * 65536)
            self.assertEqual(response.body[65536:65540], b'BBBB')

    @root_only
    def test_slow_reader_of_a_pool_that_has_nowhere_to_spool(self):
        """Without a /tmp the script waits for its client, and nothing is missing in the answer."""
        server = self.serve(start=False)
        jail = os.path.join(server.root, 'jail')
        os.mkdir(jail)
        os.chmod(jail, 0o755)
        with open(os.path.join(jail, 'large.php'), 'w') as f:
            f.write('<?php for ($i = 0; $i < 128; $i++) echo str_repeat(chr(65 + $i % 26), 65536);')
        server.pools[0].settings += [('chroot', jail), ('chdir', '/')]
        server.write_conf()
        server.start()
        with server.connect(timeout=60) as connection:
            connection.send_request(fcgi.script_params('/large.php'))
            response = connection.read_response(timeout=60, sink=lambda record: time.sleep(0.002))
        self.assertEqual(response.body, b''.join(bytes([65 + i % 26]) * 65536 for i in range(128)))


class Full(Busy):
    def test_requests_wait_and_are_all_served(self):
        """Twice as many as there are contexts: the rest wait in the queue or the backlog."""
        held = self.occupy()
        script = self.server.script('hold.php', HOLD)
        waiting = []
        for _ in range(self.CHILDREN * 2):
            connection = self.server.connect(timeout=60)
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={self.marks}/&go={self.go}'))
            waiting.append(connection)
        self.release()
        for connection in [*held, *waiting]:
            self.assertBody(connection.read_response(), 'released')
            connection.close()

    @ftm_only('php-fpm answers ping in a child')
    def test_ping_while_every_context_is_busy(self):
        held = self.occupy()
        for _ in range(10):
            self.assertBody(self.server.ping(), 'pong')
        with self.server.connect() as connection:
            for _ in range(20):
                params = fcgi.script_params(self.hello, SCRIPT_NAME='/ping', REQUEST_URI='/ping')
                self.assertBody(connection.request(params, keep=True), 'pong')
        self.assertHeld(held)
        self.release()
        for connection in held:
            self.assertBody(connection.read_response(), 'released')

    @ftm_only('php-fpm answers the status page in a child')
    def test_status_while_every_context_is_busy(self):
        held = self.occupy()
        waiting = self.idle(fcgi.whole_request(fcgi.script_params(self.hello)), 4)
        self.poll(lambda: 'active processes:     3' in self.server.ping(path='/status').text, 3, lambda: self.server.ping(path='/status').text)
        text = self.server.ping(path='/status').text
        self.assertRegex(text, r'(?m)^pool: +www$')
        self.assertRegex(text, r'(?m)^process manager: +static$')
        self.assertRegex(text, r'(?m)^idle processes: +0$')
        self.assertRegex(text, r'(?m)^active processes: +3$')
        self.assertRegex(text, r'(?m)^total processes: +3$')
        self.poll(lambda: re.search(r'(?m)^listen queue: +4$', self.server.ping(path='/status').text), 3, lambda: self.server.ping(path='/status').text)
        self.assertHeld(held + waiting)
        self.release()
        for connection in [*held]:
            self.assertBody(connection.read_response(), 'released')
        for connection in waiting:
            self.assertBody(connection.read_response(), 'hello')

    def test_status_fields_in_order(self):
        text = self.server.ping(path='/status').text
        self.assertEqual([line.split(':')[0] for line in text.splitlines()],
                         ['pool', 'process manager', 'start time', 'start since', 'accepted conn', 'listen queue', 'max listen queue', 'listen queue len', 'idle processes',
                          'active processes', 'total processes', 'max active processes', 'max children reached', 'slow requests', *self.extra(text)])

    def extra(self, text):
        return ['memory peak'] if 'memory peak' in text else []

    def test_ping_headers(self):
        response = self.server.ping()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header('Content-type'), 'text/plain;charset=UTF-8')
        self.assertEqual(response.header('Expires'), 'Thu, 01 Jan 1970 00:00:00 GMT')
        self.assertEqual(response.header('Cache-Control'), 'no-cache, no-store, must-revalidate, max-age=0')

    @ftm_only('php-fpm keeps its children busy with connections')
    def test_kept_clients_wait_while_all_are_busy_and_are_then_served_in_turn(self):
        held = self.occupy(keep=True)
        kept = self.idle(fcgi.whole_request(fcgi.script_params(self.hello), flags=fcgi.KEEP_CONN), 20)
        self.release()
        for connection in kept:
            self.assertBody(connection.read_response(), 'hello')
        for connection in [*held]:
            self.assertBody(connection.read_response(), 'released')
            self.assertBody(connection.request(fcgi.script_params(self.hello), keep=True), 'hello')

    @ftm_only('php-fpm has no queue of its own')
    def test_who_comes_when_the_queue_is_full_waits_in_the_backlog(self):
        """Who comes together counts one by one, not when all have been accepted: nobody gets 503."""
        self.server.stop()
        self.server = self.serve([Pool(children=self.CHILDREN, settings={'request_queue_limit': '5', 'pm.status_path': '/status',
                                                                         'pm.status_listen': '127.0.0.1:%d' % free_port()})])
        self.setUp_paths()
        held = self.occupy()
        hello = self.server.script('hello.php', '<?php echo "hello";')
        engine, = self.server.workers()
        os.kill(engine, signal.SIGSTOP)                              # so that it finds all of them at once
        waiting = self.idle(fcgi.whole_request(fcgi.script_params(hello)), 60)
        os.kill(engine, signal.SIGCONT)
        host, _, port = dict(self.server.pool().settings)['pm.status_listen'].partition(':')

        def queue():
            text = fcgi.request((host, int(port)), fcgi.script_params('/none', SCRIPT_NAME='/status')).text
            return int(re.search(r'(?m)^listen queue: +(\d+)$', text).group(1))
        self.poll(lambda: queue() == 60, 10, lambda: f'{queue()} wait')
        self.release()
        for connection in waiting:
            self.assertBody(connection.read_response(), 'hello')
        for connection in held:
            self.assertBody(connection.read_response(), 'released')

    @ftm_only('503 is the queue limit of php-ftm')
    def test_queue_limit_answers_503(self):
        self.server.stop()
        self.server = self.serve([Pool(children=self.CHILDREN, settings={'request_queue_limit': '4'})])
        self.setUp_paths()
        held = self.occupy(keep=True)
        hello = self.server.script('hello.php', '<?php echo "hello";')
        # Connections that are already accepted may not pile up more than four requests.
        engine, = self.server.workers()

        def sockets():
            return sum(what.startswith('socket:') for what in proc.descriptors(engine).values())
        before = sockets()
        request = fcgi.whole_request(fcgi.script_params(hello), flags=fcgi.KEEP_CONN)
        accepted = self.idle(request[:20], 10)
        self.poll(lambda: sockets() == before + 10, what='all are accepted')
        for connection in accepted:
            connection.send(request[20:])
        self.poll(lambda: sum(connection.readable() for connection in accepted) == 6, what='all but four are refused')
        self.assertHeld(held)
        self.release()
        self.assertEqual(sorted(connection.read_response().status for connection in accepted), [200] * 4 + [503] * 6)
        for connection in held:
            self.assertBody(connection.read_response(), 'released')

    @ftm_only('php-fpm has no queue of its own')
    def test_queue_timeout_answers_503_while_all_are_busy(self):
        self.server.stop()
        self.server = self.serve([Pool(children=self.CHILDREN, settings={'request_queue_timeout': '1s'})])
        self.setUp_paths()
        held = self.occupy()
        hello = self.server.script('hello.php', '<?php echo "hello";')
        waiting = self.idle(fcgi.whole_request(fcgi.script_params(hello)), 3)
        for connection in waiting:
            self.assertEqual(connection.read_response(timeout=10).status, 503)
        self.release()
        for connection in held:
            self.assertBody(connection.read_response(), 'released')

    def setUp_paths(self):
        self.go = os.path.join(self.server.tmp, 'go')
        self.marks = os.path.join(self.server.tmp, 'marks')
        os.mkdir(self.marks)
        os.chmod(self.marks, 0o777)


class Shared(DaemonTest):
    @ftm_only('64 kept connections starve 56 of them on 8 children')
    def test_64_kept_connections_on_8_contexts(self):
        server = self.serve([Pool(children=8)], modules=['opcache'] if not sanitized() else [])
        script = server.script('hello.php', '<?php echo "hello";')
        server.get(script)
        flood = KeptFlood(server.pool().address, fcgi.script_params(script), 64, seconds=300, expect=b'hello', each=500)
        result = flood.run()
        self.assertEqual(result.failed, 0, str(result))
        self.assertGreaterEqual(min(flood.per_connection), 500, 'every connection is served again and again')
        # How long the longest wait is, tests/bench measures.
        self.assertLessEqual(max(flood.per_connection), 4 * min(flood.per_connection), 'and none much more than another')

    def test_8_kept_connections_on_8_contexts(self):
        server = self.serve([Pool(children=8)], modules=['opcache'] if server_has_opcache() else [])
        script = server.script('hello.php', '<?php echo "hello";')
        server.get(script)
        flood = KeptFlood(server.pool().address, fcgi.script_params(script), 8, seconds=300, expect=b'hello', each=1000)
        result = flood.run()
        self.assertEqual(result.failed, 0, str(result))
        self.assertGreaterEqual(min(flood.per_connection), 1000)

    def test_mixed_load(self):
        server = self.serve([Pool(children=16), Pool('tcp', listen='tcp', children=16)])
        script = server.script('echo.php', ECHO)
        result = Load([server.pool('www').address, server.pool('tcp').address], script, clients=24, seconds=4, size=20000).run()
        self.assertEqual(result.failed, 0, str(result))

    @ftm_only('php-fpm has as many as it has children')
    def test_mixed_load_with_many_more_clients_than_contexts(self):
        server = self.serve([Pool(children=3), Pool('tcp', listen='tcp', children=3)])
        script = server.script('echo.php', ECHO)
        result = Load([server.pool('www').address, server.pool('tcp').address], script, clients=48, seconds=4, size=20000).run()
        self.assertEqual(result.failed, 0, str(result))

    @ftm_only('one process')
    def test_threads_do_not_grow(self):
        server = self.serve([Pool(children=6)])
        script = server.script('echo.php', ECHO)
        Load(server.pool().address, script, clients=12, seconds=1).run()
        pid, = server.workers()
        before = proc.thread_count(pid)
        Load(server.pool().address, script, clients=24, seconds=2).run()
        self.assertEqual(proc.thread_count(pid), before)
        self.assertLessEqual(before, 6 + 2 + sanitizer_threads())


def server_has_opcache():
    from ftm.server import binary
    return binary().has('opcache')
