"""FastCGI down to the byte: fragmentation, large and split parameters, padding, management records, aborts, large bodies, peers that vanish."""

import hashlib
import os
import random
import signal
import threading
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, sanitized, time_limit
from ftm.load import ECHO, echo_request

PARAMS_ECHO = '<?php ksort($_SERVER); foreach ($_SERVER as $k => $v) if (str_starts_with($k, "X_")) echo $k, "=", strlen($v), ":", md5($v), "\\n"; echo strlen(file_get_contents("php://input"));'


class Fragments(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool('www', children=4), Pool('tcp', listen='tcp', children=4)])
        self.script = self.server.script('echo.php', ECHO)

    def request_bytes(self, keep=False, number=1, size=300):
        params, body, self.check = echo_request(self.script, 'POST', 7, number, size)
        return fcgi.whole_request(params, body, flags=fcgi.KEEP_CONN if keep else 0, padding=3)

    def assertGood(self, response):
        self.assertIsNone(self.check(response), repr(response))
        self.assertEqual(response.protocol_status, fcgi.REQUEST_COMPLETE)

    def test_byte_by_byte(self):
        for pool in ('www', 'tcp'):
            with self.subTest(pool), self.server.connect(pool) as connection:
                connection.send_slowly(self.request_bytes())
                self.assertGood(connection.read_response())

    def test_byte_by_byte_with_pauses(self):
        data = self.request_bytes(size=20)
        with self.server.connect() as connection:
            connection.send_slowly(data, chunk=7, pause=0.002)
            self.assertGood(connection.read_response())

    def test_cut_in_two_at_every_place(self):
        data = self.request_bytes(size=40)
        with self.server.connect() as connection:
            data = self.request_bytes(keep=True, size=40)
            for cut in range(1, len(data)):
                connection.send(data[:cut])
                if cut % 16 == 0:
                    time.sleep(0.001)
                connection.send(data[cut:])
                self.assertGood(connection.read_response())

    def test_random_pieces(self):
        rng = random.Random(20)
        for number in range(40):
            data = self.request_bytes(number=number, size=rng.choice((0, 1, 8, 5000, 70000)))
            with self.server.connect('tcp' if number % 2 else 'www') as connection:
                at = 0
                while at < len(data):
                    size = rng.choice((1, 2, 7, 8, 9, 100, 4096, 70000))
                    connection.send(data[at:at + size])
                    at += size
                self.assertGood(connection.read_response())

    def test_body_in_tiny_records(self):
        body = bytes(range(256)) * 40
        params = fcgi.post_params(self.script, body, QUERY_STRING='n=tiny')
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.params_records(params))
            connection.send(fcgi.stream(fcgi.STDIN, body, chunk=3, padding=1) + fcgi.record(fcgi.STDIN))
            self.assertBody(connection.read_response(), f'POST {len(body)} {hashlib.sha1(body).hexdigest()} tiny')

    def test_parameters_one_per_record_with_full_padding(self):
        params = fcgi.script_params(self.script, QUERY_STRING='n=padded')
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.params_records(params, chunk=1, padding=255) + fcgi.record(fcgi.STDIN))
            self.assertBody(connection.read_response(), f'GET 0 {hashlib.sha1(b"").hexdigest()} padded')

    def test_empty_stdin_before_the_request(self):
        with self.server.connect() as connection:
            connection.send(fcgi.record(fcgi.STDIN, request_id=0) * 2 + self.request_bytes())
            self.assertGood(connection.read_response())

    def test_four_byte_lengths_for_short_names(self):
        params = fcgi.script_params(self.script, QUERY_STRING='n=long')
        content = b''.join(fcgi.pair(k, v, long_form=True) for k, v in params.items())
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.record(fcgi.PARAMS, content) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
            self.assertEqual(connection.read_response().status, 200)

    def test_any_request_id(self):
        with self.server.connect() as connection:
            for number, request_id in enumerate((1, 2, 255, 256, 65535, 1)):
                params, body, check = echo_request(self.script, 'POST', 1, number, 100)
                response = connection.request(params, body, keep=True, request_id=request_id)
                self.assertIsNone(check(response), repr(response))


