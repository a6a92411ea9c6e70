"""HAProxy, the one web server that multiplexes FastCGI (option mpxs-conns, get-values), over few connections.

Two things are HAProxy's own. 2.6 answers 500 by itself, without sending the request, when that does not fit behind others'
bodies into its 16 KiB of one connection; so bodies are small here. And a browser that does not read its download stops the
reading of the connection, hence all others of it.
"""

import hashlib
import http.client
import json
import os
import random
import statistics
import threading
import time
import unittest

from fronts import HAProxy
from ftm.proc import poll, time_scale
from ftm.server import Binary, Pool, Server, free_port
from test_fronts import connections
from webserver import Setup

REQUESTS = 10000
CLIENTS = 32
CHILDREN = 8            # FCGI_MAX_REQS, so 32 clients make 4 connections
ECHO = '''<?php
$body = file_get_contents("php://input");
header("X-Name: $_GET[name]");
http_response_code(200 + $_GET["status"]);
if ($_GET["pause"]) { usleep($_GET["pause"]); }
echo json_encode([$_SERVER["REQUEST_METHOD"], $_GET["name"], strlen($body), sha1($body), $_SERVER["HTTP_X_TOKEN"]]), "\\n", str_repeat($_GET["name"][0], (int)$_GET["size"]);
'''
LARGE = '<?php $part = str_repeat("L", 65536); for ($i = 0; $i < 1600; $i++) { echo $part; }'
MPXS = Setup('haproxy-mpxs', HAProxy, 'tcp', keeps=True, variant='mpxs')


@unittest.skipIf(MPXS.absence(), MPXS.absence())
class Multiplexing(unittest.TestCase):
    def setUp(self):
        self.server = Server([Pool(children=CHILDREN, listen='tcp')], binary=Binary(os.environ['FTM_BINARY'])).prepare()
        self.server.script('echo.php', ECHO)
        self.server.script('large.php', LARGE)
        self.server.script('ended.php', '<?php register_shutdown_function(function () { touch("$_GET[to].ended"); }); touch($_GET["to"]); while (true) { echo str_repeat("x", 1000); flush(); usleep(1000); }')
        self.server.start()
        self.addCleanup(self.server.stop)
        self.front = HAProxy(MPXS, self.server.pool().address, self.server.docroot, free_port())
        self.front.__enter__()
        self.addCleanup(self.front.__exit__)

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.front.port, timeout=60 * time_scale())

    def ask(self, connection, name, rng):
        """One request, and what is wrong with its answer."""
        body = rng.randbytes(rng.choice([0, 1, 100, 900])) if rng.random() < 0.5 else None
        size, status, token = rng.choice([0, 10, 1000, 50000, 200000]), rng.choice([0, 1, 3]), str(rng.random())
        pause = rng.choice([0, 0, 0, 2000])
        connection.request('GET' if body is None else 'POST', f'/echo.php?name={name}&size={size}&status={status}&pause={pause}', body, {'X-Token': token})
        answer = connection.getresponse()
        got = answer.read()
        expected = json.dumps(['GET' if body is None else 'POST', name, len(body or b''), hashlib.sha1(body or b'').hexdigest(), token], separators=(',', ':')).encode() + b'\n' + name[:1].encode() * size
        if (answer.status, answer.getheader('X-Name'), got) != (200 + status, name, expected):
            return f'{name}: {answer.status} {answer.getheader("X-Name")} {len(got)} of {len(expected)} bytes: {got[:100]!r}'
        return None

    def test_ten_thousand_requests_over_four_connections(self):
        problems, served = [], [0] * CLIENTS

        def client(number):
            rng, connection = random.Random(number), self.connect()
            try:
                for i in range(REQUESTS // CLIENTS + (number < REQUESTS % CLIENTS)):
                    problem = self.ask(connection, f'{chr(97 + number % 26)}{number}-{i}', rng)
                    if problem:
                        problems.append(problem)
                    served[number] += 1
            except Exception as error:              # pylint: disable=broad-except
                problems.append(f'{number}: {error!r}')
            connection.close()
        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for number, thread in enumerate(threads):       # one after the other: HAProxy opens further connections while it waits for the values of one
            thread.start()
            poll(lambda n=number: served[n] > 0 or problems)
        seen = []
        while any(thread.is_alive() for thread in threads):
            seen.append(connections(self.server.pool().address[1])[0])
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        self.assertEqual(problems[:5], [])
        self.assertEqual(sum(served), REQUESTS)
        # Mostly four; more for a while where HAProxy waits for a connection's values, which a busy machine makes longer.
        usual = statistics.median(seen)
        print(f'{sum(served)} requests over {usual:g} connections, at most {max(seen)}')
        self.assertLess(usual, CLIENTS // 2, 'connections')
        self.assertGreater(usual, 0)

    def test_small_answers_pass_a_download(self):
        download = self.connect()
        download.request('GET', '/large.php')
        answer = download.getresponse()
        got = len(answer.read(1 << 20))
        connection, rng = self.connect(), random.Random(1)
        for i in range(200):
            self.assertIsNone(self.ask(connection, f's{i}', rng))
            got += len(answer.read(100000))
        self.assertLess(got, 1600 * 65536)
        while part := answer.read(1 << 20):
            self.assertEqual(part.count(b'L'), len(part))
            got += len(part)
        self.assertEqual(got, 1600 * 65536)

    def test_browser_that_goes(self):
        """HAProxy says nothing about it on a connection that others use; they get theirs."""
        for _ in range(5):
            download = self.connect()
            download.request('GET', '/large.php')
            answer = download.getresponse()
            answer.read(100000)
            download.close()
            answer.close()
            connection, rng = self.connect(), random.Random(2)
            for i in range(20):
                self.assertIsNone(self.ask(connection, f'b{i}', rng))
            connection.close()
        marker = os.path.join(self.server.tmp, 'runs')
        endless = self.connect()
        endless.request('GET', f'/ended.php?to={marker}')
        poll(lambda: os.path.exists(marker), 10)
        answer = endless.getresponse()
        answer.read(1000)
        endless.close()
        answer.close()
        poll(lambda: os.path.exists(marker + '.ended'), 20, 'the script whose browser has gone')

    def test_reload_beside_it(self):
        problems, stop, served = [], threading.Event(), [0] * 8

        def client(number):
            rng, connection = random.Random(number), self.connect()
            try:
                while not stop.is_set():
                    problem = self.ask(connection, f'r{number}-{served[number]}', rng)
                    if problem:
                        problems.append(problem)
                    served[number] += 1
            except Exception as error:              # pylint: disable=broad-except
                problems.append(f'{number}: {error!r}')
        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                engines, before = self.server.workers(), sum(served)
                self.server.kill(12)
                poll(lambda e=engines: not set(e) & set(self.server.workers()), 60, 'the old engine has ended')
                poll(lambda b=before: sum(served) > b + 100 or problems, 60)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems[:5], [])
