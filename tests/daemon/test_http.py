"""http.listen: pages over HTTP/1.1, without a web server or behind nginx' proxy_pass."""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading

from ftm.case import DaemonTest, Pool, ftm_only, needs_module, sanitized
from ftm.front import Front
from ftm.server import StartError, free_port
from ftm.wire import Closed, Wire

DUMP = '<?php header("Content-Type: application/json"); ksort($_SERVER); echo json_encode($_SERVER);'
# The rest waits for a file, so that what has come before it can only have been sent early.
WAIT = 'while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } '


class HttpTest(DaemonTest):
    def http(self, directives=(), children=4, unix=False, start=True, files=None, **kwargs):
        """A server whose pool has an http.listen; self.address is that."""
        root = self.make_root()
        self.address = os.path.join(root, 'http.sock') if unix else ('127.0.0.1', free_port())
        listen = self.address if unix else '%s:%d' % self.address
        directives = {'http.listen': listen, 'http.root': os.path.join(root, 'www'), 'listen.mode': '0666', **dict(directives)}
        server = self.serve([Pool(children=children, settings=directives)], root=root, start=False, **kwargs)
        server.own_root = True
        for name, content in (files or {}).items():
            server.file(name, content)
        return server.start() if start else server

    def make_root(self):
        root = tempfile.mkdtemp(prefix=f'ftm-http-{os.getpid()}-', dir='/tmp')
        os.chmod(root, 0o755)
        return root

    def wire(self):
        wire = Wire(self.address)
        self.addCleanup(wire.socket.close)
        return wire

    def get(self, target='/', headers=(), **kwargs):
        with Wire(self.address) as wire:
            return wire.get(target, headers, **kwargs)


