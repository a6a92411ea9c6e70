"""Sessions in Redis under worker mode: two visitors that alternate on one worker see what is theirs, however a request ends."""

import os
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from ftm import fcgi
from ftm.case import ftm_only, needs_module, sanitizer_threads
from ftm.redis import PROGRAM, Redis
from ftm.worker import WorkerTest

COUNT = 'session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; $_SESSION["who"] ??= $_SERVER["HTTP_X_WHO"]; echo session_id(), " ", $_SESSION["n"], " ", $_SESSION["who"];'
NOTHING = 'NULL\nstring(0) ""\nint(1)\n'
ENDS = {'end of the callback': '', 'session_write_close': 'session_write_close();', 'exit': 'exit(0);', 'exit with a status': 'exit(3);', 'exception': 'throw new Exception("x");',
        'undefined function': 'no_such_function();', 'memory limit': '$x = str_repeat("x", 256 << 20);', 'stack overflow': 'function f() { f(); } f();',
        'time limit': 'set_time_limit(1); while (true);', 'exception of a destructor': 'class D { function __destruct() { throw new Exception("d"); } } new D;',
        'finished early': 'fastcgi_finish_request(); usleep(1000);'}
if sanitizer_threads():         # signals_reach_loops
    del ENDS['time limit']


@ftm_only('worker mode')
@needs_module('redis')
@unittest.skipUnless(PROGRAM, 'Redis is not installed (package redis-tools)')
class RedisSessions(WorkerTest):
    def with_redis(self, options='', **kwargs):
        self.redis = self.enterContext(Redis())
        ini = {'session.save_handler': 'redis', 'session.save_path': f'"tcp://127.0.0.1:{self.redis.port}?prefix=s:{options}"', 'display_errors': '0', 'memory_limit': '64M',
               **kwargs.pop('ini', {})}
        return self.worker(modules=['redis'], ini=ini, **kwargs)

    def visitor(self, server, who):
        """Starts a session; returns its id."""
        answer = self.php(server, COUNT, HTTP_X_WHO=who)
        match = re.fullmatch(r'([\w,-]{20,}) 1 ' + who, answer.text)
        self.assertTrue(match, repr(answer))
        return match.group(1)

    def assert_counts(self, server, sid, who, count):
        self.assertEqual(self.php(server, COUNT, HTTP_COOKIE=f'PHPSESSID={sid}', HTTP_X_WHO='somebody else').text, f'{sid} {count} {who}')

    def assert_nothing_is_left(self, server):
        self.assertEqual(self.php(server, 'var_dump($_SESSION ?? null, session_id(), session_status());').text, NOTHING)

    def alternate(self, server):
        one, two = self.visitor(server, 'one'), self.visitor(server, 'two')
        self.assertNotEqual(one, two)
        for count in range(2, 30):
            self.assert_counts(server, one, 'one', count)
            self.assert_nothing_is_left(server)
            self.assert_counts(server, two, 'two', count)
        self.assertIn('who|s:3:"one"', self.redis.command('GET', 's:' + one))
        self.assertIn('who|s:3:"two"', self.redis.command('GET', 's:' + two))
        self.assertEqual(len(self.redis.command('KEYS', '*')), 2)

    def test_two_visitors_alternate(self):
        self.alternate(self.with_redis())

    def test_handler_chosen_at_boot(self):
        with Redis() as redis:
            server = self.worker(modules=['redis'], boot=f'ini_set("session.save_handler", "redis"); ini_set("session.save_path", "tcp://127.0.0.1:{redis.port}?prefix=s:");')
            self.redis = redis
            self.alternate(server)

    def test_with_locks(self):
        self.alternate(self.with_redis(ini={'redis.session.locking_enabled': '1'}))
        self.assertFalse([key for key in self.redis.command('KEYS', '*') if 'LOCK' in key])

    def test_persistent_connections(self):
        self.alternate(self.with_redis('&persistent=1'))

    def test_after_every_kind_of_end(self):
        for locks in ('0', '1'):
            server = self.with_redis(ini={'redis.session.locking_enabled': locks, 'redis.session.lock_retries': '5'})
            for name, end in ENDS.items():
                with self.subTest(end=name, locks=locks):
                    other = self.visitor(server, 'other')
                    answer = self.php(server, 'session_start(); $_SESSION["secret"] = "mine"; header("X-Session: " . session_id()); ' + end)
                    mine = answer.header('X-Session') or re.search('PHPSESSID=([^;]+)', answer.header('Set-Cookie')).group(1)
                    self.assert_nothing_is_left(server)
                    self.assert_counts(server, other, 'other', 2)
                    self.assertEqual(self.php(server, 'session_start(); var_dump($_SESSION);').text, 'array(0) {\n}\n', 'a new visitor')
                    # As in php-fpm, the session is written, and its lock released, however the script ended.
                    self.assertEqual(self.php(server, 'session_start(); echo json_encode($_SESSION);', HTTP_COOKIE='PHPSESSID=' + mine).text, '{"secret":"mine"}')

    def test_after_request_terminate_timeout(self):
        server = self.with_redis(settings=[('request_terminate_timeout', '2s')])
        for code in ('while (true);', 'sleep(1000);'):
            with self.subTest(code=code):
                other = self.visitor(server, 'other')
                with self.assertRaises(fcgi.Closed):
                    self.php(server, 'session_start(); $_SESSION["secret"] = "mine"; ' + code, HTTP_COOKIE=f'PHPSESSID={other}')
                self.assert_nothing_is_left(server)
                self.assert_counts(server, other, 'other', 2)
                self.assertEqual(self.php(server, 'session_start(); var_dump($_SESSION);').text, 'array(0) {\n}\n', 'a new visitor')

    def test_changed_id_and_destroyed_session(self):
        server = self.with_redis()
        other, mine = self.visitor(server, 'other'), self.visitor(server, 'mine')
        answer = self.php(server, 'session_start(); session_regenerate_id(true); echo session_id();', HTTP_COOKIE='PHPSESSID=' + mine)
        self.assertNotIn(answer.text, (mine, other))
        self.assertIsNone(self.redis.command('GET', 's:' + mine))
        self.assert_counts(server, answer.text, 'mine', 2)
        self.php(server, 'session_start(); session_destroy();', HTTP_COOKIE='PHPSESSID=' + answer.text)
        self.assert_nothing_is_left(server)
        self.assertEqual(self.redis.command('KEYS', '*'), ['s:' + other])
        self.assert_counts(server, other, 'other', 2)

    def test_redis_that_is_away_for_a_moment(self):
        server = self.with_redis()
        one = self.visitor(server, 'one')
        booted = self.ask(server, 'booted').text
        self.redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        self.assert_counts(server, one, 'one', 2)
        answer = self.php(server, 'var_dump(@session_start(), $_SESSION ?? null);', HTTP_COOKIE=f'PHPSESSID={one}', PHP_VALUE='session.save_path="tcp://127.0.0.1:1?prefix=s:"')
        self.assertIn('bool(false)', answer.text)
        self.assertNotIn('"one"', answer.text)
        self.assert_counts(server, one, 'one', 3)
        self.assertEqual(self.ask(server, 'booted').text, booted)

    def test_connections_do_not_pile_up(self):
        server = self.with_redis(ini={'redis.session.locking_enabled': '1'})
        sid = self.visitor(server, 'one')
        for count in range(2, 200):
            self.assert_counts(server, sid, 'one', count)
            if count % 20 == 0:
                self.php(server, 'session_start(); exit;')
        self.poll(lambda: self.redis.clients() <= 2, what=lambda: self.redis.command('CLIENT', 'LIST'))
        engine = server.workers()[0]
        self.assertLess(len(os.listdir(f'/proc/{engine}/fd')), 100)

    def test_connection_that_the_application_keeps(self):
        with Redis() as redis:
            server = self.worker(modules=['redis'], boot=f'$redis = new Redis; $redis->connect("127.0.0.1", {redis.port});', children=3, num=2)
            for _ in range(30):
                self.assertRegex(self.php(server, 'echo $GLOBALS["redis"]->incr("n");').text, r'^\d+$')
            self.assertEqual(redis.command('GET', 'n'), '30')
            self.assertLessEqual(redis.clients(), 2)

    def test_many_visitors_in_parallel(self):
        server = self.with_redis(children=5, num=4)

        def visit(index):
            sid = self.visitor(server, f'visitor{index}')
            for count in range(2, 20):
                self.assert_counts(server, sid, f'visitor{index}', count)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(visit, range(32)))