class Connections(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=2)])
        self.script = self.server.script('echo.php', ECHO)

    def test_kept_connection_serves_many(self):
        with self.server.connect() as connection:
            for number in range(300):
                params, body, check = echo_request(self.script, 'POST' if number % 3 else 'GET', 1, number, number * 13)
                self.assertIsNone(check(connection.request(params, body, keep=True)))

    def test_without_keep_conn_the_server_closes(self):
        with self.server.connect() as connection:
            params, body, check = echo_request(self.script, 'GET', 1, 1, 0)
            self.assertIsNone(check(connection.request(params, body, keep=False)))
            self.assertTrue(connection.wait_closed())

    def test_last_request_may_end_the_connection(self):
        with self.server.connect() as connection:
            for keep in (True, True, False):
                params, body, check = echo_request(self.script, 'GET', 1, 1, 0)
                self.assertIsNone(check(connection.request(params, body, keep=keep)))
            self.assertTrue(connection.wait_closed())

    def test_next_request_sent_before_the_answer(self):
        """Pipelining of one id: what arrives early waits its turn and is answered in order."""
        with self.server.connect() as connection:
            checks, data = [], b''
            for number in range(5):
                params, body, check = echo_request(self.script, 'POST', 1, number, 500)
                checks.append(check)
                data += fcgi.whole_request(params, body, flags=fcgi.KEEP_CONN, request_id=3)
            connection.send(data)
            for check in checks:
                self.assertIsNone(check(connection.read_response(3)))

    def test_more_requests_in_the_first_read_than_are_read_ahead(self):
        """The peer is faster than the server: all of it is there when the connection is accepted."""
        requests = [echo_request(self.script, 'GET', 1, number, 0) for number in range(300)]
        data = b''.join(fcgi.whole_request(params, flags=fcgi.KEEP_CONN) for params, _, _ in requests)
        self.assertGreater(len(data), 130 << 10)
        self.server.get(self.script)
        workers = self.server.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            connection = self.server.connect()
            connection.sock.setblocking(False)
            sent = connection.sock.send(data)
            connection.sock.setblocking(True)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        self.assertEqual(sent, len(data), 'a socket buffer that holds it')
        with connection:
            for _, _, check in requests:
                self.assertIsNone(check(connection.read_response()))

    @ftm_only('php-fpm leaves what the script did not read in the stream')
    def test_body_longer_than_content_length_does_not_harm_the_next_request(self):
        with self.server.connect() as connection:
            for length in ('3', '0', ''):
                params = fcgi.post_params(self.script, b'0123456789', QUERY_STRING='n=cut', CONTENT_LENGTH=length)
                self.assertEqual(connection.request(params, b'0123456789', keep=True).status, 200)
                params, body, check = echo_request(self.script, 'POST', 1, 2, 50)
                self.assertIsNone(check(connection.request(params, body, keep=True)))

    def test_no_empty_stream_records_and_one_record_for_the_header_block(self):
        script = self.server.script('many.php', '<?php for ($i = 0; $i < 60; $i++) header("X-H-$i: " . str_repeat("v", 50)); echo "body";')
        response = self.server.get(script)
        self.assertEqual(response.body, b'body')
        kinds = [(kind, size) for kind, size, _ in response.records]
        self.assertNotIn((fcgi.STDOUT, 0), kinds)
        self.assertNotIn((fcgi.STDERR, 0), kinds)
        first = next(size for kind, size in kinds if kind == fcgi.STDOUT)
        self.assertGreaterEqual(first, response.raw.index(b'\r\n\r\n') + 4, 'HAProxy 2.6 aborts when a header block spans records')

    def test_stderr_comes_in_records_of_its_own(self):
        response = self.server.run('error_log("to the front"); echo "answer";')
        self.assertBody(response, 'answer')
        self.assertIn(b'PHP message: to the front', response.stderr)

    def test_large_answer(self):
        response = self.server.run('for ($i = 0; $i < 320; $i++) echo str_repeat(chr(65 + $i % 26), 65536);')
        expected = b''.join(bytes([65 + i % 26]) * 65536 for i in range(320))
        self.assertEqual(hashlib.sha1(response.body).hexdigest(), hashlib.sha1(expected).hexdigest())

    def test_slow_reader_gets_everything(self):
        script = self.server.script('large.php', '<?php for ($i = 0; $i < 64; $i++) echo str_repeat(chr(65 + $i % 26), 65536);')
        with self.server.connect() as connection:
            connection.send_request(fcgi.script_params(script))
            time.sleep(0.3)
            seen = []
            response = connection.read_response(sink=lambda record: (seen.append(1), time.sleep(0.001)))
            self.assertEqual(len(response.body), 64 * 65536)

    def test_half_closed_by_the_client(self):
        """A client may shut its sending side after the request and still gets the answer."""
        with self.server.connect() as connection:
            params, body, check = echo_request(self.script, 'POST', 1, 1, 1000)
            connection.send_request(params, body)
            connection.half_close()
            self.assertIsNone(check(connection.read_response()))