@ftm_only('php-fpm has no HTTP listener')
class PagesTest(HttpTest):
    def test_a_page(self):
        self.http(files={'index.php': '<?php echo "hello";'})
        reply = self.get()
        self.assertEqual((reply.version, reply.status, reply.reason, reply.body), ('HTTP/1.1', 200, 'OK', b'hello'))
        self.assertEqual(reply.header('Content-Length'), '5')
        self.assertRegex(reply.header('Date'), r'^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$')
        self.assertEqual(reply.header('Content-type'), 'text/html; charset=UTF-8')
        self.assertIsNone(reply.header('Connection'))

    def test_a_unix_socket(self):
        self.http(unix=True, files={'index.php': '<?php echo $_SERVER["REMOTE_ADDR"], $_SERVER["SERVER_ADDR"];'})
        self.assertEqual(self.get().text, 'unix:unix:' + self.address)

    def test_many_requests_on_one_connection(self):
        self.http(files={'index.php': '<?php echo $_GET["n"];'})
        wire = self.wire()
        for n in range(50):
            self.assertEqual(wire.get(f'/?n={n}').text, str(n))

    def test_pipelined_requests_are_answered_in_order(self):
        self.http(files={'index.php': '<?php usleep((int)$_GET["t"]); echo $_GET["n"];', 'a.css': 'a{}'})
        wire = self.wire()
        wire.send(b''.join(f'GET /?n={n}&t={20000 if n % 3 == 0 else 0} HTTP/1.1\r\nHost: x\r\n\r\n'.encode() for n in range(12)) +
                  b'GET /a.css HTTP/1.1\r\nHost: x\r\n\r\nGET /?n=last&t=0 HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual([wire.reply().text for _ in range(14)], [str(n) for n in range(12)] + ['a{}', 'last'])

    def test_requests_in_pieces(self):
        self.http(files={'index.php': '<?php echo $_POST["a"] ?? "none";'})
        wire = self.wire()
        for byte in b'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=b+c':
            wire.send(bytes([byte]))
        self.assertEqual(wire.reply().text, 'b c')
        self.assertEqual(wire.get().text, 'none')

    def test_forms_and_uploads(self):
        self.http(files={'index.php': '<?php echo json_encode([$_POST, array_map(fn($f) => [$f["name"], md5_file($f["tmp_name"])], $_FILES), '
                                      'strlen(file_get_contents("php://input")), $_SERVER["CONTENT_LENGTH"]]);'})
        wire = self.wire()
        reply = wire.request('POST', '/', {'Content-Type': 'application/x-www-form-urlencoded'}, b'a=1&b[]=2').reply()
        self.assertEqual(json.loads(reply.text), [{'a': '1', 'b': ['2']}, [], 9, '9'])
        body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="n.bin"\r\n\r\n' + b'z' * 100000 + b'\r\n--x--\r\n'
        reply = wire.request('POST', '/', {'Content-Type': 'multipart/form-data; boundary=x'}, body).reply()
        self.assertEqual(json.loads(reply.text)[1], {'f': ['n.bin', hashlib.md5(b'z' * 100000).hexdigest()]})
        self.assertEqual(wire.request('PUT', '/', {'Content-Type': 'text/plain'}, b'q' * 3_000_000).reply().text.split(',')[-2], '3000000')

    def test_chunked_bodies(self):
        self.http(files={'index.php': '<?php echo $_SERVER["CONTENT_LENGTH"], ":", file_get_contents("php://input");'})
        wire = self.wire()
        wire.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
        wire.send('A;x=y\r\n0123456789\r\n0\r\n\r\n')
        self.assertEqual(wire.reply().text, '13:abc0123456789')
        self.assertEqual(wire.get().text, ':')

    def test_100_continue(self):
        self.http(files={'index.php': '<?php echo strlen(file_get_contents("php://input"));'})
        wire = self.wire()
        wire.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
        self.assertEqual(wire.head().status, 100)
        self.assertEqual(wire.send('body').reply().text, '4')
        self.assertEqual(wire.send('GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n').reply().interim, [])

    def test_head(self):
        self.http(files={'index.php': '<?php header("X-A: b"); echo "body";', 'a.txt': 'text'})
        wire = self.wire()
        reply = wire.request('HEAD').reply(head=True)
        self.assertEqual((reply.status, reply.header('X-A')), (200, 'b'))
        reply = wire.request('HEAD', '/a.txt').reply(head=True)
        self.assertEqual(reply.header('Content-Length'), '4')
        self.assertEqual(wire.get().text, 'body')

    def test_old_clients(self):
        self.http(files={'index.php': '<?php if (isset($_GET["big"])) { echo str_repeat("x", 100000); } else { echo $_SERVER["SERVER_PROTOCOL"]; }'})
        wire = self.wire()
        reply = wire.request('GET', '/', version='HTTP/1.0', host=None).reply()
        self.assertEqual((reply.text, reply.header('Connection')), ('HTTP/1.0', 'close'))
        self.assertTrue(wire.is_closed())
        wire = self.wire()
        for _ in range(2):
            reply = wire.get('/', {'Connection': 'keep-alive'}, version='HTTP/1.0')
            self.assertEqual((reply.text, reply.header('Connection')), ('HTTP/1.0', 'keep-alive'))
        reply = wire.get('/?big', {'Connection': 'keep-alive'}, version='HTTP/1.0')
        self.assertIsNone(reply.header('Transfer-Encoding'))
        self.assertEqual(len(reply.body), 100000)

    def test_connection_close(self):
        self.http(files={'index.php': '<?php echo "x";', 'close.php': '<?php header("Connection: close"); echo "y";'})
        for target, headers in (('/', {'Connection': 'close'}), ('/close.php', {})):
            with self.subTest(target):
                wire = self.wire()
                self.assertEqual(wire.get(target, headers).header('Connection'), 'close')
                self.assertTrue(wire.is_closed())

    def test_long_and_flushed_answers(self):
        server = self.http(files={'index.php': '<?php echo "first"; flush(); ' + WAIT + 'echo "second";',
                                  'long.php': '<?php for ($i = 0; $i < 3000; $i++) { echo str_repeat(chr(97 + $i % 26), 1000); }'})
        go = os.path.join(server.tmp, 'go')
        wire = self.wire()
        wire.request('GET', f'/?go={go}')
        head = wire.head()
        self.assertEqual(head.header('Transfer-Encoding'), 'chunked')
        self.assertEqual((wire.line(), wire.exactly(7)), ('5', b'first\r\n'))
        open(go, 'w').close()
        self.assertEqual((wire.line(), wire.exactly(8)), ('6', b'second\r\n'))
        self.assertEqual((wire.line(), wire.line()), ('0', ''))
        reply = wire.get('/long.php')
        self.assertEqual(reply.text, ''.join(chr(97 + i % 26) * 1000 for i in range(3000)))

    def test_a_slow_reader_holds_no_context(self):
        self.http(children=1, files={'index.php': '<?php echo "quick";', 'big.php': '<?php for ($i = 0; $i < 200; $i++) { echo str_repeat("x", 100000); }'})
        slow = self.wire()
        slow.request('GET', '/big.php')
        self.assertEqual(self.get().text, 'quick')
        self.assertEqual(len(slow.reply().body), 20_000_000)
        self.assertEqual(slow.get().text, 'quick')

    def test_who_asks_on_before_reading_gets_all_answers(self):
        """Pages and files, and also who has said that nothing more will come."""
        self.http(children=1, files={'index.php': '<?php echo str_repeat("x", 20000000);', 'small.php': '<?php echo "small";', 'big.bin': 'y' * 20_000_000})
        for target in ('/', '/big.bin'):
            with self.subTest(target):
                wire = self.wire()
                wire.send(f'GET {target} HTTP/1.1\r\nHost: x\r\n\r\nGET /small.php HTTP/1.1\r\nHost: x\r\n\r\nGET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n')
                wire.socket.shutdown(socket.SHUT_WR)
                for _ in range(3):  # meanwhile that is seen
                    self.assertEqual(self.get('/small.php').text, 'small')
                self.assertEqual(len(wire.reply().body), 20_000_000)
                self.assertEqual(wire.reply().text, 'small')
                self.assertEqual(len(wire.reply().body), 20_000_000)
                self.assertTrue(wire.is_closed())

    def test_many_small_answers_wait_for_their_reader(self):
        """As many as fill the socket and all that is kept for a client, of which no context is needed for any."""
        server = self.http(files={'d/a.txt': 'a'})
        wire = self.wire()
        one = wire.send('GET /d HTTP/1.1\r\nHost: x\r\n\r\n').socket.recv(65536)
        self.assertTrue(one.endswith(b'\r\n\r\nMoved Permanently\n'), one)
        # Just not as many as would fit into 64 KiB, to be read ahead or not.
        name = 'd' * max(range(1, 200), key=lambda n: 65536 % (len(one) - 1 + n) / (len(one) - 1 + n))
        os.rename(os.path.join(server.docroot, 'd'), os.path.join(server.docroot, name))
        for _ in range(2):
            wire = self.wire()
            rest = f'GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n'.encode() * 40_000 + b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
            while rest and select.select([], [wire.socket], [], 1)[1]:  # until nobody reads on
                rest = rest[wire.socket.send(rest[:65536]):]
            sender = threading.Thread(target=wire.send, args=(rest,))
            sender.start()
            self.assertEqual(wire.until_closed().count(b'HTTP/1.1 301 '), 40_000)
            sender.join()

    def test_a_slow_reader_has_its_time_between_two_requests(self):
        self.http({'http.keepalive_timeout': '5'}, children=1, files={'index.php': '<?php echo str_repeat("x", 20000000);', 'small.php': '<?php echo "small";'})
        slow, idle = self.wire(), self.wire()
        slow.request('GET', '/')
        self.assertEqual(idle.get('/small.php').text, 'small')
        self.assertTrue(idle.is_closed())  # when as much time has passed since the page ended, too
        self.assertEqual(len(slow.reply().body), 20_000_000)
        slow.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            slow.socket.recv(1)
        slow.socket.settimeout(60)
        self.assertEqual(slow.get('/small.php').text, 'small')

    def test_an_answer_survives_what_is_sent_behind_the_last_request(self):
        self.http(files={'index.php': '<?php echo str_repeat("x", 3000000);'})
        for _ in range(5):
            wire = self.wire()
            wire.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' + 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' * 5000)
            self.assertEqual(len(wire.reply().body), 3_000_000)
            self.assertTrue(wire.is_closed())

    def test_the_length_a_script_announces(self):
        self.http(files={'more.php': '<?php header("Content-Length: 3"); echo "abcdef";', 'less.php': '<?php header("Content-Length: 9"); echo "abc";'})
        wire = self.wire()
        self.assertEqual(wire.get('/more.php').text, 'abc')
        wire.request('GET', '/less.php')
        self.assertEqual(wire.head().header('Content-Length'), '9')
        self.assertEqual(wire.until_closed(), b'abc')

    def test_statuses_without_a_body(self):
        self.http(files={'index.php': '<?php http_response_code((int)$_GET["s"]); echo "body";'})
        wire = self.wire()
        for status in (204, 304):
            reply = wire.get(f'/?s={status}')
            self.assertEqual((reply.status, reply.header('Content-Length'), reply.header('Transfer-Encoding')), (status, None, None))
        self.assertEqual(wire.get('/?s=404').text, 'body')

    def test_a_script_cannot_speak_for_the_connection(self):
        self.http(files={'index.php': '<?php header("Transfer-Encoding: chunked"); header("Keep-Alive: timeout=9"); header("Upgrade: x"); '
                                      'header("X-Ok: 1"); echo "0\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n\\r\\n";'})
        wire = self.wire()
        reply = wire.get()
        self.assertEqual(reply.text, '0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')
        self.assertEqual([reply.header(n) for n in ('Transfer-Encoding', 'Keep-Alive', 'Upgrade', 'X-Ok')], [None, None, None, '1'])
        self.assertEqual(wire.get().status, 200)

    def test_finish_request_frees_the_connection(self):
        server = self.http(files={'index.php': '<?php echo "done"; fastcgi_finish_request(); ' + WAIT + 'touch($_GET["go"] . ".after");',
                                  'other.php': '<?php echo "other";'})
        go = os.path.join(server.tmp, 'go')
        wire = self.wire()
        self.assertEqual(wire.get(f'/?go={go}').text, 'done')
        self.assertEqual(wire.get('/other.php').text, 'other')
        open(go, 'w').close()
        self.poll(lambda: os.path.exists(go + '.after'), 30)

    def test_errors_of_scripts(self):
        server = self.http(files={'throw.php': '<?php throw new Exception("oops");', 'exit.php': '<?php echo "a"; exit(3);'})
        self.assertEqual(self.get('/throw.php').status, 500)
        self.poll(lambda: 'oops' in server.log_text(), 30)
        self.assertEqual(self.get('/exit.php').text, 'a')

    def test_messages_are_logged_once(self):
        """There is no front that would log the STDERR stream: a message is in our log, with catch_workers_output and without."""
        for caught in ('no', 'yes'):
            server = self.http({'catch_workers_output': caught}, files={'index.php': '<?php error_log("one"); error_log("two"); echo "x";'})
            self.assertEqual(self.get().text, 'x')
            server.wait_for('PHP message: two')
            text = server.log_text()
            self.assertEqual([text.count(word) for word in ('message: one', 'message: two', '] ; ')], [1, 1, 0], text)
            server.stop()

    def test_early_hints(self):
        server = self.http(files={'index.php': '<?php header("Link: </a.css>; rel=preload; as=style"); header("X-A: b"); echo headers_send(103) ? "" : "not "; '
                                               + WAIT + 'echo "sent";'})
        go = os.path.join(server.tmp, 'go')
        wire = self.wire()
        wire.request('GET', f'/?go={go}')
        interim = wire.head()
        self.assertEqual((interim.status, interim.reason, interim.headers), (103, 'Early Hints', [('link', '</a.css>; rel=preload; as=style')]))
        open(go, 'w').close()
        reply = wire.reply()
        self.assertEqual((reply.status, reply.text, reply.header('Link'), reply.header('X-A')), (200, 'sent', '</a.css>; rel=preload; as=style', 'b'))
        reply = self.get(f'/?go={go}', version='HTTP/1.0')
        self.assertEqual((reply.interim, reply.text), ([], 'not sent'))

    def test_early_hints_behind_a_proxy_are_for_the_administrator_to_allow(self):
        """nginx before 1.29 would take 103 for the answer."""
        files = {'index.php': '<?php header("Link: </a.css>; rel=preload"); echo headers_send(103) ? "sent" : "kept";'}
        for allowed, settings in ((False, {}), (True, {'early_hints': 'on'})):
            self.http(settings, files=files)
            for field in ('X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a', 'X-Real-IP: 192.0.2.1', 'Forwarded: for=192.0.2.1', 'Via: 1.1 a'):
                name, _, value = field.partition(': ')
                reply = self.get(headers={name: value})
                self.assertEqual((reply.status, len(reply.interim), reply.text), (200, int(allowed), 'sent' if allowed else 'kept'), field)

    def test_early_hints_off(self):
        self.http({'early_hints': 'off'}, files={'index.php': '<?php echo function_exists("headers_send") ? "there" : "none";'})
        self.assertEqual(self.get().text, 'none')

    def test_workers(self):
        server = self.http(start=False, files={'index.php': '<?php $n = 0; while (frankenphp_handle_request(function () use (&$n) { '
                                               'header("Link: </a>; rel=preload"); headers_send(103); echo ++$n, $_SERVER["REQUEST_URI"], $_POST["a"] ?? ""; })) {}',
                                               'classic.php': '<?php echo "classic";', 'a.css': 'a{}'})
        pool = server.pools[0]
        pool.settings += [('worker.script', os.path.join(server.docroot, 'index.php')), ('worker.num', '1')]
        server.write_conf()
        server.start()
        wire = self.wire()
        self.assertEqual(wire.get('/some/route?x').text, '1/some/route?x')
        reply = wire.request('POST', '/', {'Content-Type': 'application/x-www-form-urlencoded'}, b'a=b').reply()
        self.assertEqual((reply.text, [s for s, _ in reply.interim]), ('2/b', [103]))
        self.assertEqual(wire.get('/classic.php').text, 'classic')
        self.assertEqual(wire.get('/a.css').text, 'a{}')
        self.assertEqual(wire.get('/').text, '3/')

    def test_fastcgi_and_http_beside_each_other(self):
        server = self.http(files={'index.php': '<?php echo $_SERVER["SERVER_PROTOCOL"] ?? "fastcgi";'})
        self.assertEqual(self.get().text, 'HTTP/1.1')
        self.assertEqual(server.get(os.path.join(server.docroot, 'index.php'), SERVER_PROTOCOL='FCGI').text, 'FCGI')

    def test_ping_status_and_access_log(self):
        server = self.http(start=False, children=2)
        log = os.path.join(server.root, 'access.log')
        server.pools[0].settings += [('ping.path', '/ping'), ('pm.status_path', '/status'), ('access.log', log), ('access.format', '%R %m %r%Q%q %s')]
        server.write_conf()
        server.file('index.php', '<?php http_response_code(201);')
        server.start()
        wire = self.wire()
        self.assertEqual(wire.get('/ping').text, 'pong')
        status = json.loads(wire.get('/status?json').text)
        self.assertEqual((status['pool'], status['accepted conn']), ('www', 2))
        self.assertEqual(wire.get('/page?a=b').status, 201)
        self.assertEqual(wire.request('HEAD', '/ping').reply(head=True).status, 200)
        def lines():
            with open(log) as f:
                return [line[:-1] for line in f if line.endswith('\n')]
        self.poll(lambda: len(lines()) == 4, 30, lines)
        self.assertEqual(lines(), ['127.0.0.1 GET /ping 200', '127.0.0.1 GET /status?json 200', '127.0.0.1 GET /index.php?a=b 201', '127.0.0.1 HEAD /ping 200'])

    def test_a_path_that_is_refused_is_not_logged_as_the_one_before(self):
        server = self.http(start=False, files={'page.php': '<?php echo "page";'})
        log = os.path.join(server.root, 'access.log')
        server.pools[0].settings += [('access.log', log), ('access.format', '%m %r %s %f')]
        server.write_conf()
        server.start()
        wire = self.wire()
        self.assertEqual(wire.get('/page.php').text, 'page')
        self.assertEqual(wire.get('/%00').status, 400)
        def lines():
            with open(log) as f:
                return [line[:-1] for line in f if line.endswith('\n')]
        self.poll(lambda: len(lines()) == 2, 30, lines)
        self.assertEqual(lines()[1], 'GET  400 -')

    def test_status_while_every_context_is_busy(self):
        server = self.http({'pm.status_path': '/status'}, children=1, files={'index.php': '<?php ' + WAIT + 'echo "done";'})
        go = os.path.join(server.tmp, 'go')
        busy = self.wire()
        busy.request('GET', f'/?go={go}')
        def running():
            return json.loads(self.get('/status?json&full').text)['processes'][0]['request uri']
        self.poll(lambda: running().startswith('/index.php'), 30)
        open(go, 'w').close()
        self.assertEqual(busy.reply().text, 'done')


