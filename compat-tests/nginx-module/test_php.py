"""php-ftm's hints through nginx with the module: relayed where the configuration asks for them, nowhere else."""

import hashlib
import os
import re
import unittest

from ftm.proc import poll
from ftm.server import Binary, Pool, Server
from relay import CACHE, LINE, Relay, script

CSS, JS = '</a.css>; rel=preload; as=style', '</b.js>; rel=preload; as=script'
HINT = f'header("Link: {CSS}"); $sent = headers_send(103); '
PAGES = {
    'page.php': '<?php header("X-Foo: bar"); ' + HINT + 'echo "<p>page $sent</p>";',
    'wait.php': '<?php header("X-Foo: bar"); ' + HINT + 'while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } http_response_code(404); echo "<p>late</p>";',
    'several.php': f'<?php {HINT} header("Link: {JS}", false); headers_send(103); headers_send(102); header_remove("Link"); header("Content-Security-Policy: img-src \'self\'"); headers_send(103); echo "<p>several</p>";',
    'none.php': '<?php header("X-Foo: bar"); echo "<p>none</p>";',
    'big.php': '<?php ' + HINT + 'for ($i = 0; $i < 20; $i++) { echo str_repeat(chr(97 + $i), 1 << 20); }',
    'post.php': '<?php ' + HINT + 'echo md5(file_get_contents("php://input")), " ", $_SERVER["REQUEST_METHOD"];',
    # More than fastcgi_buffer_size of messages, which nginx reads before it has the header.
    'noisy.php': '<?php ' + HINT + 'for ($i = 0; $i < 300; $i++) { trigger_error("message $i " . str_repeat("x", 60), E_USER_WARNING); } header("X-Foo: bar"); echo "<p>noisy</p>";',
    'counted.php': '<?php ' + HINT + 'echo "<p>", bin2hex(random_bytes(8)), "</p>";',
    'include.php': '<?php ' + HINT + 'echo "included";',
}
BODY_OF_BIG = b''.join(bytes([97 + i]) * (1 << 20) for i in range(20))


class Hints(unittest.TestCase):
    def php(self, early_hints=None, **kwargs):
        server = Server([Pool(children=4, settings=[('early_hints', early_hints)] if early_hints else [])], binary=Binary(os.environ['FTM_BINARY']), **kwargs).prepare()
        for name, text in PAGES.items():
            server.script(name, text)
        server.start()
        self.addCleanup(server.stop)
        return server

    def front(self, php, **kwargs):
        front = Relay([php.pool().address], php.docroot, **kwargs)
        front.__enter__()
        self.addCleanup(self.end, front)
        return front

    def end(self, front):
        log = front.log()
        front.__exit__()
        self.assertNotRegex(log, r'\[(alert|emerg|crit)\]|exited on signal|AddressSanitizer|runtime error')

    def fronts(self, **kwargs):
        """One with a connection per request, one that keeps them."""
        server = self.php()
        return [self.front(server, keep=keep, **kwargs) for keep in (False, True)]