class Parameters(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=2)])
        self.script = self.server.script('params.php', PARAMS_ECHO)

    def expected(self, extra, body=0):
        lines = [f'{k}={len(v)}:{hashlib.md5(v.encode()).hexdigest()}\n' for k, v in sorted(extra.items())]
        return ''.join(lines) + str(body)

    def test_more_than_64_kib_in_many_records(self):
        extra = {f'X_{i:03}': chr(65 + i % 26) * 1000 for i in range(200)}
        self.assertBody(self.server.get(self.script, **extra), self.expected(extra))

    def test_one_value_of_60_000_bytes(self):
        extra = {'X_LARGE': 'v' * 60000}
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.params_records({**fcgi.script_params(self.script), **extra}, chunk=65000) + fcgi.record(fcgi.STDIN))
            self.assertBody(connection.read_response(), self.expected(extra))

    @ftm_only('php-fpm takes a pair split over records for malformed')
    def test_pair_split_over_records_at_every_place(self):
        extra = {'X_A': 'first', 'X_B': 'b' * 200}
        content = b''.join(fcgi.pairs({**fcgi.script_params(self.script), **extra}))
        start = content.index(b'X_A') - 2
        with self.server.connect() as connection:
            for cut in range(start, len(content)):
                connection.send(fcgi.begin(flags=fcgi.KEEP_CONN) + fcgi.record(fcgi.PARAMS, content[:cut], padding=cut % 9) +
                                fcgi.record(fcgi.PARAMS, content[cut:]) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
                self.assertBody(connection.read_response(), self.expected(extra))

    @ftm_only('php-fpm takes a pair split over records for malformed')
    def test_pairs_in_records_of_one_byte(self):
        extra = {'X_A': 'first', 'X_B': 'b' * 200}
        content = b''.join(fcgi.pairs({**fcgi.script_params(self.script), **extra}))
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, content, chunk=1) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
            self.assertBody(connection.read_response(), self.expected(extra))

    @ftm_only('php-fpm takes a pair split over records for malformed')
    def test_one_value_larger_than_a_record(self):
        extra = {'X_LARGE': 'v' * 100000}
        content = b''.join(fcgi.pairs({**fcgi.script_params(self.script), **extra}))
        with self.server.connect() as connection:
            connection.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, content) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
            self.assertBody(connection.read_response(), self.expected(extra))

    def test_malformed_parameters_end_the_connection_and_nothing_else(self):
        for content in (b'\x05', b'\x05\x05abc', b'\xff\xff\xff\xff\xff\xff\xff\xffab', b'\x80'):
            with self.server.connect() as connection:
                connection.send(fcgi.begin() + fcgi.record(fcgi.PARAMS, content) + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
                self.assertTrue(connection.wait_closed(), repr(content))
        self.assertEqual(self.server.get(self.script).status, 200)


class Management(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=3)])
        self.script = self.server.script('echo.php', ECHO)

    def values(self, connection, names):
        connection.send(fcgi.get_values(names))
        record = connection.read_record()
        self.assertEqual((record.type, record.request_id), (fcgi.GET_VALUES_RESULT, 0))
        return dict(fcgi.parse_pairs(record.content))

    def test_get_values(self):
        with self.server.connect() as connection:
            result = self.values(connection, ['FCGI_MPXS_CONNS', 'NO_SUCH_VALUE'])
            self.assertEqual(result, {'FCGI_MPXS_CONNS': '1' if is_ftm() else '0'})
            self.assertEqual(self.values(connection, []), {})
            self.assertIsNone(echo_request(self.script, 'GET', 1, 1, 0)[2](connection.request(*echo_request(self.script, 'GET', 1, 1, 0)[:2])))

    @ftm_only('php-fpm answers FCGI_MPXS_CONNS only')
    def test_real_limits(self):
        with self.server.connect() as connection:
            result = self.values(connection, ['FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_MPXS_CONNS'])
            self.assertEqual(set(result), {'FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_MPXS_CONNS'})
            self.assertEqual(result['FCGI_MPXS_CONNS'], '1')
            self.assertGreaterEqual(int(result['FCGI_MAX_CONNS']), 3)
            self.assertGreaterEqual(int(result['FCGI_MAX_REQS']), 3)

    @ftm_only('php-fpm answers GET_VALUES only before the first request')
    def test_get_values_between_requests(self):
        with self.server.connect() as connection:
            for _ in range(3):
                params, body, check = echo_request(self.script, 'POST', 1, 1, 10)
                self.assertIsNone(check(connection.request(params, body, keep=True)))
                self.assertEqual(self.values(connection, ['FCGI_MPXS_CONNS']), {'FCGI_MPXS_CONNS': '1'})

    @ftm_only('php-fpm resets the connection')
    def test_unknown_role(self):
        with self.server.connect() as connection:
            for role in (0, 4, 9, 65535):
                connection.send(fcgi.begin(role, fcgi.KEEP_CONN, 5) + fcgi.params_records(fcgi.script_params(self.script), 5) + fcgi.record(fcgi.STDIN, b'', 5))
                response = connection.read_response(5)
                self.assertEqual(response.protocol_status, fcgi.UNKNOWN_ROLE)
                self.assertEqual(response.raw, b'')
            self.assertEqual(connection.request(fcgi.script_params(self.script), request_id=5).status, 200)

    @ftm_only('php-fpm closes the connection')
    def test_unknown_type(self):
        with self.server.connect() as connection:
            for kind in (12, 77, 255):
                connection.send(fcgi.record(kind, b'content', 0, padding=5))
                record = connection.read_record()
                self.assertEqual((record.type, record.request_id, record.content[0], len(record.content)), (fcgi.UNKNOWN_TYPE, 0, kind, 8))
            self.assertEqual(connection.request(fcgi.script_params(self.script)).status, 200)

    def test_roles_that_php_fpm_serves(self):
        script = self.server.script('role.php', '<?php echo $_SERVER["FCGI_ROLE"];')
        for role, name in ((fcgi.RESPONDER, 'RESPONDER'), (fcgi.AUTHORIZER, 'AUTHORIZER'), (fcgi.FILTER, 'FILTER')):
            with self.server.connect() as connection:
                connection.send_request(fcgi.script_params(script), role=role)
                self.assertBody(connection.read_response(), name)

    def test_garbage_harms_nobody(self):
        rng = random.Random(4)
        with self.server.connect() as good:
            for number in range(60):
                with self.server.connect() as connection:
                    data = rng.randbytes(rng.choice((1, 7, 8, 9, 200, 5000)))
                    if number % 3 == 0:
                        data = b'\1' + data
                    try:
                        connection.send(data)
                        connection.half_close()
                        connection.wait_closed(5)
                    except (fcgi.FcgiError, OSError):
                        pass
                if number % 10 == 0:
                    params, body, check = echo_request(self.script, 'POST', 1, number, 10)
                    self.assertIsNone(check(good.request(params, body, keep=True)))


