"""What passes through each web server before php-ftm: a column is a function that returns what was seen, expected.py says what
must be.
"""

import hashlib
import http.client
import os
import re
import socket
import subprocess
import threading
import time

import newest
from ftm.proc import poll, time_scale

PAGES = {
    'page.php': '<?php header("X-One: 1"); echo "page ", $_GET["q"] ?? "-";',
    'post.php': '<?php $h = hash_init("sha1"); $f = fopen("php://input", "r"); while (($p = fread($f, 65536)) !== "" && $p !== false) { hash_update($h, $p); } echo hash_final($h);',
    'large.php': '<?php $part = str_repeat("L", 65536); for ($i = 0; $i < 3200; $i++) { echo $part; }',
    'abort.php': '<?php register_shutdown_function(function () { touch("$_GET[to].ended"); }); touch($_GET["to"]); for ($i = 0; $i < $_GET["n"]; $i++) { echo str_repeat("x", 1000); flush(); usleep(1000); }',
    'events.php': '<?php header("Content-Type: text/event-stream"); header("X-Accel-Buffering: no"); for ($i = 0; $i < 3; $i++) { echo "data: event $i\n\n"; flush(); '
                  'for ($t = microtime(true); !file_exists("$_GET[to].$i") && microtime(true) - $t < 20; clearstatcache()) { usleep(1000); } }',
    'hints.php': '<?php header("Link: </a.css>; rel=preload"); if (function_exists("headers_send")) { headers_send(103); } echo "<p>hinted</p>";',
    'status.php': '<?php http_response_code((int)$_GET["s"]); if ($_GET["s"] != 204 && $_GET["s"] != 304) echo "status $_GET[s]";',
    'path.php': '<?php header("X-Info: " . ($_SERVER["PATH_INFO"] ?? "none")); echo "path";',
    'auth.php': '<?php echo ($_SERVER["PHP_AUTH_USER"] ?? "nobody"), ":", ($_SERVER["PHP_AUTH_PW"] ?? "");',
    'headers.php': '<?php for ($i = 0; $i < 40; $i++) header("X-Big-$i: " . str_repeat("v", 500)); echo "many headers";',
    'crash.php': '<?php FFI::memset(FFI::cast("char *", 0), 0, 1);',
}
TIMEOUT = 100


class Cell:
    """What a column may use: the front and the server behind it, and what is expected of a column, to know how long to wait."""

    def __init__(self, front, server, expected):
        self.front, self.server, self.port, self.expected = front, server, front.port, expected

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=TIMEOUT * time_scale())

    def ask(self, path, method='GET', body=None, headers=(), connection=None):
        mine = connection or self.connect()
        mine.request(method, path, body, dict(headers))
        answer = mine.getresponse()
        got = answer.read()
        if connection is None:
            mine.close()
        return answer, got

    def raw(self, data, until=None, timeout=TIMEOUT):
        """What comes back until the connection closes, `until` was seen or nothing comes for the timeout."""
        with socket.create_connection(('127.0.0.1', self.port), timeout) as s:
            s.sendall(data)
            got = b''
            try:
                while until is None or until not in got:
                    part = s.recv(65536)
                    if not part:
                        break
                    got += part
            except TimeoutError:
                pass
            return got

    def curl(self, command, *options):
        """(HTTP version, status, body) of a request over TLS; None where nothing answers with the version the options demand."""
        url = f'https://localhost:{self.front.tls_port}'
        done = subprocess.run([*command, '-sSk', '-m', str(int(TIMEOUT * time_scale())), '--resolve', f'localhost:{self.front.tls_port}:127.0.0.1', '-w', '\n%{http_version} %{http_code}',
                               *(url + option if option.startswith('/') else option for option in options)], capture_output=True, check=False)
        if done.returncode:
            return None
        body, _, last = done.stdout.rpartition(b'\n')
        return *last.decode().split(), body

    def marker(self, name):
        path = os.path.join(self.server.tmp, f'{name}-{time.monotonic_ns()}')
        return path


def page(cell):
    answer, got = cell.ask('/page.php?q=7')
    return 'ok' if (answer.status, answer.getheader('X-One'), got) == (200, '1', b'page 7') else f'{answer.status} {got[:40]!r}'


def keep_alive(cell):
    connection = cell.connect()
    got = [cell.ask(f'/page.php?q={i}', connection=connection)[1] for i in range(5)]
    return 'ok' if got == [b'page %d' % i for i in range(5)] else repr(got)


def post_20_mb(cell):
    body = os.urandom(1 << 20) * 20
    answer, got = cell.ask('/post.php', 'POST', body, {'Content-Type': 'application/octet-stream'})
    return 'ok' if got.decode() == hashlib.sha1(body).hexdigest() else f'{answer.status} {got[:40]!r}'


def over_tls(cell, command, flag, version):
    """A page and a POST with this HTTP version."""
    got = cell.curl(command, flag, '/page.php?q=7')
    if got is None or got[0] != version:
        return 'not offered'
    body = os.urandom(1 << 20)
    path = cell.marker('body')
    with open(path, 'wb') as file:
        file.write(body)
    post = cell.curl(command, flag, '-H', 'Content-Type: application/octet-stream', '--data-binary', '@' + path, '/post.php')
    os.unlink(path)
    wanted = (version, '200', b'page 7'), (version, '200', hashlib.sha1(body).hexdigest().encode())
    return 'ok' if (got, post) == wanted else f'{got} {post}'


def http_2(cell):
    return over_tls(cell, ['curl'], '--http2', '2')


