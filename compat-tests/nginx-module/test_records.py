"""Interim answers as no php-ftm sends them, cut wherever they can be cut: nginx passes on what is in them, and the answer behind
them is whole, also when it comes from the cache."""

import os
import random
import unittest

from backend import END, Backend, block, stderr, stdout
from relay import CACHE, Relay

ROUNDS = int(os.environ.get('FTM_NGINX_ROUNDS', '300'))
HINT = block('103 Early Hints', 'link: </a.css>; rel=preload')
HINT_2 = block('103', 'link: </b.js>; rel=preload', "content-security-policy: img-src 'self'")
FINAL = block('201 Made', 'Content-Type: text/plain', 'X-Foo: bar')
LINES, LINES_2 = ['link: </a.css>; rel=preload'], ['link: </b.js>; rel=preload', "content-security-policy: img-src 'self'"]
# nginx counts records' paddings and its cache's header against fastcgi_buffer_size, within which it sends hints.
ROOM = [f' fastcgi_buffer_size {n}k; fastcgi_buffers 8 {n}k; fastcgi_busy_buffers_size {2 * n}k;' for n in (32, 64)]
BODY = b'the page\n' * 20


class Records(unittest.TestCase):
    def relay(self, answer, **kwargs):
        backend = Backend(answer)
        backend.__enter__()
        self.addCleanup(backend.__exit__)
        self.addCleanup(lambda: self.assertEqual(backend.problems, []))
        front = Relay([backend.address], **kwargs)
        front.__enter__()
        self.addCleanup(self.end, front)
        return front

    def end(self, front):
        log = front.log()
        front.__exit__()
        self.assertNotRegex(log, r'\[(alert|emerg|crit)\]|exited on signal|AddressSanitizer|runtime error')

    def check(self, got, hints, status=201, body=BODY, about=None):
        statuses, blocks, got_body = got
        self.assertEqual((statuses, got_body), ([103] * len(hints) + [status], body), about)
        self.assertEqual(blocks[:-1], hints, about)
        self.assertIn('x-foo: bar', blocks[-1], about)


class Cuts(Records):
    def test_at_every_byte(self):
        whole = stdout(HINT) + stdout(HINT_2) + stdout(FINAL + BODY) + END
        end = len(whole) - len(stdout(BODY) + END)
        for keep in (False, True):
            front = self.relay(lambda n, *_: (whole[:n + 1], whole[n + 1:]), keep=keep)
            for n in range(end):
                self.check(front.get(), [LINES, LINES_2], about=f'cut behind byte {n}')

    def test_byte_by_byte(self):
        for padding in (0, 3):
            whole = stdout(HINT, padding) + stderr(b'a message', padding) + stdout(HINT_2, padding) + stdout(FINAL + BODY, padding) + END
            front = self.relay(lambda *_: [whole[i:i + 1] for i in range(len(whole))])
            self.check(front.get(), [LINES, LINES_2])
            self.assertIn('FastCGI sent in stderr: "g"', front.log())

    def test_all_in_one_record(self):
        for padding in (0, 5, 255):
            front = self.relay(lambda *_: [stdout(HINT + HINT_2 + FINAL + BODY, padding) + END], location=CACHE.replace('200', '201'))
            self.check(front.get(), [LINES, LINES_2])
            self.check(front.get(), [])

    def test_a_byte_in_each_record(self):
        text = HINT + HINT_2 + FINAL
        front = self.relay(lambda *_: [b''.join(stdout(text[i:i + 1], i % 4) for i in range(len(text))) + stdout(BODY) + END], location=CACHE.replace('200', '201'))
        self.check(front.get(), [LINES, LINES_2])
        self.check(front.get(), [])
        self.assertNotIn('invalid header', front.log())

    def test_random(self):
        """Each answer is asked for twice, the second time it comes from the cache; with messages in it, depending on how they
        were cut, it may not (and without the module nginx takes broken answers from there)."""
        seed = int(os.environ.get('FTM_NGINX_SEED', random.SystemRandom().randrange(1 << 30)))
        made = {}

        def answer(_, params, __):
            return made[params['REQUEST_URI']]
        fronts = [self.relay(answer, keep=keep, location=CACHE.replace('200', '201') + more) for keep in (False, True) for more in ROOM]
        for n in range(ROUNDS):
            rng = random.Random(seed + n)
            pieces, hints, body, messages = compose(rng)
            path = f'/{n}'
            made[path] = pieces
            front = rng.choice(fronts)
            about = f'FTM_NGINX_SEED={seed + n} FTM_NGINX_ROUNDS=1: {pieces!r}'[:3000]
            self.check(front.get(path), hints, body=body, about=about)
            again = front.get(path)
            hit = 'x-cache: hit' in again[1][-1]
            self.check(again, [] if hit else hints, body=body, about='again: ' + about)
            self.assertTrue(hit or messages, about)


