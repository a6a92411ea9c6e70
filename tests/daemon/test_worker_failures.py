"""Requests that fail on a worker: each gets the right answer, the log says why, the worker lives or is replaced, and neighbours notice nothing."""

import contextlib
import threading

from ftm import fcgi
from ftm.case import signals_reach_loops
from ftm.worker import WorkerTest

MANY = '&'.join(f'a{i}=1' for i in range(1001)).encode()
FORM = {'CONTENT_TYPE': 'application/x-www-form-urlencoded'}


class Failures(WorkerTest):
    """A neighbour asks all the while; whether the worker is the same afterwards is told by what it has booted with."""

    def start(self, **kwargs):
        self.server = self.worker(children=4, num=3, modules=['ffi'],
                                  ini={'ffi.enable': '1', 'display_errors': '0', 'memory_limit': '64M', 'max_input_vars': '1000', 'post_max_size': '1M', 'html_errors': '0'}, **kwargs)
        return self.server

    @contextlib.contextmanager
    def neighbour(self):
        stop, wrong, answers = threading.Event(), [], []

        def ask():
            while not stop.is_set():
                try:
                    answer = self.ask(self.server)
                    answers.append(answer)
                    if answer.status != 200 or not answer.text.startswith('hello '):
                        wrong.append(repr(answer))
                except (OSError, fcgi.FcgiError) as error:
                    wrong.append(repr(error))
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
            count = len(answers)
            self.poll(lambda: len(answers) > count + 3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def check(self, code, status, log, **params):
        since = self.server.mark()
        with self.neighbour():
            if status is None:
                with self.assertRaises(fcgi.Closed):
                    self.php(self.server, code, **params)
            else:
                self.assertEqual(self.php(self.server, code, **params).status, status)
            self.server.wait_for(log, since=since)

    def test_fatal_errors(self):
        self.start()
        for code, log in (('eval("class A {} class A {}");', 'PHP Fatal error:  Cannot (re)?declare class A'), ('$x = str_repeat("x", 1 << 27);', 'PHP Fatal error:  Allowed memory size of 67108864 bytes exhausted'),
                          ('function f() { f(); } f();', 'Allowed memory size of 67108864 bytes exhausted'), ('$f = fn($a) => array_map($GLOBALS["deep"], $a); $GLOBALS["deep"] = &$f; $f([1]);' if False else 'class R { function __get($n) { return (new R)->{$n . "x"}; } } ini_set("memory_limit", "-1"); (new R)->x;', 'Maximum call stack size'), ('class D { function __destruct() { throw new Exception("thrown by it"); } } new D;', 'Uncaught Exception: thrown by it'),
                          ('class T { function __toString(): string { throw new Exception("as text"); } } echo new T;', 'Uncaught Exception: as text')):
            with self.subTest(code=code):
                self.check(code, 500, log)

    @signals_reach_loops
    def test_timeouts(self):
        self.start()
        self.check('set_time_limit(1); while (true);', 500, 'PHP Fatal error:  Maximum execution time of 1 second exceeded')
        self.start(settings=[('request_terminate_timeout', '5s')])
        self.check('set_time_limit(0); while (true);', None, r'WARNING: \[pool www\] child \d+, script .* execution timed out')
        self.check('set_time_limit(0); sleep(60);', None, r'WARNING: \[pool www\] child \d+, script .* execution timed out')

    def test_crash(self):
        server = self.start()
        server.expect_log('.*')
        self.check('FFI::cdef("void abort(void);")->abort();', 500, r'exited on signal 6')
        self.poll(lambda: len(server.workers()) == 1)

    def test_input_that_php_refuses_runs_with_what_there_is(self):
        """As classic: a warning in the log; what the application's handler would throw has no frame to go to."""
        server = self.start(boot='set_error_handler(function ($n, $m) { throw new ErrorException($m); });')
        boots = server.log_text().count('booted script')
        for body, params, log in ((MANY, FORM, 'Input variables exceeded 1000'), (b'a=' + b'x' * (2 << 20), FORM, 'POST Content-Length of 2097154 bytes exceeds the limit of 1048576 bytes'),
                                  (b'--x\r\nbroken', {'CONTENT_TYPE': 'multipart/form-data'}, 'Missing boundary in multipart/form-data POST data'),
                                  (b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\ncut off', {'CONTENT_TYPE': 'multipart/form-data; boundary=x'}, None)):
            with self.subTest(log=log), self.neighbour():
                since = server.mark()
                self.assertEqual(server.post(self.script, body, **params).status, 200)
                if log:
                    server.wait_for(log, since=since)
        self.assertEqual(server.log_text().count('booted script'), boots, 'no worker was lost')

    def test_clients_that_leave(self):
        server = self.start()
        for when in ('before the answer', 'in mid-answer', 'after a reset'):
            with self.subTest(when=when), self.neighbour():
                for _ in range(5):
                    code = b'usleep(20000); for ($i = 0; $i < 100; $i++) { echo str_repeat("x", 10000); flush(); }'
                    connection = server.connect()
                    connection.send_request(fcgi.post_params(self.script, code, 'a/b', QUERY_STRING='do=eval'), code)
                    if when == 'in mid-answer':
                        connection.read_record()
                    connection.reset() if when == 'after a reset' else connection.close()
        self.assertNotIn('ended', server.log_text())