ABORTABLE = '''<?php
ignore_user_abort(%s);
register_shutdown_function(function () { file_put_contents($_GET['f'], connection_aborted() . ' ' . connection_status() . ' ' . ($GLOBALS['done'] ?? 'cut')); });
echo "started\\n"; flush();
for ($i = 0; $i < 15000 && !is_file($_GET['f'] . '.stop') || %s && $i < 15000 && !connection_aborted(); $i++) { echo str_repeat('x', 1000), "\\n"; flush(); usleep(20000); }
$done = 'done';
'''


class Aborts(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=1, settings={'ping.path': '/ping'})])
        self.flag = os.path.join(self.server.tmp, 'flag')

    def wait_flag(self):
        self.poll(lambda: os.path.exists(self.flag) and os.path.getsize(self.flag), 8, 'the shutdown function ran')
        with open(self.flag) as f:
            return f.read()

    def start(self, ignore='false', keep=False):
        """With `ignore` it goes on until it has noticed, too."""
        script = self.server.script('abortable.php', ABORTABLE % (ignore, ignore))
        connection = self.server.connect()
        connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={self.flag}'), keep=keep)
        self.assertEqual(connection.read_record().type, fcgi.STDOUT)
        return connection

    def assertServes(self):
        self.assertEqual(self.server.run('echo "next";').text, 'next')

    def test_peer_gone_during_the_script(self):
        self.start().close()
        self.assertEqual(self.wait_flag(), '1 1 cut')
        self.assertServes()

    def test_kept_peer_gone_during_the_script(self):
        self.start(keep=True).close()
        self.assertEqual(self.wait_flag(), '1 1 cut')
        self.assertServes()

    def test_peer_gone_and_ignore_user_abort(self):
        self.start('true').close()
        open(self.flag + '.stop', 'w').close()
        self.assertEqual(self.wait_flag(), '1 1 done')
        self.assertServes()

    @ftm_only('php-fpm does not know FCGI_ABORT_REQUEST')
    def test_abort_request(self):
        connection = self.start(keep=True)
        connection.send(fcgi.abort())
        self.assertEqual(self.wait_flag(), '1 1 cut')
        connection.close()
        self.assertServes()

    @ftm_only('php-fpm does not know FCGI_ABORT_REQUEST')
    def test_abort_before_the_request_is_whole(self):
        script = self.server.script('ran.php', '<?php touch($_GET["f"]); echo "ran";')
        params = fcgi.post_params(script, b'0123456789', QUERY_STRING=f'f={self.flag}')
        pieces = [fcgi.begin(flags=fcgi.KEEP_CONN), fcgi.begin(flags=fcgi.KEEP_CONN) + fcgi.params_records(params),
                  fcgi.begin(flags=fcgi.KEEP_CONN) + fcgi.params_records(params) + fcgi.record(fcgi.STDIN, b'01234')]
        with self.server.connect() as connection:
            for piece in pieces:
                connection.send(piece)
                time.sleep(0.02)
                connection.send(fcgi.abort())
                response = connection.read_response()
                self.assertEqual(response.raw, b'')
            self.assertFalse(os.path.exists(self.flag), 'an aborted request never runs')
            self.assertEqual(connection.request(params, b'0123456789').text, 'ran', 'and the connection is still good')

    @ftm_only('php-fpm does not read while it waits for a child')
    def test_queued_request_of_a_vanished_peer_never_runs(self):
        ran = self.server.script('ran.php', '<?php file_put_contents($_GET["f"], "x", FILE_APPEND); echo "ran";')
        blocker = self.start('true')
        for _ in range(5):
            connection = self.server.connect()
            connection.send_request(fcgi.script_params(ran, QUERY_STRING=f'f={self.flag}.ran'))
            time.sleep(0.02)
            connection.close()
        for _ in range(3):      # who answers these has read what came before
            self.assertBody(self.server.ping(), 'pong')
        open(self.flag + '.stop', 'w').close()
        blocker.close()
        self.wait_flag()
        self.assertServes()
        self.assertFalse(os.path.exists(self.flag + '.ran'))

    def test_vanishing_at_every_stage(self):
        script = self.server.script('echo.php', ECHO)
        params, body, check = echo_request(script, 'POST', 1, 1, 3000)
        data = fcgi.whole_request(params, body)
        for cut in (0, 1, 4, 8, 12, 16, 20, 24, 100, len(data) // 2, len(data) - 9, len(data) - 1, len(data)):
            connection = self.server.connect()
            connection.send(data[:cut])
            connection.close()
        with self.server.connect(timeout=30) as connection:
            self.assertIsNone(check(connection.request(params, body)))


class LargeBodies(DaemonTest):
    SIZE = int(os.environ.get('FTM_BIG_BODY', 200 << 20 if sanitized() else 2 << 30))

    @time_limit(1800)
    def test_body_of_two_gigabytes(self):
        """The script sees every byte, and no process of the pool grows by it."""
        server = self.serve([Pool(children=2)], ini={'post_max_size': '0', 'memory_limit': '64M'})
        script = server.script('hash.php', '<?php $h = hash_init("sha1"); $f = fopen("php://input", "r"); $n = 0;'
                               ' while (($x = fread($f, 1 << 20)) !== "" && $x !== false) { hash_update($h, $x); $n += strlen($x); }'
                               ' echo $n, " ", hash_final($h), " ", memory_get_peak_usage() < 16 << 20 ? "small" : "large";')
        piece = os.urandom(1 << 20)
        block = b''.join(fcgi.record(fcgi.STDIN, piece[i:i + 65528]) for i in range(0, len(piece), 65528))
        count = self.SIZE >> 20
        baseline = max(proc.private_memory(pid) for pid in server.workers())
        peak, stop = [0], threading.Event()

        def watch():
            while not stop.wait(0.05):
                peak[0] = max([peak[0]] + [proc.private_memory(pid) for pid in server.workers()])
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        expected = hashlib.sha1()
        with server.connect(timeout=1200) as connection:
            connection.send(fcgi.begin() + fcgi.params_records(fcgi.post_params(script, b'', CONTENT_LENGTH=str(count << 20))))
            for _ in range(count):
                expected.update(piece)
                connection.send(block)
            connection.send(fcgi.record(fcgi.STDIN))
            response = connection.read_response(timeout=1200)
        stop.set()
        watcher.join()
        self.assertBody(response, f'{count << 20} {expected.hexdigest()} small')
        self.assertLess(peak[0] - baseline, 48 << 20, 'the body is never all in memory')
        self.poll(lambda: not [n for n in os.listdir(server.tmp) if n.startswith('php')], 5, 'temporary files are gone')

    def test_body_larger_than_post_max_size(self):
        server = self.serve([Pool(children=1)], ini={'post_max_size': '1M'})
        script = server.script('large.php', '<?php echo count($_POST), " ", strlen(file_get_contents("php://input"));')
        body = b'a=' + b'x' * (5 << 20)
        response = server.post(script, body, CONTENT_TYPE='application/x-www-form-urlencoded')
        # php-fpm hands out the whole body through php://input all the same; php-ftm has stored no more than PHP looks at.
        self.assertEqual(response.text, '0 1048577' if is_ftm() else '0 5242882')
        self.assertIn(b'POST Content-Length of 5242882 bytes exceeds the limit of 1048576 bytes', response.stderr)
        self.assertEqual(server.run('echo "next";').text, 'next')

    def test_upload_through_every_size_near_the_limits(self):
        server = self.serve([Pool(children=2)])
        script = server.script('echo.php', ECHO)
        with server.connect() as connection:
            for size in (0, 1, 8191, 8192, 8193, 16383, 16384, 65527, 65528, 65529, 65535, 65536, 131072, 1 << 20):
                params, body, check = echo_request(script, 'POST', 1, size, size)
                self.assertIsNone(check(connection.request(params, body, keep=True)), size)
