"""Answers that take their time: flush() reaches the client at once, slow readers pin neither contexts nor memory."""

import os
import socket
import tempfile
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only
from ftm.front import Front

# Each step waits for a file, so that what a client has read before can only have been sent by then.
EVENTS = '''<?php
header("Content-Type: text/event-stream"); header("X-Accel-Buffering: no");
%s
for ($i = 0; $i < 5; $i++) {
    echo "data: event $i\\n\\n";
    %s
    while (!file_exists("$_GET[go].$i")) { usleep(1000); clearstatcache(); }
}
echo "data: last\\n\\n";
'''
FLUSHES = {'flush': ('', 'flush();'), 'ob_flush': ('ob_start();', 'ob_flush(); flush();'), 'ob_end_flush': ('', 'if ($i == 0) { ob_start(); echo ": first\\n\\n"; ob_end_flush(); } flush();'),
           'implicit_flush': ('ob_implicit_flush(true);', '')}


class Events(DaemonTest):
    def test_flush_reaches_the_client_at_once(self):
        for listen in ('unix', 'tcp'):
            server = self.serve([Pool(listen=listen)])
            for name, (before, each) in FLUSHES.items():
                for keep in (False, True):
                    with self.subTest(listen=listen, way=name, keep=keep):
                        go = os.path.join(server.tmp, f'{name}{keep}')
                        script = server.script(f'{name}.php', EVENTS % (before, each))
                        with server.connect() as connection:
                            connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go), keep=keep)
                            raw = b''
                            for i in range(5):
                                while b'event %d\n\n' % i not in raw:
                                    raw += connection.read_record().content
                                self.assertNotIn(b'event %d' % (i + 1), raw)
                                open(f'{go}.{i}', 'w').close()
                            self.assertIn(b'data: last\n\n', raw + connection.read_response().raw)

    def test_header_block_comes_whole_with_the_first_event(self):
        server = self.serve()
        go = os.path.join(server.tmp, 'go')
        script = server.script('events.php', EVENTS % ('', 'flush();'))
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go))
            record = connection.read_record()
            self.assertIn(b'\r\n\r\ndata: event 0\n\n', record.content)
            for i in range(5):
                open(f'{go}.{i}', 'w').close()
            connection.read_response()

    def test_headers_alone_can_be_flushed(self):
        server = self.serve()
        go = os.path.join(server.tmp, 'go')
        script = server.script('headers.php', '<?php header("X-Early: yes"); flush(); while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } echo "body";')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go))
            record = connection.read_record()
            self.assertIn(b'X-Early: yes\r\n', record.content)
            self.assertTrue(record.content.endswith(b'\r\n\r\n'))
            open(go, 'w').close()
            self.assertEqual(connection.read_response().raw, b'body')


