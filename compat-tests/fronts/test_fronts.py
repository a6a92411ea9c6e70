"""Each front's answers before php-ftm are those before php-fpm, at the same addresses."""

import hashlib
import http.client
import os
import re
import shutil
import socket
import tempfile
import threading
import unittest

import long
from fronts import SETUPS
from ftm.proc import poll
from ftm.server import Binary, Pool, Server, free_port
from table import PAGES, ROWS

UNEQUAL = {'date'}                      # response headers that differ from request to request


VOLATILE = [                            # and what does in a page
    (rb'(?m)^((?:getenv\()?(?:REMOTE_PORT|REQUEST_TIME|REQUEST_TIME_FLOAT|UNIQUE_ID)\)?) = .*$', rb'\1 = *'),
    (rb'/php[A-Za-z0-9]{6,22}\b', b'/php*'),
    # docs/COMPATIBILITY.md: what getenv() of php-fpm shows behind a SCRIPT_FILENAME that began with proxy:fcgi://.
    (rb'(?m)^(SCRIPT_FILENAME = "[^"\\]*)\\000[^"]*"$', rb'\1"'),
]
LENGTHY = 120                           # so many requests of a long setup php itself must have answered


http.client._MAXHEADERS = 1000


class Answer:
    def __init__(self, response, body, racy):
        self.status, self.reason = response.status, response.reason
        headers = [(k.lower(), v) for k, v in response.getheaders()]
        self.cookies = [v.partition(';')[0] for k, v in headers if k == 'set-cookie']
        self.of_php = any(k == 'x-powered-by' for k, _ in headers)
        self.body = body
        for pattern, new in VOLATILE:
            self.body = re.sub(pattern, new, self.body)
        if ('content-length', str(len(body))) in headers:
            headers[headers.index(('content-length', str(len(body))))] = 'content-length', str(len(self.body))
        self.headers = sorted((k, re.sub('PHPSESSID=[A-Za-z0-9,-]{26,}', 'PHPSESSID=*', v)) for k, v in headers if k not in UNEQUAL and k not in racy)

    def differs(self, other):
        for name in ('status', 'reason', 'headers', 'body'):
            a, b = getattr(self, name), getattr(other, name)
            if a != b:
                if name == 'body' and a.count(b'\n') == b.count(b'\n'):
                    pairs = [(x, y) for x, y in zip(a.split(b'\n'), b.split(b'\n')) if x != y]
                    return f'{name}: {pairs[:5]}'
                return f'{name}: {a[:600]!r} != {b[:600]!r}'
        return None


def ask(port, row, cookies=()):
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=120) as connection:
            try:
                connection.sendall(row.bytes(cookies))
            except (BrokenPipeError, ConnectionResetError):
                pass                    # refused before the body was read
            response = http.client.HTTPResponse(connection, method=row.method)
            response.begin()
            try:
                body = response.read()
            except http.client.IncompleteRead as error:
                body = error.partial + b'<incomplete>'
            return Answer(response, body, row.racy)
    except (OSError, http.client.HTTPException) as error:
        raise AssertionError(f'{row.name}: {error!r}') from error


def connections(port):
    """TCP connections to the FastCGI port: how many are established, and the peers of those the server closed in the last minute."""
    peers = {'01': set(), '06': set()}
    with open('/proc/net/tcp') as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(':')[2], 16) == port and fields[3] in peers:
                peers[fields[3]].add(fields[2])
    return len(peers['01']), peers['06']


