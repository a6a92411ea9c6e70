"""Several requests at once on one connection: interleaved both ways, fair, each by itself in order, aborts and limits."""

import hashlib
import os
import random
import struct
import threading
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, sanitized, signals_reach_loops
from ftm.load import ECHO, echo_request

WAIT = '<?php while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } echo "waited $_GET[n]";'
LARGE = '<?php $part = str_repeat($_GET["c"], 65536); for ($i = 0; $i < $_GET["n"]; $i++) { echo $part; } if (isset($_GET["m"])) { touch($_GET["m"]); }'


class Multiplexer:
    """A client with many requests on one connection; what comes back is sorted by id and checked record by record."""

    def __init__(self, server, timeout=fcgi.TIMEOUT):
        self.connection = server.connect(timeout=timeout)
        self.responses, self.order, self.done = {}, [], []

    def send(self, request_id, params, body=b'', keep=True):
        self.responses[request_id] = fcgi.Response(request_id)
        self.connection.send(fcgi.whole_request(params, body, flags=fcgi.KEEP_CONN if keep else 0, request_id=request_id))

    def begin(self, request_id, params):
        self.responses[request_id] = fcgi.Response(request_id)
        self.connection.send(fcgi.begin(flags=fcgi.KEEP_CONN, request_id=request_id) + fcgi.params_records(params, request_id))

    def read(self):
        record = self.connection.read_record()
        if record is None:
            raise fcgi.Closed('closed')
        if record.request_id not in self.responses:
            raise fcgi.FcgiError(f'for no request: {record!r}')
        self.order.append(record.request_id)
        if self.responses[record.request_id].complete:
            raise fcgi.FcgiError(f'behind its end: {record!r}')
        if self.responses[record.request_id].add(record):
            self.done.append(record.request_id)
        return record

    def until_done(self, *ids):
        """The responses of these requests; all of those that are open without any."""
        wanted = set(ids or self.responses)
        while not all(self.responses[i].complete for i in wanted):
            self.read()
        return [self.responses[i].finish() for i in (ids or sorted(wanted))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


@ftm_only('php-fpm serves one request at a time on a connection')
class MultiplexTest(DaemonTest):
    CHILDREN = 4
    SETTINGS = {}

    def setUp(self):
        self.server = self.serve([Pool(children=self.CHILDREN, settings=self.SETTINGS)])
        self.echo = self.server.script('echo.php', ECHO)
        self.hello = self.server.script('hello.php', '<?php echo "hello $_GET[n]";')
        self.wait = self.server.script('wait.php', WAIT)
        self.large = self.server.script('large.php', LARGE)
        self.go = os.path.join(self.server.tmp, 'go')

    def params(self, script, **query):
        return fcgi.script_params(script, QUERY_STRING='&'.join(f'{k}={v}' for k, v in query.items()))

    def release(self):
        open(self.go, 'w').close()

    def multiplexer(self, **kwargs):
        client = Multiplexer(self.server, **kwargs)
        self.addCleanup(client.connection.close)
        return client


class Interleaved(MultiplexTest):
    def test_says_so(self):
        with self.server.connect() as connection:
            connection.send(fcgi.get_values(['FCGI_MPXS_CONNS', 'FCGI_MAX_REQS']))
            self.assertEqual(dict(fcgi.parse_pairs(connection.read_record().content)), {'FCGI_MPXS_CONNS': '1', 'FCGI_MAX_REQS': str(self.CHILDREN)})

    def test_answers_in_any_order(self):
        client = self.multiplexer()
        for n in (1, 3, 5):
            client.send(n, self.params(self.wait, n=n, go=f'{self.go}{n}'))
        for n in (5, 1, 3):
            open(f'{self.go}{n}', 'w').close()
            self.assertBody(client.until_done(n)[0], f'waited {n}')
        self.assertEqual(client.done, [5, 1, 3])

    def test_ids_are_used_again(self):
        client = self.multiplexer()
        client.send(2, self.params(self.wait, n=2, go=self.go))
        for i in range(300):
            client.send(1, self.params(self.hello, n=i))
            self.assertBody(client.until_done(1)[0], f'hello {i}')
        self.release()
        self.assertBody(client.until_done(2)[0], 'waited 2')

    def test_all_ids_and_more_requests_than_contexts(self):
        client = self.multiplexer()
        ids = [0, 1, 2, 255, 256, 257, 32768, 65535, *range(100, 190)]
        client.connection.send(b''.join(fcgi.whole_request(self.params(self.hello, n=n), flags=fcgi.KEEP_CONN, request_id=n) for n in ids))
        client.responses = {n: fcgi.Response(n) for n in ids}
        for n, response in zip(ids, client.until_done(*ids)):
            self.assertBody(response, f'hello {n}')

    def test_more_than_may_be_open_wait_their_turn(self):
        client = self.multiplexer()
        ids = list(range(1, 401))
        sender = threading.Thread(target=lambda: client.connection.send(b''.join(fcgi.whole_request(self.params(self.wait, n=n, go=self.go), flags=fcgi.KEEP_CONN, request_id=n) for n in ids)))
        client.responses = {n: fcgi.Response(n) for n in ids}
        sender.start()
        self.release()
        for n, response in zip(ids, client.until_done(*ids)):
            self.assertBody(response, f'waited {n}')
        sender.join()

    def test_records_of_requests_that_arrive_are_mixed_at_will(self):
        rng = random.Random(4)
        for round_ in range(6):
            client = self.multiplexer()
            streams, checks = {}, {}
            for n in range(1, 9):
                params, body, checks[n] = echo_request(self.echo, 'POST', round_, n, rng.choice([0, 1, 100, 70000, 300000]))
                records = [fcgi.begin(flags=fcgi.KEEP_CONN, request_id=n)]
                block = b''.join(fcgi.pairs(params))
                cut = sorted(rng.sample(range(len(block)), 3))
                records += [fcgi.record(fcgi.PARAMS, block[a:b], n, padding=rng.randrange(9)) for a, b in zip([0, *cut], [*cut, len(block)]) if a != b]
                records.append(fcgi.record(fcgi.PARAMS, b'', n))
                at = 0
                while at < len(body):
                    size = rng.choice([1, 8, 4000, 65535])
                    records.append(fcgi.record(fcgi.STDIN, body[at:at + size], n, padding=rng.randrange(9)))
                    at += size
                    if len(records) > 400:
                        records.append(fcgi.stream(fcgi.STDIN, body[at:], n))
                        break
                streams[n] = [*records, fcgi.record(fcgi.STDIN, b'', n)]
                client.responses[n] = fcgi.Response(n)
            data = b''
            while any(streams.values()):
                n = rng.choice([n for n in streams if streams[n]])
                data += streams[n].pop(0)
            sender = threading.Thread(target=client.connection.send_slowly, args=(data, rng.choice([997, 65536, 1 << 20])))
            sender.start()
            for n, response in zip(sorted(checks), client.until_done(*sorted(checks))):
                self.assertIsNone(checks[n](response))
            sender.join()

    def test_ping_and_status_between_scripts(self):
        server = self.serve([Pool(children=1, settings={'ping.path': '/ping', 'pm.status_path': '/status'})])
        client = Multiplexer(server)
        self.addCleanup(client.connection.close)
        script = server.script('wait.php', WAIT)
        go = os.path.join(server.tmp, 'go')
        client.send(1, fcgi.script_params(script, QUERY_STRING=f'n=1&go={go}'))
        for n in range(2, 40):
            client.send(n, {'SCRIPT_NAME': '/ping', 'SCRIPT_FILENAME': '/ping', 'REQUEST_METHOD': 'GET', 'REQUEST_URI': '/ping'})
            self.assertBody(client.until_done(n)[0], 'pong')
        client.send(50, {'SCRIPT_NAME': '/status', 'SCRIPT_FILENAME': '/status', 'REQUEST_METHOD': 'GET', 'REQUEST_URI': '/status'})
        self.assertIn('active processes:     1\n', client.until_done(50)[0].text)
        open(go, 'w').close()
        self.assertBody(client.until_done(1)[0], 'waited 1')

    def test_finish_request_leaves_the_connection_to_others(self):
        client = self.multiplexer()
        finish = self.server.script('finish.php', '<?php echo "early"; fastcgi_finish_request(); ' + WAIT[5:])
        client.send(1, self.params(finish, n=1, go=self.go))
        client.send(2, self.params(self.wait, n=2, go=self.go))
        self.assertBody(client.until_done(1)[0], 'early')
        client.send(1, self.params(self.hello, n='again'))
        self.assertBody(client.until_done(1)[0], 'hello again')
        self.release()
        self.assertBody(client.until_done(2)[0], 'waited 2')

    def test_hints_of_one_between_records_of_others(self):
        client = self.multiplexer()
        hint = self.server.script('hint.php', '<?php header("Link: </a>"); headers_send(103); ' + WAIT[5:])
        client.send(7, {**self.params(hint, n=7, go=self.go), 'FTM_EARLY_HINTS': '1'})
        client.send(8, {**self.params(hint, n=8, go=self.go), 'FTM_EARLY_HINTS': '1'})
        seen = [client.read(), client.read()]
        self.assertEqual(sorted(r.request_id for r in seen), [7, 8])
        for record in seen:
            self.assertEqual((record.content, record.padding), (b'Status: 103 Early Hints\r\nlink: </a>\r\n\r\n', 0))
        self.release()
        for n, response in zip((7, 8), client.until_done(7, 8)):
            self.assertTrue(response.raw.endswith(b'\r\n\r\nwaited %d' % n))


class Fair(MultiplexTest):
    SETTINGS = {'ping.path': '/ping'}

    def setUp(self):
        super().setUp()
        self.small = self.server.script('small.php', '<?php echo "hello $_GET[n]"; flush(); touch($_GET["m"]);')

    def test_small_answers_pass_a_large_one(self):
        """A download of 100 MB that its client has not read: what is small does not wait behind it."""
        client = self.multiplexer(timeout=60)
        client.send(1, self.params(self.large, c='a', n=1600))
        first = client.read()
        self.assertEqual(first.request_id, 1)
        least = 1 << 30
        for n in range(10):
            mark = f'{self.go}-mark{n}'
            client.send(3, self.params(self.small, n=n, m=mark))
            self.poll(lambda: os.path.exists(mark))             # the answer is there: it is about what is sent before it
            before = len(client.responses[1]._out)
            self.assertBody(client.until_done(3)[0], f'hello {n}')
            least = min(least, sum(map(len, client.responses[1]._out[before:])))
            self.assertFalse(client.responses[1].complete)
        # What was in the socket and a turn or two had left already; not the hundred megabytes.
        self.assertLess(least, 16 << 20)
        response = client.until_done(1)[0]
        self.assertEqual(len(response.body), 1600 * 65536)
        self.assertEqual(response.body.count(b'a'), len(response.body))

    def test_several_large_ones_come_in_turns(self):
        client = self.multiplexer(timeout=60)
        ids = (1, 2, 3)
        for n in ids:
            client.send(n, self.params(self.large, c='abc'[n - 1], n=320, m=f'{self.go}-{n}'))
        self.poll(lambda: all(os.path.exists(f'{self.go}-{n}') for n in ids), what='all that there is to be sent waits')
        responses = client.until_done(*ids)
        for n, response in zip(ids, responses):
            self.assertEqual(hashlib.sha1(response.body).digest(), hashlib.sha1(b'abc'[n - 1:n] * (320 * 65536)).digest())
        # While all three had something to send, none came much more often than the others.
        bodies = [i for i in client.order]
        middle = bodies[len(bodies) // 3: len(bodies) // 2]
        for n in ids:
            self.assertGreater(middle.count(n), len(middle) // 10, f'{n} of {len(middle)}')

    def test_a_client_that_does_not_read_one_holds_up_nobody(self):
        """More than output_spool_limit is unsent: that script waits, the others of its connection do not."""
        server = self.serve([Pool(children=2, settings={'output_spool_limit': '2M'})])
        client = Multiplexer(server, timeout=60)
        self.addCleanup(client.connection.close)
        progress = os.path.join(server.tmp, 'progress')
        flood = server.script('flood.php', f'<?php $part = str_repeat("x", 65536); for ($i = 0; $i < 800; $i++) {{ echo $part; file_put_contents("{progress}.new", $i); rename("{progress}.new", "{progress}"); }}')
        hello = server.script('hello.php', '<?php echo "hello $_GET[n]";')
        client.send(1, fcgi.script_params(flood))

        def stands():
            before = os.path.exists(progress) and open(progress).read()
            time.sleep(0.3)
            return before and before == open(progress).read()
        self.poll(stands, 20)
        self.assertLess(int(open(progress).read()), 200)
        client.send(2, fcgi.script_params(hello, QUERY_STRING='n=2'))
        # Nobody has read anything of 1 yet: the answer is on its way all the same.
        self.assertBody(client.until_done(2)[0], 'hello 2')
        self.assertFalse(client.responses[1].complete)
        self.assertEqual(len(client.until_done(1)[0].body), 800 * 65536)

    def test_a_slow_upload_beside_others(self):
        client = self.multiplexer()
        params, body, check = echo_request(self.echo, 'POST', 1, 1, 3 << 20)
        client.begin(9, params)
        for at in range(0, len(body), 65535):
            client.connection.send(fcgi.record(fcgi.STDIN, body[at:at + 65535], 9))
            client.send(3, self.params(self.hello, n=at))
            self.assertBody(client.until_done(3)[0], f'hello {at}')
        client.connection.send(fcgi.record(fcgi.STDIN, b'', 9))
        self.assertIsNone(check(client.until_done(9)[0]))


class Ends(MultiplexTest):
    def test_abort_of_one(self):
        client = self.multiplexer()
        script = self.server.script('endless.php', '<?php touch($_GET["go"] . ".runs"); register_shutdown_function(function () { touch($_GET["go"] . "." . connection_status()); }); while (true) { echo str_repeat("x", 1000); flush(); usleep(1000); }')
        client.send(1, self.params(script, go=self.go))
        client.send(3, self.params(self.wait, n=3, go=self.go))
        self.poll(lambda: os.path.exists(self.go + '.runs'))
        client.connection.send(fcgi.abort(1))
        self.assertEqual(client.until_done(1)[0].protocol_status, fcgi.REQUEST_COMPLETE)
        self.poll(lambda: os.path.exists(self.go + '.1'), 5, 'connection_status() is ABORTED')
        self.assertFalse(client.responses[3].complete)
        client.send(1, self.params(self.hello, n='next'))
        self.assertBody(client.until_done(1)[0], 'hello next')
        self.release()
        self.assertBody(client.until_done(3)[0], 'waited 3')

    def test_abort_of_a_download_drops_what_is_queued(self):
        client = self.multiplexer(timeout=60)
        client.send(1, self.params(self.large, c='a', n=8000))
        client.send(3, self.params(self.wait, n=3, go=self.go))
        client.read()
        client.connection.send(fcgi.abort(1))
        response = client.until_done(1)[0]
        self.assertLess(len(response.raw), 8000 * 65536)
        self.release()
        self.assertBody(client.until_done(3)[0], 'waited 3')

    def test_abort_of_what_is_arriving_and_of_what_waits(self):
        client = self.multiplexer()
        for n in range(10, 10 + self.CHILDREN):
            client.send(n, self.params(self.wait, n=n, go=self.go))
        params, body, _ = echo_request(self.echo, 'POST', 1, 1, 100000)
        client.begin(1, params)
        client.connection.send(fcgi.record(fcgi.STDIN, body[:5000], 1) + fcgi.abort(1))
        self.assertEqual(client.until_done(1)[0].raw, b'')
        marker = os.path.join(self.server.tmp, 'ran')
        touch = self.server.script('touch.php', f'<?php touch("{marker}");')
        client.send(5, self.params(touch, n=5))
        client.connection.send(fcgi.abort(5))
        # A reader has seen the abort when it has answered what came behind it.
        client.connection.send(fcgi.record(99, b'', 0))
        client.responses[0] = fcgi.Response(0)
        self.assertEqual(client.connection.read_record().type, fcgi.UNKNOWN_TYPE)
        self.release()
        for n, response in zip(range(10, 10 + self.CHILDREN), client.until_done(*range(10, 10 + self.CHILDREN))):
            self.assertBody(response, f'waited {n}')
        self.assertEqual(client.until_done(5)[0].raw, b'')
        self.assertFalse(os.path.exists(marker))

    def test_client_that_goes_ends_all(self):
        script = self.server.script('count.php', '<?php touch("$_GET[go].$_GET[n]"); try { while (true) { echo str_repeat("x", 1000); flush(); usleep(1000); } } finally { } ')
        ended = self.server.script('ended.php', '<?php register_shutdown_function(function () { touch("$_GET[go].$_GET[n].ended"); }); touch("$_GET[go].$_GET[n]"); while (true) { echo str_repeat("x", 1000); flush(); usleep(1000); }')
        self.assertTrue(script)
        client = self.multiplexer()
        for n in (1, 2, 3):
            client.send(n, self.params(ended, n=n, go=self.go))
        for n in (1, 2, 3):
            self.poll(lambda n=n: os.path.exists(f'{self.go}.{n}'))
        client.connection.close()
        for n in (1, 2, 3):
            self.poll(lambda n=n: os.path.exists(f'{self.go}.{n}.ended'))
        self.assertBody(self.server.get(self.hello, 'n=1'), 'hello 1')

    def test_half_close_gets_all_answers(self):
        client = self.multiplexer()
        for n in (1, 2, 3):
            client.send(n, self.params(self.wait, n=n, go=self.go))
        client.connection.half_close()
        self.release()
        for n, response in zip((1, 2, 3), client.until_done()):
            self.assertBody(response, f'waited {n}')
        self.assertTrue(client.connection.wait_closed())

    def test_without_keep_conn_it_closes_behind_the_last(self):
        client = self.multiplexer()
        client.send(1, self.params(self.wait, n=1, go=self.go))
        client.send(2, self.params(self.hello, n=2), keep=False)
        self.assertBody(client.until_done(2)[0], 'hello 2')
        self.release()
        self.assertBody(client.until_done(1)[0], 'waited 1')
        self.assertTrue(client.connection.wait_closed())

    def test_none_with_keep_conn(self):
        with self.server.connect() as connection:
            client = Multiplexer.__new__(Multiplexer)
            client.connection, client.responses, client.order, client.done = connection, {n: fcgi.Response(n) for n in (1, 2, 3)}, [], []
            connection.send(b''.join(fcgi.whole_request(self.params(self.hello, n=n), request_id=n) for n in (1, 2, 3)))
            for n, response in zip((1, 2, 3), client.until_done()):
                self.assertBody(response, f'hello {n}')
            self.assertTrue(connection.wait_closed())

    def test_errors_end_the_connection(self):
        """What runs is as if its client had gone; the connection closes when it has ended."""
        for number, bad in enumerate((fcgi.begin(flags=1, request_id=3) * 2, fcgi.record(fcgi.STDOUT, b'x', 1), b'\0' * 8, fcgi.begin(flags=1, request_id=3) + fcgi.record(fcgi.PARAMS, b'\x80', 3) + fcgi.record(fcgi.PARAMS, b'', 3))):
            with self.subTest(bad=bad):
                client = self.multiplexer()
                go = f'{self.go}{number}'
                client.send(1, self.params(self.wait, n=1, go=go))
                client.connection.send(bad + fcgi.whole_request(self.params(self.hello, n=2), flags=fcgi.KEEP_CONN, request_id=2))
                open(go, 'w').close()
                try:
                    while record := client.connection.read_record():
                        self.assertEqual(record.request_id, 1, 'nothing behind the error is read')
                except fcgi.Closed:
                    pass
        self.assertBody(self.server.get(self.hello, 'n=1'), 'hello 1')

    def test_full_queue_refuses_one_by_one(self):
        server = self.serve([Pool(children=1, settings={'request_queue_limit': '2'})])
        wait = server.script('wait.php', WAIT)
        go = os.path.join(server.tmp, 'go')
        client = Multiplexer(server)
        self.addCleanup(client.connection.close)
        for n in range(1, 9):
            client.send(n, fcgi.script_params(wait, QUERY_STRING=f'n={n}&go={go}'))
        while len(client.done) < 5:
            client.read()
        self.assertEqual({client.responses[n].finish().status for n in client.done}, {503})
        open(go, 'w').close()
        for response in client.until_done():
            self.assertIn(response.status, (200, 503))
        self.assertEqual([r.status for r in (r.finish() for r in client.responses.values())].count(200), 3)

    @signals_reach_loops
    def test_terminated_request_leaves_its_neighbours(self):
        server = self.serve([Pool(children=4, settings={'request_terminate_timeout': '3'})])
        hello = server.script('hello.php', '<?php echo "hello $_GET[n]";')
        loop = server.script('loop.php', '<?php echo "part"; flush(); while (true);')
        client = Multiplexer(server)
        self.addCleanup(client.connection.close)
        client.send(1, fcgi.script_params(loop))
        n = 2
        while not client.responses[1].complete:
            client.send(n, fcgi.script_params(hello, QUERY_STRING=f'n={n}'))
            self.assertBody(client.until_done(n)[0], f'hello {n}')
            n = n + 1 if n < 60000 else 2
        self.assertEqual(client.until_done(1)[0].body, b'part')
        client.send(1, fcgi.script_params(hello, QUERY_STRING='n=1'))
        self.assertBody(client.until_done(1)[0], 'hello 1')

    def test_request_that_c_code_holds_leaves_its_neighbours(self):
        """The standby thread ends it for the client; those that share the connection are answered, then it closes."""
        server = self.serve([Pool(children=6, settings={'request_terminate_timeout': '4'})])
        stuck = server.script('stuck.php', '<?php echo "part"; flush(); hash_pbkdf2("sha512", "password", "salt", 2000000000);')
        nap = server.script('nap.php', '<?php usleep(300000); echo "slept $_GET[n]";')
        client = Multiplexer(server)
        self.addCleanup(client.connection.close)
        client.send(1, fcgi.script_params(stuck))
        n = 1
        while not client.responses[1].complete:          # two of them overlap at any time
            while n - len(client.done) < 3:
                n += 1
                client.send(n, fcgi.script_params(nap, QUERY_STRING=f'n={n}'))
            client.read()
        self.assertEqual(client.responses[1].finish().body, b'part')
        open_ = [i for i in range(2, n + 1) if not client.responses[i].complete]
        self.assertGreater(len(open_), 0)
        client.until_done(*open_)
        for i in range(2, n + 1):
            self.assertBody(client.responses[i].finish(), f'slept {i}')
        self.assertTrue(client.connection.wait_closed())
        server.wait_for(r'exited on signal 15 \(SIGTERM\)', 20)
        self.assertBody(server.get(nap, 'n=after'), 'slept after')

    def test_crash_of_one_leaves_its_neighbours(self):
        if sanitized():
            self.skipTest("the crash is the sanitizer's")
        for flush in ('', 'echo "part"; flush(); '):
            with self.subTest(flush=flush):
                server = self.serve([Pool(children=4)], modules=['ffi'], ini={'ffi.enable': '1'})
                crash = server.script('crash.php', '<?php ' + flush + 'FFI::memset(FFI::cast("char *", 0), 0, 1);')
                wait = server.script('wait.php', WAIT)
                go = os.path.join(server.tmp, 'go')
                client = Multiplexer(server)
                self.addCleanup(client.connection.close)
                for n in (2, 3):
                    client.send(n, fcgi.script_params(wait, QUERY_STRING=f'n={n}&go={go}'))
                client.send(1, fcgi.script_params(crash))
                response = client.until_done(1)[0]
                self.assertEqual((response.status, response.body) if flush else response.status, (200, b'part') if flush else 500)
                open(go, 'w').close()
                for n, response in zip((2, 3), client.until_done(2, 3)):
                    self.assertBody(response, f'waited {n}')
                client.send(4, fcgi.script_params(wait, QUERY_STRING=f'n=4&go={go}'))       # the successor has the connection
                self.assertBody(client.until_done(4)[0], 'waited 4')


class Reload(MultiplexTest):
    def test_multiplexed_connections_lose_nothing(self):
        stop, problems, served = threading.Event(), [], [0, 0, 0]

        def client(number):
            rng = random.Random(number)
            try:
                with Multiplexer(self.server, timeout=60) as mux:
                    open_, checks, n = set(), {}, 0
                    while not stop.is_set() or open_:
                        while len(open_) < 6 and not stop.is_set():
                            n = rng.choice([i for i in range(1, 30) if i not in open_])
                            params, body, checks[n] = echo_request(self.echo, 'POST', number, served[number], rng.choice([0, 10, 30000]))
                            mux.send(n, params, body)
                            open_.add(n)
                        before = len(mux.done)
                        mux.read()
                        for n in mux.done[before:]:
                            open_.discard(n)
                            problem = checks[n](mux.responses[n].finish())
                            if problem:
                                problems.append(problem)
                            served[number] += 1
            except Exception as error:          # pylint: disable=broad-except
                problems.append(repr(error))
        threads = [threading.Thread(target=client, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                engines = self.server.workers()
                before = list(served)
                self.server.kill(12)
                self.poll(lambda e=engines: not set(e) & set(self.server.workers()), 60, 'the old engine has ended')
                self.poll(lambda b=before: all(x > y + 20 for x, y in zip(served, b)) or problems, 60)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        self.assertNotIn('still serves', self.server.log_text())
