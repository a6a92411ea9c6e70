"""A server of the upstream fails behind a hint: the next one answers, and a stale answer of the cache is as good as without hints."""

import threading

from backend import END, Backend, block, stdout
from ftm.proc import poll
from relay import CACHE, Relay
from test_php import CSS, Hints
from test_records import FINAL, HINT, LINES, Records

SERVED = [f'link: {CSS}'.lower()]


class Retries(Hints):
    def two(self, pieces, **kwargs):
        """An upstream of which the first server sends `pieces` (or what they return), the second is php-ftm."""
        php = self.php()
        first = Backend(lambda *_: pieces() if callable(pieces) else pieces)
        first.__enter__()
        self.addCleanup(first.__exit__)
        front = Relay([first.address, php.pool().address], php.docroot, **kwargs)
        front.__enter__()
        self.addCleanup(self.end, front)
        return first, front

    def answers(self, first, front, path='/page.php', **kwargs):
        """The one answer for which both servers were asked."""
        before = len(first.requests)
        for _ in range(4):
            answer = front.get(path, **kwargs)
            if len(first.requests) > before:
                return answer
        raise AssertionError('the first server was not asked')

    def test_next_server_answers(self):
        for about, pieces in (('closed', [stdout(HINT), None]), ('closed in mid-block', [stdout(HINT, 7) + stdout(HINT)[:-20], None]), ('closed in a record header', [stdout(HINT), b'\x01\x06\x00', None]),
                              ('closed in padding', [stdout(HINT, 7)[:-3], None]), ('ended', [stdout(HINT) + END]), ('garbage', [stdout(HINT) + b'garbage'])):
            for more in ('', CACHE):
                with self.subTest(about, cache=bool(more)):
                    first, front = self.two(pieces, location='fastcgi_next_upstream error timeout invalid_header; ' + more)
                    statuses, blocks, body = self.answers(first, front)
                    self.assertEqual((statuses, body), ([103, 103, 200], b'<p>page 1</p>'))
                    self.assertEqual(blocks[:2], [LINES, SERVED])
                    poll(lambda: '/page.php 200 502, 200' in front.log_file(), what='the line in the log')
                    if more:
                        self.assertEqual(front.get('/page.php')[::2], ([200], b'<p>page 1</p>'))

    def test_server_that_hangs(self):
        over = threading.Event()
        self.addCleanup(over.set)

        def hang():
            yield stdout(HINT)
            over.wait(60)
        first, front = self.two(hang, location='fastcgi_read_timeout 5s;')
        self.assertEqual(self.answers(first, front)[::2], ([103, 103, 200], b'<p>page 1</p>'))
        poll(lambda: '/page.php 200 504, 200' in front.log_file(), what='the line in the log')

    def test_status_that_asks_the_next(self):
        first, front = self.two([stdout(HINT), stdout(block('503 Busy')) + END], location='fastcgi_next_upstream http_503;')
        self.assertEqual(self.answers(first, front)[::2], ([103, 103, 200], b'<p>page 1</p>'))
        poll(lambda: '/page.php 200 503, 200' in front.log_file(), what='the line in the log')

    def test_post_is_not_repeated(self):
        first, front = self.two([stdout(HINT), None])
        self.assertEqual(self.answers(first, front, '/post.php', method='POST', body=b'x')[0], [103, 502])
        self.assertEqual(len(first.requests), 1)


class Stale(Records):
    def test_stale_answer(self):
        """The answer in the cache is read by the same functions, after a hint."""
        def answer(n, *_):
            return [stdout(FINAL + b'first') + END] if n == 0 else [stdout(HINT), stdout(block('500 Broken') + b'broken') + END]
        front = self.relay(answer, location=CACHE.replace('200 404 10m', '201 1s') + ' fastcgi_cache_use_stale http_500;')
        self.check(front.get(), [], body=b'first')
        got = []

        def stale():
            got[:] = [front.get()]
            return 'x-cache: stale' in got[0][1][-1]
        poll(stale, what='a stale answer')
        self.check(got[0], [LINES], body=b'first')

    def test_renewed_behind_the_scenes(self):
        """The request that renews the cache is a copy of the visitor's, which is answered by then: its hint is for nobody."""
        def answer(n, *_):
            return [stdout(HINT), stdout(FINAL + b'answer %d' % n) + END]
        front = self.relay(answer, location=CACHE.replace('200 404 10m', '201 1s') + ' fastcgi_cache_use_stale updating; fastcgi_cache_background_update on;')
        self.check(front.get(), [LINES], body=b'answer 0')
        seen = []

        def renewed():
            statuses, blocks, body = front.get()
            self.assertEqual(statuses, [201])
            seen.append((blocks[-1][-1], body))
            return body != b'answer 0'
        poll(renewed, what='the renewed answer')
        self.assertIn(('x-cache: stale', b'answer 0'), seen)
        self.assertEqual(seen[-1][1], b'answer 1')

    def test_revalidated(self):
        def answer(n, params, _):
            if n == 0:
                return [stdout(block('201 Made', 'ETag: "1"', 'X-Foo: bar') + b'first') + END]
            return [stdout(HINT), stdout(block('304 Not Modified')) + END]
        front = self.relay(answer, location=CACHE.replace('200 404 10m', '201 1s') + ' fastcgi_cache_revalidate on; fastcgi_param HTTP_IF_NONE_MATCH $http_if_none_match;')
        self.check(front.get(), [], body=b'first')
        got = []

        def revalidated():
            got[:] = [front.get()]
            return 'x-cache: revalidated' in got[0][1][-1]
        poll(revalidated, what='a revalidated answer')
        self.check(got[0], [LINES], body=b'first')