def compose(rng):
    """Pieces to send, the hints in them, the body behind them, and whether there are messages among them."""
    text, hints = b'', []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
        status = rng.choice((100, 102, 103, 103, 103, 103, 104, 199))
        lines = [f'link: </{rng.randrange(1000)}.css>; rel=preload' for _ in range(rng.choice((1, 1, 2, 4)))]
        text += block(rng.choice((f'{status}', f'{status} Interim', f'{status}  x y')), *lines)
        if status == 103:
            hints.append(lines)
    body = rng.randbytes(rng.choice((0, 1, 10, 1000, 70000)))
    text += FINAL + body
    messages = rng.random() < 0.3
    whole, ends = b'' if not messages else stderr(b'message ' * rng.choice((1, 20)), rng.choice((0, 3))), [i for i in range(len(text)) if text[i:i + 4] == b'\r\n\r\n' and i < len(text) - len(body)]
    while text:
        # To the end of a block, as php-ftm does it; or a few bytes; or many.
        ends = [e for e in ends if e >= 0]
        n = rng.choice((ends[0] + 4 if ends else len(text), rng.randint(1, 40), rng.randint(1, 3000)))
        n = min(n, len(text), 65535)
        whole += stdout(text[:n], rng.choice((0, 0, 1, 7, 255)))
        text, ends = text[n:], [e - n for e in ends]
        if messages and rng.random() < 0.3:
            whole += stderr(b'message ' * rng.choice((1, 20)), rng.choice((0, 3)))
    whole += END
    cuts = sorted(rng.randrange(min(len(whole), 2000)) for _ in range(rng.choice((0, 1, 3, 10, 50))))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)]) if a < b], hints, body, messages


class Unusual(Records):
    def test_other_interim_answers_are_dropped(self):
        for status in ('100 Continue', '102', '104 x', '199'):
            front = self.relay(lambda *_: [stdout(block(status, 'link: </x>')), stdout(HINT), stdout(block(status)), stdout(FINAL), stdout(BODY) + END])
            self.check(front.get(), [LINES], about=status)

    def test_hint_without_headers(self):
        front = self.relay(lambda *_: [stdout(block('103')), stdout(HINT), stdout(FINAL), stdout(BODY) + END])
        self.check(front.get(), [LINES])

    def test_more_hints_than_a_buffer_holds(self):
        """nginx sends those that together fit in fastcgi_buffer_size, drops the others, and the page is whole."""
        many = [stdout(block('103', f'link: <{"x" * 900}{n}>')) for n in range(30)]
        front = self.relay(lambda *_: [*many, stdout(FINAL), stdout(BODY) + END], location='fastcgi_buffer_size 4k;')
        statuses, blocks, body = front.get()
        self.assertEqual((statuses, body), ([103] * 4 + [201], BODY))
        self.assertEqual([b[0][-3:] for b in blocks[:-1]], ['x0>', 'x1>', 'x2>', 'x3>'])
        self.assertIn('upstream sent too big early hints', front.log())

    def test_longer_messages_than_a_buffer_holds(self):
        """As without hints, before and behind them; but nginx counts them, too, when it looks how long the hints are."""
        for size in (5000, 70000):
            long = b''.join(stderr(b'm' * min(size, 60000), 1) for _ in range(2))
            for padding in (0, 2):
                whole = [long, stdout(HINT, padding), long, stdout(HINT_2 + FINAL[:10], padding) + stdout(FINAL[10:] + BODY, padding) + END]
                front = self.relay(lambda *_: whole, location=CACHE.replace('200', '201') + ' fastcgi_buffer_size 4k;')
                got = front.get()
                self.check(got, [LINES, LINES_2][:len(got[0]) - 1], about=f'{size} {padding}')
                self.assertIn(103, got[0])
                self.check(front.get(), [], about=f'cached {size} {padding}')

    def test_nothing_good_behind_a_hint(self):
        for about, pieces in (('closed', [stdout(HINT), None]), ('ended', [stdout(HINT) + END]), ('garbage', [stdout(HINT), b'garbage' * 10, None]), ('half', [stdout(HINT), stdout(FINAL[:20]), None]),
                              ('no record', [stdout(HINT) + b'\x01', None]), ('bad header', [stdout(HINT), stdout(b'\x00: x\r\n\r\n')]), ('big', [stdout(HINT), stdout(block('200', 'x: ' + 'x' * 9000)) + END])):
            with self.subTest(about):
                front = self.relay(lambda *_: pieces)
                statuses, blocks, body = front.get()
                self.assertEqual((statuses, blocks[0]), ([103, 502], LINES))
                self.assertIn(b'502 Bad Gateway', body)

    def test_101_stays_what_it_was(self):
        """Not an interim answer: nginx passes it on as without the module."""
        answers = []
        for module in (True, False):
            front = self.relay(lambda *_: [stdout(block('101 Switching', 'x: y')) + END], module=module)
            answers.append([line for line in front.exchange().split(b'\r\n') if not line.startswith(b'Date:')])
        self.assertEqual(answers[0], answers[1])


class Without(Records):
    def test_answers_without_hints_are_the_same(self):
        for pieces in ([stdout(FINAL + BODY) + END], [stdout(FINAL[:9], 3), stdout(FINAL[9:]), stderr(b'x' * 30), stdout(BODY) + END], [stdout(block('404 No', 'Location: /x') + BODY), None], [None], [stdout(b'X-Foo: bar\r\n\r\n' + BODY) + END]):
            for keep in (False, True):
                raw = []
                for module in (True, False):
                    front = self.relay(lambda *_: pieces, module=module, keep=keep)
                    raw.append([line for line in front.exchange().split(b'\r\n') if not line.startswith(b'Date:')])
                self.assertEqual(raw[0], raw[1])