class Nginx(DaemonTest):
    def front(self, server, keep, directives=''):
        front = Front(server.pool().address, server.docroot, keep=keep, directives=directives)
        front.__enter__()
        self.addCleanup(front.__exit__)
        return front

    def test_events_reach_the_browser_while_the_script_runs(self):
        server = self.serve()
        server.script('events.php', EVENTS % ('', 'flush();'))
        for keep in (False, True):
            with self.subTest(keep=keep):
                front = self.front(server, keep)
                go = os.path.join(server.tmp, f'go{keep}')
                with socket.create_connection(('127.0.0.1', front.port), fcgi.TIMEOUT * proc.time_scale()) as browser:
                    browser.sendall(f'GET /events.php?go={go} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode())
                    seen = b''
                    for i in range(5):
                        while b'event %d\n\n' % i not in seen:
                            part = browser.recv(65536)
                            self.assertTrue(part, seen)
                            seen += part
                        open(f'{go}.{i}', 'w').close()
                    while part := browser.recv(65536):
                        seen += part
                    self.assertIn(b'data: last\n\n', seen)
                    self.assertNotIn(b'x-accel', seen.lower())

    def test_files_that_nginx_sends_for_the_script(self):
        server = self.serve()
        content = os.urandom(300000)
        server.file('files/secret.bin', content)
        server.script('send.php', '<?php header("X-Accel-Redirect: /internal/secret.bin"); header("Content-Type: application/x-secret"); echo "not this";')
        server.script('sendfile.php', '<?php header("X-Sendfile: /srv/secret.bin"); echo "passed on";')
        for keep in (False, True):
            front = self.front(server, keep, f'location /internal/ {{ internal; alias {server.docroot}/files/; }}')
            browser = front.browser(keep=True)
            for _ in range(3):
                answer = browser.get('/send.php')
                self.assertEqual((answer.status, answer.header('Content-Type')), (200, 'application/x-secret'))
                self.assertEqual(answer.body, content)
                answer = browser.get('/sendfile.php')
                self.assertEqual((answer.header('X-Sendfile'), answer.text), ('/srv/secret.bin', 'passed on'))
            browser.close()


@ftm_only('php-fpm blocks in write')
class SlowReaders(DaemonTest):
    FLOOD = '<?php $part = str_repeat("x", 65536); for ($i = 1; $i <= $_GET["n"]; $i++) { echo $part; file_put_contents("$_GET[to].part", $i); rename("$_GET[to].part", $_GET["to"]); }'

    def start(self, settings=(), **kwargs):
        self.server = self.serve([Pool(children=2, settings=dict(settings))], **kwargs)
        self.script = self.server.script('flood.php', self.FLOOD)
        self.progress = os.path.join(self.server.tmp, 'progress')

    def ask(self, parts):
        connection = self.server.connect(timeout=60)
        self.addCleanup(connection.close)
        connection.send_request(fcgi.script_params(self.script, QUERY_STRING=f'n={parts}&to={self.progress}'), keep=True)
        return connection

    def written(self):
        try:
            with open(self.progress) as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def stands(self):
        """How far the script is once it does not go on."""
        def same():
            before = self.written()
            time.sleep(0.4)
            return before == self.written() and before
        return self.poll(same, 30)

    def spooled(self):
        total = 0
        for pid in self.server.workers():
            for number, what in proc.descriptors(pid).items():
                if 'deleted' in what and 'memfd' not in what:
                    try:
                        total += os.stat(f'/proc/{pid}/fd/{number}').st_blocks * 512
                    except FileNotFoundError:
                        pass
        return total

    def test_script_ends_before_its_reader(self):
        """64 MiB: a MiB stays in memory, the rest goes to a file in the pool's temporary directory, which goes when it is sent."""
        self.start()
        connection = self.ask(1024)
        self.poll(lambda: self.written() == 1024, 30)
        hello = self.server.script('hello.php', '<?php echo "hello";')
        self.poll(lambda: self.server.get(hello).text == 'hello')
        self.assertGreater(self.spooled(), 50 << 20)
        self.assertTrue(any(self.server.tmp in what for pid in self.server.workers() for what in proc.descriptors(pid).values()))
        response = connection.read_response()
        self.assertEqual((len(response.body), response.body.count(b'x')), (1024 * 65536, 1024 * 65536))
        self.poll(lambda: self.spooled() == 0)
        self.assertBody(connection.request(fcgi.script_params(hello)), 'hello')

    def test_script_waits_at_the_limit(self):
        self.start({'output_spool_limit': '4M'})
        connection = self.ask(400)
        at = self.stands()
        self.assertLess(at, 200)
        self.assertLess(self.spooled(), 8 << 20)
        self.assertEqual(len(connection.read_response().body), 400 * 65536)
        self.poll(lambda: self.written() == 400)

    def test_script_that_waits_sees_its_client_go(self):
        self.start({'output_spool_limit': '1M'})
        connection = self.ask(4000)
        at = self.stands()
        connection.close()
        hello = self.server.script('hello.php', '<?php echo "hello";')
        self.poll(lambda: self.server.get(hello).text == 'hello')
        self.poll(lambda: self.spooled() == 0)
        self.assertLess(self.written(), at + 50)

    def test_directory_that_has_gone(self):
        """Nothing is lost where nothing can be stored: the script waits, as with php-fpm."""
        directory = tempfile.mkdtemp(prefix='ftm-gone-', dir='/tmp')
        os.chmod(directory, 0o777)
        self.start(ini={'upload_tmp_dir': directory})
        os.rmdir(directory)
        connection = self.ask(400)
        at = self.stands()
        self.assertLess(at, 200)
        self.server.wait_for(r'WARNING: \[pool www\] unsent output cannot be stored in %s: No such file or directory\. Scripts wait for slow clients$' % directory)
        self.assertEqual(len(connection.read_response().body), 400 * 65536)
        self.poll(lambda: self.written() == 400)