class Relayed(Hints):
    def test_while_the_script_runs(self):
        for front in self.fronts():
            go = os.path.join(front.docroot, f'go-{front.keep}')
            early, rest = front.exchange('/wait.php?go=' + go, until=b'\r\n\r\n')
            self.assertEqual(early, f'HTTP/1.1 103 Early Hints\r\nlink: {CSS}\r\n\r\n'.encode())
            open(go, 'w').close()
            with rest:
                data = b''
                while more := rest.recv(65536):
                    data += more
            self.assertRegex(data, rb'^HTTP/1\.1 404 Not Found\r\n')
            self.assertIn(b'X-Foo: bar\r\n', data)
            self.assertIn(b'<p>late</p>', data)

    def test_several(self):
        for front in self.fronts():
            for _ in range(3):
                statuses, blocks, body = front.get('/several.php')
                self.assertEqual((statuses, body), ([103, 103, 103, 200], b'<p>several</p>'))
                self.assertEqual(blocks[:-1], [[f'link: {CSS}'], [f'link: {CSS}', f'link: {JS}'], ["content-security-policy: img-src 'self'"]])
            poll(lambda: front.log_file().splitlines() == ['/several.php 200 200'] * 3, what='what the answers were, in the log')

    def test_over_http_2(self):
        for front in self.fronts():
            out = front.http_2('/page.php', '/several.php', '/none.php', '/page.php')
            self.assertEqual(re.findall(rb'HTTP/2 (\d+)', out), [b'103', b'200', b'103', b'103', b'103', b'200', b'200', b'103', b'200'])
            self.assertEqual(re.findall(rb'<p>(\w+)', out), [b'page', b'several', b'none', b'page'])
            self.assertEqual(out.count(f'link: {CSS}'.encode()), 6)

    def test_page_is_unharmed(self):
        for front in self.fronts():
            with_hint = front.get('/page.php')
            self.assertEqual((with_hint[0], with_hint[2]), ([103, 200], b'<p>page 1</p>'))
            self.assertIn('x-foo: bar', with_hint[1][1])
            self.assertIn(f'link: {CSS}', with_hint[1][1])
            self.assertEqual((front.get('/none.php')[0], front.get('/none.php')[2]), ([200], b'<p>none</p>'))
            statuses, _, body = front.get('/page.php', method='HEAD')
            self.assertEqual((statuses, body), ([103, 200], b''))

    def test_big_answers_and_uploads(self):
        upload = os.urandom(1 << 20) * 5
        for front in self.fronts():
            for _ in range(2):
                statuses, _, body = front.get('/big.php')
                self.assertEqual((statuses, len(body), body == BODY_OF_BIG), ([103, 200], len(BODY_OF_BIG), True))
                statuses, _, body = front.get('/post.php', method='POST', body=upload)
                self.assertEqual((statuses, body.decode()), ([103, 200], hashlib.md5(upload).hexdigest() + ' POST'))
            out = front.http_2('/big.php')
            self.assertTrue(out.endswith(BODY_OF_BIG))

    def test_unbuffered(self):
        for front in self.fronts(location='fastcgi_buffering off; fastcgi_request_buffering off;'):
            statuses, _, body = front.get('/big.php')
            self.assertEqual((statuses, body == BODY_OF_BIG), ([103, 200], True))
            self.assertEqual(front.get('/post.php', method='POST', body=b'x' * 100000)[0], [103, 200])
            self.assertEqual(front.get('/several.php')[0], [103, 103, 103, 200])

    def test_many_messages_behind_a_hint(self):
        for front in self.fronts(server='location = /cached { ' + script('noisy.php') + CACHE + '}'):
            for path, cached in (('/noisy.php', None), ('/cached', 'x-cache: miss'), ('/cached', 'x-cache: hit')):
                statuses, blocks, body = front.get(path)
                self.assertEqual((statuses, body), ([200] if cached == 'x-cache: hit' else [103, 200], b'<p>noisy</p>'), path)
                self.assertIn('x-foo: bar', blocks[-1])
                if cached:
                    self.assertIn(cached, blocks[-1])
            self.assertIn('message 299', front.log())

    def test_cached_answer_is_whole(self):
        for front in self.fronts(location=CACHE):
            for name in ('/counted.php', '/several.php', '/big.php'):
                first = front.get(name)
                self.assertEqual((first[0][0], first[0][-1]), (103, 200))
                self.assertIn('x-cache: miss', first[1][-1])
                for method in ('GET', 'GET'):
                    again = front.get(name, method=method)
                    self.assertEqual((again[0], again[2] == first[2]), ([200], True))
                    self.assertIn('x-cache: hit', again[1][0])
            self.assertNotIn('invalid header', front.log())

    def test_every_way_to_name_the_application(self):
        server = self.php()
        address = 'unix:' + server.pool().address
        for target, more in ((address, ''), ('$where', f'set $where {address};'), ('$where', 'set $where php;')):
            with self.subTest(target=target, more=more):
                self.assertEqual(self.front(server, target=target, server=more).get('/several.php')[0], [103, 103, 103, 200])

    def test_pool_that_always_sends(self):
        """Whoever is not to see a hint does not, although the application has not been asked."""
        server = self.php('on')
        front = self.front(server, hints='early_hints $arg_hints;')
        self.assertEqual(front.get('/page.php?hints=1')[::2], ([103, 200], b'<p>page 1</p>'))
        for path in ('/page.php', '/page.php?hints=0'):
            self.assertEqual(front.get(path)[::2], ([200], b'<p>page 1</p>'))
        self.assertEqual(self.front(server, hints='').get('/several.php')[::2], ([200], b'<p>several</p>'))


