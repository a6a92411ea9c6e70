"""Bounded load: N clients, each on new connections or one kept connection, GET or POST with a body that must come back.

Every request is checked; what fails is counted with its reason and time, never retried silently.  One reason has a name
of its own: 'stale', a kept connection that was closed before a byte of the answer came.  Ordinary fronts retry that
(stock php-fpm closes idle connections when it reloads), so a test may choose to allow it with `allow_stale`.
"""

import hashlib
import threading
import time

from . import fcgi
from .proc import time_scale

ECHO = """<?php
$body = file_get_contents('php://input');
header('X-Echo: ' . ($_GET['n'] ?? '-'));
echo $_SERVER['REQUEST_METHOD'], ' ', strlen($body), ' ', sha1($body), ' ', $_GET['n'] ?? '-';
"""


class Failure:
    __slots__ = ('reason', 'client', 'kind', 'at', 'detail')

    def __init__(self, reason, client, kind, at, detail=''):
        self.reason, self.client, self.kind, self.at, self.detail = reason, client, kind, at, detail

    def __repr__(self):
        return f'{self.at:.3f}s client {self.client} {self.kind}: {self.reason} {self.detail}'.rstrip()


class Result:
    def __init__(self):
        self.requests = 0
        self.failures = []
        self.stale = 0
        self.latencies = []
        self.responses = {}
        self.elapsed = 0.0

    @property
    def failed(self):
        return len(self.failures)

    def reasons(self):
        counts = {}
        for failure in self.failures:
            counts[failure.reason] = counts.get(failure.reason, 0) + 1
        return counts

    def percentile(self, p):
        values = sorted(self.latencies)
        return values[min(len(values) - 1, int(len(values) * p / 100))] if values else 0.0

    @property
    def worst(self):
        return max(self.latencies, default=0.0)

    def __str__(self):
        text = (f'{self.requests} requests in {self.elapsed:.1f} s, {self.failed} failed, {self.stale} stale, '
                f'p50 {self.percentile(50) * 1000:.1f} ms, p99 {self.percentile(99) * 1000:.1f} ms, worst {self.worst * 1000:.1f} ms')
        if self.failures:
            text += f'\n  reasons: {self.reasons()}\n  ' + '\n  '.join(map(repr, self.failures[:20]))
        return text