@ftm_only('php-fpm has no HTTP listener')
class RefusalsTest(HttpTest):
    def test_refused_requests(self):
        self.http(files={'index.php': '<?php echo "page";'})
        post = 'POST / HTTP/1.1\r\nHost: x\r\n'
        for request, status in (('GET / HTTP/1.1\r\n\r\n', 400), ('GET / HTTP/1.1\nHost: x\n\n', 400), ('nonsense\r\n\r\n', 400),
                                (post + 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n', 400),
                                (post + 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello', 400),
                                (post + 'Transfer-Encoding: gzip\r\n\r\n', 501), (post + 'Transfer-Encoding: chunked\r\n\r\nq\r\n', 400),
                                ('GET /' + 'a' * 20000 + ' HTTP/1.1\r\nHost: x\r\n\r\n', 414),
                                ('GET / HTTP/1.1\r\nHost: x\r\nA: ' + 'a' * 70000 + '\r\n\r\n', 431),
                                ('GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n', 400), ('GET /../x HTTP/1.1\r\nHost: x\r\n\r\n', 400),
                                (post + 'Expect: more\r\nContent-Length: 1\r\n\r\n', 417), ('TRACE / HTTP/1.1\r\nHost: x\r\n\r\n', 405)):
            with self.subTest(request[:80]):
                wire = self.wire()
                reply = wire.send(request).reply()
                self.assertEqual((reply.status, reply.header('Connection')), (status, 'close'))
                self.assertTrue(wire.is_closed())

    def test_a_body_that_is_too_large(self):
        self.http({'http.max_body': '1000'}, files={'index.php': '<?php echo strlen(file_get_contents("php://input"));'})
        wire = self.wire()
        self.assertEqual(wire.request('POST', body=b'x' * 1000).reply().text, '1000')
        # A client that sends on regardless gets its answer nevertheless.
        self.assertEqual(wire.request('POST', body=b'x' * 200_000).reply().status, 413)
        wire = self.wire()
        wire.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n')
        reply = wire.reply()
        self.assertEqual((reply.interim, reply.status), ([], 413))
        wire = self.wire()
        wire.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' + '200\r\n' + 'x' * 512 + '\r\n200\r\n' + 'x' * 512)
        self.assertEqual(wire.reply().status, 413)

    def test_a_form_beyond_post_max_size_is_php_s_to_refuse(self):
        self.http(ini={'post_max_size': '1000'}, files={'index.php': '<?php echo count($_POST), $_SERVER["CONTENT_LENGTH"];'})
        reply = self.wire().request('POST', '/', {'Content-Type': 'application/x-www-form-urlencoded'}, b'a=' + b'x' * 2000).reply()
        self.assertEqual(reply.text, '02002')

    def test_slow_clients(self):
        self.http({'http.request_timeout': '2', 'http.keepalive_timeout': '1'}, children=1, files={'index.php': '<?php echo "page";'})

        def answer(data):
            """To a client that stops there: a status, or None. One that was held up itself, before it had sent that, tries again."""
            for _ in range(10):
                with Wire(self.address) as wire:
                    try:
                        wire.send(data)
                        reply = wire.reply()
                        self.assertTrue(wire.is_closed())
                        return reply.status
                    except (Closed, ConnectionError) as closed:
                        if not data:
                            return None
                        last = closed
            raise last
        self.assertIsNone(answer(''))
        self.assertEqual(answer('GET / HTTP/1.1\r\nHos'), 408)
        self.assertEqual(answer('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'), 408)
        self.assertEqual(answer('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 200)  # and after a second its connection ends

    def test_slow_clients_hold_no_context(self):
        self.http(children=1, files={'index.php': '<?php echo "page";'})
        for data in ('', 'GET / HTTP/1.1\r\nHos', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'):
            self.wire().send(data)
        self.assertEqual(self.get().text, 'page')

    @needs_module('ffi')
    def test_a_crash(self):
        if sanitized():
            self.skipTest('the sanitizer ends the process')
        self.http(modules=['ffi'], ini={'ffi.enable': '1'},
                  files={'index.php': '<?php echo "page";', 'crash.php': '<?php FFI::memset(FFI::cast("char *", 0), 0, 1);'})
        reply = self.get('/crash.php')
        self.assertEqual((reply.status, reply.header('Connection')), (500, 'close'))
        self.assertEqual(self.get().text, 'page')


@ftm_only('php-fpm has no HTTP listener')
class FilesTest(HttpTest):
    FILES = {'index.php': '<?php echo json_encode(["front", $_SERVER["SCRIPT_NAME"], $_SERVER["PATH_INFO"] ?? null, $_SERVER["PHP_SELF"], $_SERVER["REQUEST_URI"]]);',
             'page.php': '<?php echo json_encode(["page", $_SERVER["SCRIPT_NAME"], $_SERVER["PATH_INFO"] ?? null, $_SERVER["PHP_SELF"], $_SERVER["REQUEST_URI"]]);',
             'sub/index.php': '<?php echo "sub";', 'a.css': 'a{}', 'b c.txt': 'blank', 'UPPER.PHP': '<?php echo "secret";', 'page.php~': 'secret', 'page.php.bak': 'secret',
             'lib.inc': 'secret', 'old.phtml': 'secret', '.env': 'secret', '.git/config': 'secret', 'sub/.htaccess': 'secret', '.well-known/x': 'known',
             'phpinfo.css': 'fine', 'x.php7.txt': 'secret', 'data/file.bin': b'\0\1\2'}

    def test_front_controller(self):
        self.http(files=self.FILES)
        wire = self.wire()
        for target, expected in (('/', ['front', '/index.php', None, '/index.php', '/']),
                                 ('/some/route?a=b', ['front', '/index.php', None, '/index.php', '/some/route?a=b']),
                                 ('/page.php', ['page', '/page.php', None, '/page.php', '/page.php']),
                                 ('/page.php/x/y?z', ['page', '/page.php', '/x/y', '/page.php/x/y', '/page.php/x/y?z']),
                                 ('/index.php/x', ['front', '/index.php', '/x', '/index.php/x', '/index.php/x']),
                                 ('/%70age.php', ['page', '/page.php', None, '/page.php', '/%70age.php']),
                                 ('/missing.php', ['front', '/index.php', None, '/index.php', '/missing.php'])):
            with self.subTest(target):
                self.assertEqual(json.loads(wire.get(target).text), expected)
        self.assertEqual(wire.get('/sub/').text, 'sub')
        reply = wire.get('/sub?q=%20')
        self.assertEqual((reply.status, reply.header('Location')), (301, '/sub/?q=%20'))
        self.assertEqual(wire.get('//sub').header('Location'), '/sub/')

    def test_what_is_never_shown(self):
        server = self.http(files=self.FILES)
        os.symlink('/etc/passwd', os.path.join(server.docroot, 'passwd.php.txt'))
        os.mkfifo(os.path.join(server.docroot, 'pipe.txt'))
        wire = self.wire()
        for target in ('/.env', '/.git/config', '/sub/.htaccess', '/%2eenv', '/page.php~', '/page.php.bak', '/lib.inc', '/old.phtml', '/UPPER.PHP', '/x.php7.txt',
                       '/passwd.php.txt', '/a/../.env', '/index.php/.env', '/pipe.txt', '/page.php%7e'):
            with self.subTest(target):
                reply = wire.get(target)
                self.assertNotIn('secret', reply.text)
                self.assertNotIn('<?php', reply.text)
                self.assertNotIn('root:', reply.text)

    def test_static_files(self):
        server = self.http(files=self.FILES)
        wire = self.wire()
        reply = wire.get('/a.css')
        self.assertEqual((reply.status, reply.text, reply.header('Content-Type')), (200, 'a{}', 'text/css'))
        again = wire.get('/a.css', {'If-Modified-Since': reply.header('Last-Modified')})
        self.assertEqual((again.status, again.header('Last-Modified')), (304, reply.header('Last-Modified')))
        os.utime(os.path.join(server.docroot, 'a.css'), (1, 1))
        self.assertEqual(wire.get('/a.css', {'If-Modified-Since': reply.header('Last-Modified')}).status, 200)
        self.assertEqual(wire.get('/b%20c.txt').text, 'blank')
        self.assertEqual(wire.get('/data/file.bin').header('Content-Type'), 'application/octet-stream')
        self.assertEqual(wire.get('/.well-known/x').text, 'known')
        self.assertEqual(wire.get('/phpinfo.css').text, 'fine')
        reply = wire.request('POST', '/a.css', body=b'x').reply()
        self.assertEqual((reply.status, reply.header('Allow')), (405, 'GET, HEAD'))

    def test_large_files_and_symbolic_links(self):
        content = os.urandom(5_000_000)
        server = self.http(children=1, files={'index.php': '<?php echo "page";', 'big.bin': content})
        os.makedirs(os.path.join(server.root, 'storage'))
        with open(os.path.join(server.root, 'storage', 'pic.png'), 'w') as f:
            f.write('picture')
        os.chmod(os.path.join(server.root, 'storage'), 0o755)
        os.symlink('../storage', os.path.join(server.docroot, 'storage'))
        wire = self.wire()
        wire.request('GET', '/big.bin')
        self.assertEqual(self.get().text, 'page')
        wire.request('GET', '/big.bin').request('GET', '/storage/pic.png')
        self.assertEqual(wire.reply().body, content)
        self.assertEqual(wire.reply().body, content)
        reply = wire.reply()
        self.assertEqual((reply.text, reply.header('Content-Type')), ('picture', 'image/png'))

    def test_without_a_front_controller(self):
        self.http({'http.index': 'start.php index.html'}, files={'index.php': '<?php echo "no";', 'doc/index.html': 'doc', 'a.txt': 'a'})
        wire = self.wire()
        self.assertEqual(wire.get('/doc/').text, 'doc')
        self.assertEqual(wire.get('/a.txt').text, 'a')
        self.assertEqual((wire.get('/').status, wire.get('/nothing').status), (404, 404))

    def test_an_index_that_is_no_script_here_is_not_shown(self):
        self.http({'http.index': 'index.phtml index.html'}, files={'index.phtml': '<?php echo "secret";', 'doc/index.phtml': 'secret', 'doc/index.html': 'doc'})
        self.assertEqual(self.get().status, 404)
        self.assertEqual(self.get('/doc/').text, 'doc')


@ftm_only('php-fpm has no HTTP listener')
class ProxiesTest(HttpTest):
    NAMES = ('REMOTE_ADDR', 'REMOTE_PORT', 'SERVER_NAME', 'SERVER_PORT', 'HTTPS', 'REQUEST_SCHEME', 'HTTP_HOST')
    SAID = {'X-Forwarded-For': '6.6.6.6, 192.0.2.9', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'shop.example'}

    def facts(self, headers=(), before=b''):
        with Wire(self.address) as wire:
            wire.send(before)
            server = json.loads(wire.get('/', headers, host='localhost:1').text)
        return [server.get(name) for name in self.NAMES]

    def test_forwarded_headers(self):
        self.http({'http.trusted_proxies': '127.0.0.0/8'}, files={'index.php': DUMP})
        self.assertEqual(self.facts(self.SAID), ['192.0.2.9', '', 'shop.example', '443', 'on', 'https', 'shop.example'])
        self.assertEqual(self.facts({'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '8443'})[2:], ['localhost', '8443', 'on', 'https', 'localhost:1'])
        plain = self.facts()
        self.assertEqual((plain[0], plain[2], plain[4]), ('127.0.0.1', 'localhost', None))

    def test_are_not_believed_from_others(self):
        self.http({'http.trusted_proxies': '192.0.2.0/24'}, files={'index.php': DUMP})
        facts = self.facts(self.SAID)
        self.assertEqual((facts[0], facts[2], facts[3:]), ('127.0.0.1', 'localhost', [str(self.address[1]), None, 'http', 'localhost:1']))
        reply = self.wire().send('PROXY TCP4 192.0.2.9 192.0.2.1 5 443\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n').reply()
        self.assertEqual(reply.status, 400)

    def test_unix_sockets(self):
        self.http({'http.trusted_proxies': 'unix:'}, unix=True, files={'index.php': DUMP})
        self.assertEqual(self.facts(self.SAID)[0], '192.0.2.9')

    def test_the_proxy_protocol(self):
        self.http({'http.trusted_proxies': '127.0.0.1'}, files={'index.php': DUMP})
        text = b'PROXY TCP4 192.0.2.9 192.0.2.1 56324 443\r\n'
        binary = b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + socket.inet_aton('192.0.2.9') + socket.inet_aton('192.0.2.1') + b'\xdc\x04\x01\xbb'
        for header in (text, binary):
            with self.subTest(header[:8]):
                self.assertEqual(self.facts(before=header)[:4], ['192.0.2.9', '56324', 'localhost', '443'])
                # Whose headers pass through such a proxy as they are.
                self.assertEqual(self.facts(self.SAID, before=header)[0], '192.0.2.9')
                self.assertEqual(self.facts(self.SAID, before=header)[4], None)
        wire = self.wire()
        for byte in text:
            wire.send(bytes([byte]))
        for _ in range(3):
            self.assertEqual(json.loads(wire.get().text)['REMOTE_ADDR'], '192.0.2.9')
        self.assertTrue(self.wire().send(b'PROXY nonsense\r\n').is_closed())

    def test_server_variables_are_nginx_fastcgi_params(self):
        server = self.http(files={'index.php': DUMP})
        headers = {'Accept': 'a/b', 'X-Some-Header': 'v w', 'Cookie': 'a=b; c=d', 'Content-Type': 'text/x-y', 'Referer': 'http://r/', 'under_score': 'dropped'}
        with Front(server.pools[0].address, server.docroot) as front:
            for method, target, body in (('GET', '/some/route?a=b%20c&d', None), ('POST', '/?x', b'body'), ('GET', '/', None)):
                with self.subTest(method + target):
                    host = f'localhost:{front.port}'
                    with Wire(('127.0.0.1', front.port)) as wire:
                        behind = json.loads(wire.request(method, target, headers, body, host=host).reply().text)
                    ours = json.loads(self.wire().request(method, target, headers, body, host=host).reply().text)
                    for name in ('REQUEST_TIME', 'REQUEST_TIME_FLOAT', 'REMOTE_PORT', 'SERVER_PORT', 'SERVER_SOFTWARE'):
                        self.assertIn(name, behind)
                        self.assertIn(name, ours)
                        del behind[name], ours[name]
                    self.assertEqual(ours, behind)

    def test_behind_nginx(self):
        server = self.http({'http.trusted_proxies': '127.0.0.1'}, files={'index.php': '<?php echo json_encode([$_SERVER["REMOTE_ADDR"], $_SERVER["HTTPS"] ?? null, $_SERVER["HTTP_HOST"], strlen(file_get_contents("php://input")), '
                                               '$_SERVER["HTTP_CONNECTION"] ?? null]);', 'a.css': 'a{}', 'long.php': '<?php for ($i = 0; $i < 300; $i++) { echo str_repeat("x", 10000); }'})
        location = ('location ^~ /app/ { rewrite ^/app(/.*)$ $1 break; proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; '
                    'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https; }')
        front = Front(server.pools[0].address, server.docroot, locations=location)
        conf = front.conf
        front.conf = lambda: conf().replace('upstream php', 'upstream app { server %s:%d; keepalive 4; }\n  upstream php' % self.address)
        with front:
            browser = front.browser(keep=True)
            for n in range(20):
                answer = browser.request('POST', '/app/route', b'x' * (n * 1000), {'X-Forwarded-For': '192.0.2.7'})
                self.assertEqual(json.loads(answer.text), ['192.0.2.7', 'on', browser.name, n * 1000, None])
            self.assertEqual(browser.get('/app/a.css').text, 'a{}')
            self.assertEqual(len(browser.get('/app/long.php').body), 3_000_000)


@ftm_only('php-fpm has no HTTP listener')
class ReloadTest(HttpTest):
    def reload(self, server):
        mark = server.mark()
        server.kill(signal.SIGUSR2)
        server.wait_for('ready to handle connections', since=mark, timeout=60)

    def test_connections_survive_a_reload(self):
        server = self.http(files={'index.php': '<?php echo getmypid(), ":", $_POST["a"] ?? "", $_SERVER["REMOTE_ADDR"];'})
        form = {'Content-Type': 'application/x-www-form-urlencoded'}
        kept, head, body, chunked = (self.wire() for _ in range(4))
        before = kept.get().text
        head.send('GET / HTTP/1.1\r\nHo')
        body.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=')
        chunked.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na=')
        self.assertEqual(self.get().status, 200)
        self.reload(server)
        self.assertNotEqual(kept.get().text.split(':')[0], before.split(':')[0])
        self.assertEqual(kept.request('POST', '/', form, b'a=z').reply().text.split(':')[1], 'z127.0.0.1')
        self.assertEqual(head.send('st: x\r\n\r\n').reply().text.split(':')[1], '127.0.0.1')
        self.assertEqual(body.send('xyz').reply().text.split(':')[1], 'xyz127.0.0.1')
        self.assertEqual(chunked.send('bc\r\n0\r\n\r\n').reply().text.split(':')[1], 'bc127.0.0.1')

    def test_a_running_request_survives_it(self):
        server = self.http(files={'index.php': '<?php echo "a"; flush(); ' + WAIT + 'echo "b";', 'quick.php': '<?php echo "quick";'})
        go = os.path.join(server.tmp, 'go')
        wire = self.wire()
        wire.request('GET', f'/?go={go}')
        self.assertEqual(wire.head().status, 200)
        wire.send('GET /quick.php HTTP/1.1\r\nHost: x\r\n\r\n')
        self.reload(server)
        open(go, 'w').close()
        self.assertEqual([wire.line(), wire.line(), wire.line(), wire.line(), wire.line(), wire.line()], ['1', 'a', '1', 'b', '0', ''])
        self.assertEqual(wire.reply().text, 'quick')
        self.assertEqual(wire.get('/quick.php').text, 'quick')

    def test_requests_during_reloads(self):
        server = self.http(files={'index.php': '<?php echo "page", $_POST["a"] ?? "";'})
        done = threading.Event()
        wrong = []
        count = [0]

        def work(kept):
            try:
                wire = Wire(self.address)
                while not done.is_set():
                    reply = wire.request('POST', '/', {'Content-Type': 'application/x-www-form-urlencoded'}, b'a=b').reply()
                    if (reply.status, reply.text) != (200, 'pageb'):
                        wrong.append(repr(reply))
                    count[0] += 1
                    if not kept:
                        wire.socket.close()
                        wire = Wire(self.address)
                wire.socket.close()
            except BaseException as error:
                wrong.append(repr(error))
        threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                seen = count[0]
                self.poll(lambda: count[0] > seen + 50 or wrong, 60)
                self.reload(server)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def test_a_stop_ends_kept_connections(self):
        server = self.http(settings={'process_control_timeout': '30s'}, files={'index.php': '<?php touch("$_GET[go].runs"); ' + WAIT + 'echo "x";', 'quick.php': '<?php echo "quick";'})
        go = os.path.join(server.tmp, 'go')
        idle, busy = self.wire(), self.wire()
        self.assertEqual(idle.get('/quick.php').text, 'quick')
        busy.request('GET', f'/?go={go}')
        self.poll(lambda: os.path.exists(go + '.runs'))
        server.kill(signal.SIGQUIT)
        self.assertTrue(idle.is_closed())
        open(go, 'w').close()
        reply = busy.reply()
        self.assertEqual((reply.text, reply.header('Connection')), ('x', 'close'))
        self.assertTrue(busy.is_closed())

    def test_a_listener_that_goes_and_comes(self):
        server = self.http(files={'index.php': '<?php echo "page";'})
        kept = self.wire()
        self.assertEqual(kept.get().text, 'page')
        settings = server.pools[0].settings
        server.pools[0].settings = [(k, v) for k, v in settings if k != 'http.listen']
        server.write_conf()
        self.reload(server)
        self.assertTrue(kept.is_closed())

        def refused():
            try:
                Wire(self.address).socket.close()
                return False
            except ConnectionRefusedError:
                return True
        self.poll(refused)
        server.pools[0].settings = settings
        server.write_conf()
        self.reload(server)
        self.assertEqual(self.get().text, 'page')

    def test_ondemand(self):
        server = self.http({'pm': 'ondemand', 'pm.process_idle_timeout': '1s'}, files={'index.php': '<?php echo "page";'})
        self.assertEqual(self.get().text, 'page')
        self.poll(lambda: not server.workers(), 60)
        self.assertEqual(self.get().text, 'page')


@ftm_only('php-fpm has no HTTP listener')
class ConfigurationTest(HttpTest):
    def refused(self, settings, **kwargs):
        server = self.http(settings, start=False, **kwargs)
        with self.assertRaises(StartError) as caught:
            server.start()
        return caught.exception.output

    def test_what_is_wrong_is_said(self):
        for settings, text in (({'http.root': None}, "[pool www] 'http.root' must be specified for use with 'http.listen'"),
                               ({'http.root': '/nonexistent'}, "[pool www] the http.root path '/nonexistent' does not exist or is not a directory"),
                               ({'http.trusted_proxies': '127.0.0.1, 300.1.1.1'}, "[pool www] Wrong IP address '300.1.1.1' in http.trusted_proxies"),
                               ({'http.index': 'a/b.php'}, "[pool www] the http.index 'a/b.php' must not contain a '/'"),
                               ({'http.request_timeout': '-5'}, '[pool www] http.request_timeout(-5) must not be negative'),
                               ({'http.keepalive_timeout': '-1'}, '[pool www] http.keepalive_timeout(-1) must not be negative'),
                               ({'http.listen': '127.0.0.1:0'}, 'http.listen: ')):
            with self.subTest(text):
                self.assertIn(text, self.refused(settings))

    def test_an_address_that_is_taken(self):
        server = self.http(start=False)
        pool = server.pools[0]
        pool.settings = [(k, pool.listen if k == 'http.listen' else v) for k, v in pool.settings]
        server.write_conf()
        with self.assertRaises(StartError) as caught:
            server.start()
        self.assertIn("unable to set listen address as it's already used in another pool 'www'", caught.exception.output)

    def test_no_notice_about_them(self):
        server = self.http({'http.index': 'index.php', 'http.trusted_proxies': 'unix:'})
        self.assertNotIn('http.', server.log_text())
        out = subprocess.run([server.binary.path, '-n', '-tt', '-y', server.conf], capture_output=True, text=True, timeout=60)
        self.assertIn('http.trusted_proxies = unix:', out.stdout + out.stderr)