class Inside(Hints):
    """Requests that come to the application by detours."""

    def test_detours(self):
        server = self.php()
        server.file('parts.html', 'a <!--# include virtual="/include.php" --> b <!--# include virtual="/include.php?2" --> c')
        page = script('page.php')
        front = self.front(server, server=f'''
            location = /parts.html {{ ssi on; ssi_types *; }}
            location = /guarded {{ auth_request /page.php; try_files /none /guarded.txt; }}
            location = /guarded.txt {{ return 200 "guarded"; }}
            location = /missing {{ error_page 404 = @named; return 404; }}
            location @named {{ {page} }}
            location = /if {{ if ($arg_x) {{ set $y 1; }} {page} }}
            location = /internal {{ try_files /nothing /page.php; }}
            location = /twice {{ {script('redirect.php')} }}
            location = /log {{ return 200 "[$ftm_early_hints]"; }}
        ''')
        server.script('redirect.php', '<?php ' + HINT + 'header("X-Accel-Redirect: /page.php");')
        for path, statuses, body in (('/missing', [103, 200], b'<p>page 1</p>'), ('/if', [103, 200], b'<p>page 1</p>'), ('/if?x=1', [103, 200], b'<p>page 1</p>'), ('/internal', [103, 200], b'<p>page 1</p>'),
                                     ('/twice', [103, 103, 200], b'<p>page 1</p>'), ('/log', [200], b'[]'), ('/guarded', [200], b'guarded'), ('/parts.html', [200], b'a included b included c')):
            with self.subTest(path):
                got = front.get(path)
                self.assertEqual(got[::2], (statuses, body))
        # A part of a page cannot have hints, and is not asked for any.
        server.script('include.php', '<?php ' + HINT + 'echo "included $sent";')
        poll(lambda: front.get('/parts.html')[2] == b'a included 0 b included 0 c', what='the changed script')


class NotRelayed(Hints):
    def test_old_clients(self):
        for front in self.fronts():
            for _ in range(2):
                statuses, _, body = front.get('/page.php', version='HTTP/1.0')
                self.assertEqual((statuses, body), ([200], b'<p>page 0</p>'))

    def test_unless_nginx_is_told_to(self):
        server = self.php()
        for hints in ('', 'early_hints 0;', 'early_hints $http2;', 'early_hints $arg_nothing;'):
            with self.subTest(hints):
                self.assertEqual(self.front(server, hints=hints).get('/page.php')[::2], ([200], b'<p>page 0</p>'))
        front = self.front(server, hints='early_hints $http2;')
        self.assertEqual(re.findall(rb'HTTP/2 (\d+)', front.http_2('/page.php')), [b'103', b'200'])

    def test_without_the_parameter(self):
        front = self.front(self.php(), line='')
        for _ in range(2):
            self.assertEqual(front.get('/page.php')[::2], ([200], b'<p>page 0</p>'))
            self.assertEqual(front.get('/several.php', headers='FTM-Early-Hints: 1\r\nFTM_EARLY_HINTS: 1\r\n')[::2], ([200], b'<p>several</p>'))

    def test_without_the_module(self):
        server = self.php()
        for keep in (False, True):
            front = self.front(server, module=False, keep=keep)
            for name, body in (('page', b'<p>page 0</p>'), ('several', b'<p>several</p>'), ('big', BODY_OF_BIG)):
                statuses, _, got = front.get(f'/{name}.php')
                self.assertEqual((statuses, got == body), ([200], True))
            self.assertEqual(re.findall(rb'HTTP/2 (\d+)', front.http_2('/page.php')), [b'200'])

    @unittest.skipUnless(os.environ.get('FTM_NGINX_MODULE'), 'the module is compiled in')
    def test_configuration_without_the_module_is_refused(self):
        front = Relay(['/nonexistent'], module=False, line=LINE)
        with self.assertRaisesRegex(AssertionError, 'unknown "ftm_early_hints" variable'), front:
            pass