def body_for(client, number, size):
    seed = hashlib.sha256(b'%d/%d' % (client, number)).digest()
    return (seed * (size // len(seed) + 1))[:size]


def echo_request(script, method, client, number, size):
    """Parameters, body and the check for one request to the ECHO script."""
    tag = f'{client}-{number}'
    if method == 'POST':
        body = body_for(client, number, size)
        params = fcgi.post_params(script, body, QUERY_STRING=f'n={tag}')
    else:
        body = b''
        params = fcgi.script_params(script, QUERY_STRING=f'n={tag}')
    expected = f'{method} {len(body)} {hashlib.sha1(body).hexdigest()} {tag}'

    def check(response):
        if response.status != 200:
            return f'status {response.status}'
        if response.text != expected:
            return f'wrong body {response.text[:60]!r}'
        return None
    return params, body, check


KINDS = ('new GET', 'kept GET', 'new POST', 'kept POST')


class Load:
    """`with Load(address, script, clients=16) as load: …` runs in the background; afterwards `load.result` has the count.

    kinds      the clients take these in turn: 'new GET', 'kept GET', 'new POST', 'kept POST'
    make       function(method, client, number) → (params, body, check) for another script than ECHO
    seconds, requests   the bounds: the load ends by itself at whichever comes first
    pause      between two requests of one client
    """

    def __init__(self, address, script=None, clients=16, kinds=KINDS, seconds=60.0, requests=200000, make=None, size=2000,
                 pause=0.0, timeout=60.0, allow_stale=False, statuses=None):
        self.addresses = address if isinstance(address, list) else [address]
        self.make = make or (lambda method, client, number: echo_request(script, method, client, number, size))
        self.clients = clients
        self.kinds = kinds
        self.seconds = seconds
        self.limit = requests
        self.pause = pause
        self.timeout = timeout * time_scale()
        self.allow_stale = allow_stale
        self.statuses = statuses
        self.result = Result()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = []

    def start(self):
        self._started = time.monotonic()
        self._deadline = self._started + self.seconds
        for index in range(self.clients):
            thread = threading.Thread(target=self._client, args=(index,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        return self.wait()

    def wait(self):
        for thread in self._threads:
            thread.join(self.timeout + 5)
            if thread.is_alive():
                self.result.failures.append(Failure('client stuck', -1, '-', time.monotonic() - self._started))
        self.result.elapsed = time.monotonic() - self._started
        return self.result

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def run(self):
        """In the foreground, to the bounds."""
        self.start()
        return self.wait()

    @property
    def done(self):
        return self.result.requests

    def _client(self, index):
        kind = self.kinds[index % len(self.kinds)]
        kept, method = kind.split()
        kept = kept == 'kept'
        address = self.addresses[index % len(self.addresses)]
        connection = None
        number = 0
        while not self._stop.is_set() and time.monotonic() < self._deadline:
            with self._lock:
                if self.result.requests >= self.limit:
                    break
                self.result.requests += 1
            number += 1
            params, body, check = self.make(method, index, number)
            began = time.monotonic()
            reused = connection is not None
            reason, detail, response = None, '', None
            try:
                if connection is None:
                    connection = fcgi.Connection(address, self.timeout)
                response = connection.request(params, body, keep=kept)
                reason = check(response)
                if reason is None and response.protocol_status != 0:
                    reason = f'protocol status {response.protocol_status}'
                if reason:
                    detail = f'{response!r}'[:200]
            except fcgi.Closed as error:
                empty = error.partial is None or not error.partial.raw
                reason = 'stale' if reused and empty else 'closed'
                detail = str(error)
            except fcgi.FcgiError as error:
                reason, detail = type(error).__name__, str(error)
            except OSError as error:
                reason, detail = f'{type(error).__name__}', str(error)
            took = time.monotonic() - began
            with self._lock:
                if reason is None:
                    self.result.latencies.append(took)
                elif reason == 'stale' and self.allow_stale:
                    self.result.stale += 1
                else:
                    self.result.failures.append(Failure(reason, index, kind, began - self._started, detail))
                if response is not None:
                    key = response.status
                    self.result.responses[key] = self.result.responses.get(key, 0) + 1
            if connection is not None and (not kept or reason is not None):
                connection.close()
                connection = None
            if self.pause:
                self._stop.wait(self.pause)
        if connection is not None:
            connection.close()


class KeptFlood:
    """Many kept connections driven by one thread: each sends its next request as soon as its answer is complete.

    Threads would measure Python's own scheduling; one poll loop shows what the server lets a connection wait.  It ends
    after `seconds`, when each connection has had `each` answers, or after stop() in another thread.
    """

    def __init__(self, address, params, connections, seconds=5.0, expect=None, each=1000000):
        self.address, self.count, self.seconds, self.expect, self.each = address, connections, seconds, expect, each
        self._stop = threading.Event()
        self.message = fcgi.whole_request(params, flags=fcgi.KEEP_CONN)
        self.result = Result()
        self.per_connection = [0] * connections

    def stop(self):
        self._stop.set()

    def run(self):
        import select
        result = self.result
        poller = select.epoll()
        connections, sent, received = {}, {}, {}
        for index in range(self.count):
            connection = fcgi.Connection(self.address)
            connections[connection.sock.fileno()] = (index, connection)
            poller.register(connection.sock.fileno(), select.EPOLLIN)
        began = time.monotonic()
        for number, (index, connection) in connections.items():
            received[number] = b''
            sent[number] = time.monotonic()
            connection.sock.sendall(self.message)
        stop = began + self.seconds
        open_requests, enough = len(connections), False
        while open_requests and time.monotonic() < stop + 60 * time_scale():
            for number, _ in poller.poll(0.5):
                index, connection = connections[number]
                data = connection.sock.recv(65536)
                now = time.monotonic()
                if not data:
                    result.failures.append(Failure('closed', index, 'kept', now - began))
                    poller.unregister(number)
                    open_requests -= 1
                    continue
                received[number] += data
                if not self._complete(received[number]):
                    continue
                if self.expect and self.expect not in received[number]:
                    result.failures.append(Failure('wrong answer', index, 'kept', now - began, repr(received[number][:100])))
                result.latencies.append(now - sent[number])
                result.requests += 1
                self.per_connection[index] += 1
                enough = enough or self._stop.is_set() or self.per_connection[index] >= self.each and min(self.per_connection) >= self.each
                received[number] = b''
                if now < stop and not enough:
                    sent[number] = time.monotonic()
                    connection.sock.sendall(self.message)
                else:
                    poller.unregister(number)
                    open_requests -= 1
        result.elapsed = time.monotonic() - began
        for number, (index, connection) in connections.items():
            if sent.get(number) and received.get(number):
                result.failures.append(Failure('no answer', index, 'kept', result.elapsed))
            connection.close()
        if open_requests:
            result.failures.append(Failure(f'{open_requests} connections without an answer', -1, 'kept', result.elapsed))
        poller.close()
        return result

    @staticmethod
    def _complete(data):
        at = 0
        while at + 8 <= len(data):
            total = 8 + (data[at + 4] << 8 | data[at + 5]) + data[at + 6]
            if data[at + 1] == fcgi.END_REQUEST:
                return len(data) >= at + total
            at += total
        return False