def http_3(cell):
    """None where no curl that can is to be had."""
    curl = newest.program('curl')
    return over_tls(cell, curl, '--http3-only', '3') if curl else None


def slow_upload(cell):
    body = os.urandom(300000)
    with socket.create_connection(('127.0.0.1', cell.port), TIMEOUT) as s:
        s.sendall(b'POST /post.php HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: x/y\r\nContent-Length: 300000\r\n\r\n')
        for at in range(0, len(body), 10000):
            s.sendall(body[at:at + 10000])
            time.sleep(0.02)
        got = b''
        while part := s.recv(65536):
            got += part
    return 'ok' if hashlib.sha1(body).hexdigest().encode() in got else repr(got[:60])


def download_200_mb(cell):
    connection = cell.connect()
    connection.request('GET', '/large.php')
    answer, total, other = connection.getresponse(), 0, 0
    while part := answer.read(1 << 20):
        total += len(part)
        other += len(part) - part.count(b'L')
    connection.close()
    return 'ok' if (answer.status, total, other) == (200, 3200 * 65536, 0) else f'{answer.status} {total} bytes'


def abort(cell):
    marker = cell.marker('abort')
    # Left alone the script runs for `patience` seconds at least.
    patience = 60 if cell.expected("browser's leaving") == 'seen' else 5
    connection = cell.connect()
    connection.request('GET', f'/abort.php?n={patience * 1000}&to={marker}')
    poll(lambda: os.path.exists(marker), 10)
    connection.sock.close()
    connection.close()
    deadline = time.monotonic() + patience - 1
    while time.monotonic() < deadline:
        if os.path.exists(marker + '.ended'):
            return 'seen'
        time.sleep(0.02)
    return 'not seen'


def events(cell):
    marker = cell.marker('events')
    try:
        got = cell.raw(f'GET /events.php?to={marker} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode(), b'event 0', (60 if cell.expected('server-sent events') == 'at once' else 3) * time_scale())
    finally:
        for i in range(3):
            open(f'{marker}.{i}', 'w').close()
    return 'at once' if b'event 0' in got and b'event 1' not in got else 'held back'


def hints(cell):
    got = cell.raw(b'GET /hints.php HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    statuses = re.findall(rb'(?m)^HTTP/1\.1 (\d+)', got)
    if b'<p>hinted</p>' not in got or statuses[-1:] != [b'200']:
        return repr(got[:80])
    return {1: 'not sent', 2: 'relayed'}.get(len(statuses), repr(statuses))


def statuses(cell):
    wrong = []
    for status in (500, 404, 304, 204, 200):
        answer, got = cell.ask(f'/status.php?s={status}')
        if answer.status != status or got != (b'' if status in (304, 204) else b'status %d' % status):
            wrong.append(f'{status}: {answer.status} {got[:30]!r}')
    answer, got = cell.ask('/page.php', 'HEAD')
    if (answer.status, got, answer.getheader('X-One')) != (200, b'', '1'):
        wrong.append(f'HEAD: {answer.status}')
    return ', '.join(wrong) or 'ok'


def path_info(cell):
    answer, _ = cell.ask('/path.php/extra/path?q=1')
    return 'ok' if answer.getheader('X-Info') == '/extra/path' else f'{answer.status} {answer.getheader("X-Info")}'


def odd_paths(cell):
    """PATH_INFO of /path.php/a%2Fb//c."""
    answer, _ = cell.ask('/path.php/a%2Fb//c')
    return answer.getheader('X-Info') or str(answer.status)


def authorization(cell):
    _, got = cell.ask('/auth.php', headers={'Authorization': 'Basic Ym9iOnNlY3JldA=='})
    return {b'bob:secret': 'ok', b'nobody:': 'dropped'}.get(got, repr(got[:40]))


def headers_20_kb(cell):
    try:
        answer, got = cell.ask('/headers.php')
    except http.client.HTTPException as error:
        return type(error).__name__
    return 'ok' if (answer.status, got) == (200, b'many headers') else str(answer.status)


def crash(cell):
    answer, _ = cell.ask('/crash.php')
    after = [cell.ask(f'/page.php?q={i}')[1] == b'page %d' % i for i in range(5)]
    return f'{answer.status}, then ok' if all(after) else f'{answer.status}, then {after}'


def reload(cell):
    lost, served, stop = [], [0], threading.Event()

    def client(number):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                answer, got = cell.ask(f'/page.php?q={number}{i}')
                if (answer.status, got) != (200, b'page %d%d' % (number, i)):
                    lost.append(f'{answer.status} {got[:40]!r}')
            except (OSError, http.client.HTTPException) as error:
                lost.append(repr(error))
            served[0] += 1
    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            engines, before = cell.server.workers(), served[0]
            cell.server.kill(12)
            poll(lambda e=engines: not set(e) & set(cell.server.workers()), 30)
            poll(lambda b=before: served[0] > b + 50, 30)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return f'{len(lost)} lost' + (f': {lost[0]}' if lost else '')


COLUMNS = {
    'page': page, 'kept browser connection': keep_alive, 'HTTP/2 over TLS': http_2, 'HTTP/3': http_3, 'POST of 20 MB': post_20_mb, 'slow upload': slow_upload, 'download of 200 MB': download_200_mb, "browser's leaving": abort,
    'server-sent events': events, '103': hints, '500, 404, 304, 204, HEAD': statuses, 'PATH_INFO': path_info, '`/a%2Fb//c` as PATH_INFO': odd_paths, 'authorization': authorization,
    'headers of 20 kB': headers_20_kb, 'reload under load': reload, 'crash of an engine': crash,
}