class Fronts(unittest.TestCase):
    """One test per setup is added below."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix='ftm-fronts-', dir='/tmp')
        os.chmod(cls.root, 0o755)
        cls.docroot = os.path.join(cls.root, 'www')
        for name, text in PAGES.items():
            path = os.path.join(cls.docroot, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as file:
                file.write(text)
        long.write(cls.docroot)
        cls.addresses = {'unix': os.path.join(cls.root, 'php.sock'), 'tcp': ('127.0.0.1', free_port())}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root, ignore_errors=True)

    def server(self, path):
        def pool(transport):
            address = self.addresses[transport]
            return Pool(transport, listen=address if transport == 'unix' else '%s:%d' % address, children=8,
                        settings={'pm.status_path': '/status', 'ping.path': '/ping', 'security.limit_extensions': '.php'})
        tmp = os.path.join(self.root, 'tmp')
        shutil.rmtree(tmp, ignore_errors=True)              # sessions of the other binary
        os.makedirs(tmp)
        os.chmod(tmp, 0o1777)
        return Server([pool('unix'), pool('tcp')], binary=Binary(path), docroot=self.docroot, ini={'sys_temp_dir': tmp, 'upload_tmp_dir': tmp, 'session.save_path': tmp,
                           'post_max_size': '3M', 'upload_max_filesize': '1M'})

    def rows(self, setup):
        return [*ROWS, *(long.LONG if setup.long else ())]

    def through(self, setup, binary, port):
        """All rows through a front that is started before this binary; {row: answer}."""
        address = self.addresses[setup.transport]
        with self.server(binary), setup.make(setup, address, self.docroot, port) as front:
            without = setup.misses | (set(setup.stock_fails) if binary == os.environ['FTM_STOCK'] else set())
            try:
                answers = {}
                for row in self.rows(setup):
                    if row.needs not in without:
                        answers[row.name] = ask(front.port, row, answers[row.cookies].cookies if row.cookies else ())
            except AssertionError as error:
                raise AssertionError(f'{setup} before {binary}: {error}\n{front.log()[-1500:]}') from error
            problems = self.many(front.port)
            self.assertEqual(problems, [], f'{setup} before {binary}: {front.log()[-1500:]}')
            if setup.transport == 'tcp':
                self.reuse(setup, front.port, binary)
            return answers

    def many(self, port):
        """Four visitors at once, 25 requests each on one connection to the front."""
        problems = []

        def visit(number):
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
            try:
                for i in range(25):
                    connection.request('GET', f'/page.php?q={number}-{i}', headers={'User-Agent': 'ftm-test'})
                    response = connection.getresponse()
                    body = response.read()
                    if response.status != 200 or body != f'<p>page {number}-{i}</p>\n'.encode():
                        problems.append((number, i, response.status, body[:100]))
            except (OSError, http.client.HTTPException) as error:
                problems.append((number, repr(error)))
            finally:
                connection.close()
        threads = [threading.Thread(target=visit, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        return problems

    def reuse(self, setup, port, binary):
        """A front that keeps connections uses one again: php-ftm must not close it, and never keeps one unasked."""
        fastcgi = self.addresses['tcp'][1]
        row = ROWS[0]
        ask(port, row)
        kept, closed = connections(fastcgi)
        for _ in range(10):
            ask(port, row)
        if setup.keeps:
            self.assertGreaterEqual(kept, 1, f'{setup} before {binary} keeps its connections')
            self.assertEqual(connections(fastcgi)[1] - closed, set(), f'{setup} before {binary}: none was closed')
        else:
            poll(lambda: connections(fastcgi)[0] == 0, 5, f'{setup} before {binary}: every connection is closed')

    def check(self, setup):
        if setup.absence():
            self.skipTest(setup.absence())
        port = free_port()
        stock = self.through(setup, os.environ['FTM_STOCK'], port)
        ours = self.through(setup, os.environ['FTM_BINARY'], port)
        if setup.long:
            self.assertGreaterEqual(len({row.bytes() for row in self.rows(setup) if row.name in stock and stock[row.name].of_php}), LENGTHY)
        for row in self.rows(setup):
            if row.needs in setup.misses:
                continue
            with self.subTest(row=row.name):
                if row.needs in setup.stock_fails:
                    whole = b''.join(row.body) if setup.stock_fails[row.needs] == 'whole' else b''
                    self.assertEqual(ours[row.name].body, b'["POST",[],%d,"%s"]' % (len(whole), hashlib.sha1(whole).hexdigest().encode()))
                    continue
                if row.status is not None:
                    self.assertEqual(stock[row.name].status, row.status, f'stock: {stock[row.name].body[:300]!r}')
                self.assertIsNone(ours[row.name].differs(stock[row.name]))


for _setup in SETUPS:
    def _test(self, setup=_setup):
        self.check(setup)
    setattr(Fronts, 'test_' + _setup.name.replace('-', '_'), _test)
