"""103 Early Hints through each front: the one that relays it over FastCGI does, the others never see one unless the
administrator has said so; and then they break, which is why nobody else may say so."""

import os
import re
import socket
import subprocess
import unittest

from fronts import SETUPS, Apache, Caddy, HAProxy, Lighttpd, Nginx
from ftm.proc import poll
from ftm.server import Binary, Pool, Server, free_port
from proxies import NginxProxy, Proxy
from served import serve
from webserver import Setup

LINK = '</a.css>; rel=preload; as=style'
HINT = f'header("Link: {LINK}"); headers_send(103); '
PAGES = {
    'page.php': '<?php header("X-Foo: bar"); ' + HINT + 'echo "<p>page</p>";',
    'wait.php': '<?php header("X-Foo: bar"); ' + HINT + 'while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } http_response_code(404); echo "<p>page</p>";',
    'twice.php': '<?php ' + HINT + 'header("Link: </b.js>; rel=preload; as=script", false); headers_send(103); echo "<p>page</p>";',
    'forged.php': '<?php headers_send(102); http_response_code(103); echo "HTTP/1.1 500 Forged\\r\\nContent-Length: 6\\r\\n\\r\\nforged";',
}
RELAYS = Setup('lighttpd-hints', Lighttpd, full=True)
NEWEST = [Setup(f'{make.__name__.lower()}-newest', make, newest=True) for make in (Nginx, Apache, HAProxy, Caddy)]
# One of each that breaks, with its connection kept and not.
BREAK = [*NEWEST, *(s for s in SETUPS if s.name in ('nginx-unix', 'nginx-tcp-keep', 'apache-SetHandler-unix', 'haproxy-unix', 'caddy-unix'))]


def exchange(port, path, version='HTTP/1.1', until=None, timeout=60):
    """All bytes that come until the connection is closed, or `until` is among them."""
    with socket.create_connection(('127.0.0.1', port), timeout) as s:
        s.sendall(f'GET {path} {version}\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode())
        data = b''
        try:
            while until is None or until not in data:
                more = s.recv(65536)
                if not more:
                    break
                data += more
        except TimeoutError:
            return data + b'<timeout>'
        return (data, s.dup()) if until is not None else data


def split(data):
    """The header blocks of an answer, as lists of lines, and what is behind the last."""
    blocks = []
    while True:
        head, _, data = data.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        blocks.append(lines)
        if not re.match(r'HTTP/1\.1 1\d\d', lines[0]) or not data.startswith(b'HTTP/1.1 '):
            return blocks, data


class Hints(unittest.TestCase):
    def serve(self, setup, early_hints=None):
        server = Server([Pool(children=4, listen=setup.transport, settings=[('early_hints', early_hints)] if early_hints else [])], binary=Binary(os.environ['FTM_BINARY'])).prepare()
        for name, text in PAGES.items():
            server.script(name, text)
        server.start()
        self.addCleanup(server.stop)
        front = setup.make(setup, server.pool().address, server.docroot, free_port())
        front.__enter__()
        self.addCleanup(front.__exit__)
        poll(lambda: b'page' in exchange(front.port, '/page.php', until=b'page')[0], 15, 'the first page')
        return front

    def test_relayed_while_the_script_runs(self):
        front = self.serve(RELAYS)
        go = os.path.join(front.docroot, 'go')
        early, rest = exchange(front.port, f'/wait.php?go={go}', until=b'\r\n\r\n')
        self.assertRegex(early, rb'^HTTP/1\.1 103 ')
        self.assertIn(f'link: {LINK}'.encode(), early.lower())
        self.assertNotIn(b'foo', early.lower())
        open(go, 'w').close()
        with rest:
            data = b''
            while more := rest.recv(65536):
                data += more
        blocks, body = split(data)
        self.assertRegex(blocks[-1][0], r'^HTTP/1\.1 404 ')
        self.assertIn(b'<p>page</p>', body)

    def test_relayed_twice(self):
        blocks, body = split(exchange(self.serve(RELAYS).port, '/twice.php'))
        self.assertEqual([block[0].split()[1] for block in blocks], ['103', '103', '200'])
        self.assertIn(b'<p>page</p>', body)

    def test_relayed_over_http_2(self):
        front = self.serve(RELAYS)
        for page, status in (('page.php', '200'), ('twice.php', '200')):
            got = subprocess.run(['curl', '-sS', '--http2-prior-knowledge', '-i', '-m', '60', f'http://127.0.0.1:{front.port}/{page}'], capture_output=True, text=True)
            self.assertEqual((got.returncode, got.stderr), (0, ''))
            statuses = re.findall(r'(?m)^HTTP/2 (\d+)', got.stdout)
            self.assertEqual((statuses[-1], set(statuses[:-1])), (status, {'103'}), got.stdout)
            self.assertIn('<p>page</p>', got.stdout)

    def test_an_old_client_gets_none(self):
        answer = exchange(self.serve(RELAYS).port, '/page.php', 'HTTP/1.0')
        self.assertNotIn(b'103', answer)
        self.assertIn(b'<p>page</p>', answer)

    def test_kept_from_everybody_else(self):
        for setup in [s for s in [*SETUPS, *NEWEST] if not s.absence()]:
            with self.subTest(setup):
                front = self.serve(setup)
                for page, body in (('page.php', b'<p>page</p>'), ('twice.php', b'<p>page</p>'), ('forged.php', b'HTTP/1.1 500 Forged\r\nContent-Length: 6\r\n\r\nforged')):
                    for version in ('HTTP/1.1', 'HTTP/1.0'):
                        blocks, got = split(exchange(front.port, '/' + page, version))
                        self.assertEqual(len(blocks), 1, f'{setup} {page} {blocks}')
                        self.assertRegex(blocks[0][0], r'^HTTP/1\.\d 200 ', f'{setup} {page}')
                        self.assertIn(body, got, f'{setup} {page}')

    def test_others_break_if_told_to(self):
        """What docs/EARLY-HINTS.md says: a release that no longer breaks here may be added to those that relay."""
        for setup in [s for s in BREAK if not s.absence()]:
            with self.subTest(setup):
                server = Server([Pool(children=4, listen=setup.transport, settings=[('early_hints', 'on')])], binary=Binary(os.environ['FTM_BINARY'])).prepare()
                server.script('page.php', PAGES['page.php'])
                server.start()
                self.addCleanup(server.stop)
                with setup.make(setup, server.pool().address, server.docroot, free_port()) as front:
                    answer = exchange(front.port, '/page.php', timeout=5)
                blocks, body = split(answer)
                good = [b[0].split()[1] for b in blocks] == ['103', '200'] and b'Status:' not in answer and b'<p>page</p>' in body
                self.assertFalse(good, f'{setup} relays it: {answer!r}')

    def test_old_nginx_gets_none_over_http_but_by_order(self):
        for pool, good in (((), True), ([('early_hints', 'on')], False)):
            setup = Proxy('nginx-http-told', NginxProxy, pool=pool)
            if setup.absence():
                self.skipTest(setup.absence())
            if tuple(map(int, setup.version().split('.'))) >= (1, 29, 0):
                self.skipTest('this release has an nginx that knows 103')
            _, front = serve(self, setup, {'page.php': PAGES['page.php']})
            answer = exchange(front.port, '/page.php', timeout=30 if good else 5)
            (self.assertRegex if good else self.assertNotRegex)(answer, rb'(?m)^HTTP/1\.1 200 ', 'it relays or drops 103')
