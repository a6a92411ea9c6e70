"""request_slowlog_timeout: the backtrace of a slow request, in php-fpm's layout, whatever the script sits in, and without a script noticing."""

import os
import re
import socket
import stat
import time

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm

# Each takes four times the limit: the trace of a script may come a little late, and must come before its end.
LIBRARY = '''<?php
class Work {
    function outer($kind) { return $this->inner($kind); }
    function inner($kind) {
        switch ($kind) {
            case 'sleep':  return sleep(4);
            case 'usleep': usleep(4000000); return 0;
            case 'read':   $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); stream_set_timeout($pair[0], 4); return strlen(fread($pair[0], 10));
            case 'tcp':    $s = stream_socket_client('tcp://' . $_GET['address']); stream_set_timeout($s, 4); return strlen(fgets($s));
            case 'loop':   $end = microtime(true) + 4; while (microtime(true) < $end) { $x = 1; } return 0;
            case 'sort':   $end = microtime(true) + 4; while (microtime(true) < $end) { $a = range(1, 100); usort($a, fn($x, $y) => $y <=> $x); } return 0;
            case 'hash':   $end = microtime(true) + 4; while (microtime(true) < $end) { hash_pbkdf2('sha256', 'p', 's', 100000); } return 0;
        }
    }
}
'''
MAIN = '''<?php
require __DIR__ . '/library.php';
function go($kind) {
    return array_map(fn($k) => (new Work)->outer($k), [$kind])[0];
}
echo 'result ', go($_GET['kind']);
'''
RESULTS = {kind: '0' for kind in ('sleep', 'usleep', 'read', 'tcp', 'loop', 'sort', 'hash')}

TIME = r'\[\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\]'
ADDRESS = r'\[0x[0-9a-f]{16}\]'


class Slowlog(DaemonTest):
    def make(self, settings=(), **kwargs):
        server = self.serve([Pool(children=3, settings=[('slowlog', '/nonexistent'), ('request_slowlog_timeout', '1s'), *settings])], start=False, **kwargs)
        self.slowlog = os.path.join(server.root, 'slow.log')
        server.pool().settings[0] = ('slowlog', self.slowlog)
        server.write_conf()
        server.file('library.php', LIBRARY)
        self.main = server.script('main.php', MAIN)
        return server

    def text(self, path=None):
        try:
            with open(path or self.slowlog, encoding='utf-8') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def traced(self, server, count=1, path=None):
        server.wait_for(r'NOTICE: finished trace of \d+$', 10, count=count)
        return self.text(path)

    def run_kind(self, server, kind, **query):
        query = '&'.join([f'kind={kind}', *(f'{k}={v}' for k, v in query.items())])
        return server.get(self.main, query)

    def test_layout(self):
        server = self.make().start()
        worker = server.workers()
        self.assertBody(self.run_kind(server, 'usleep'), 'result 0')
        text = self.traced(server)
        library = re.escape(os.path.join(server.docroot, 'library.php'))
        main = re.escape(self.main)
        closure = r'\{closure(:[^}]*)?\}'
        self.assertRegex(text, re.compile('\\A' + '\n'.join([
            '', rf'{TIME}  \[pool www\] pid (\d+)',
            rf'script_filename = {main}',
            rf'{ADDRESS} usleep\(\) {library}:7',
            rf'{ADDRESS} inner\(\) {library}:3',
            rf'{ADDRESS} outer\(\) {main}:4',
            rf'{ADDRESS} {closure}\(\) {main}:4',
            rf'{ADDRESS} array_map\(\) {main}:4',
            rf'{ADDRESS} go\(\) {main}:6', '']) + '\\Z'))
        self.assertIn(int(re.search(r'pid (\d+)', text).group(1)), worker)

    def test_log_lines(self):
        server = self.make().start()
        self.run_kind(server, 'sleep', x='y')
        self.traced(server)
        text = server.log_text()
        lines = [rf'WARNING: \[pool www\] child (\d+), script \'{re.escape(self.main)}\' \(request: "GET /main\.php\?kind=sleep&x=y"\) '
                 r'executing too slow \([1-9]\d*\.\d{6} sec\), logging', r'NOTICE: about to trace (\d+)', r'NOTICE: finished trace of (\d+)']
        found = [re.search(line + '$', text, re.M) for line in lines]
        self.assertTrue(all(found), text)
        self.assertEqual(sorted(found, key=lambda m: m.start()), found)
        self.assertEqual(len({m.group(1) for m in found}), 1)

    def test_every_kind_is_traced(self):
        server = self.make().start()
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        inner = {'sleep': r'sleep\(\)', 'usleep': r'usleep\(\)', 'read': r'fread\(\)', 'tcp': r'fgets\(\)', 'hash': r'(hash_pbkdf2|microtime)\(\)'}
        for number, kind in enumerate(RESULTS, 1):
            with self.subTest(kind):
                before = len(self.text())
                response = self.run_kind(server, kind, address='127.0.0.1:%d' % listener.getsockname()[1])
                if is_ftm():                                         # undisturbed
                    self.assertBody(response, 'result 0')
                text = self.traced(server, number)[before:]
                self.assertIn(f'script_filename = {self.main}\n', text)
                for name in ('inner', 'outer', 'array_map', 'go'):
                    self.assertRegex(text, rf'(?m)^{ADDRESS} {name}\(\) /')
                self.assertNotIn('dump failed', text)
                if kind in inner:
                    self.assertRegex(text, rf'(?m)^{ADDRESS} {inner[kind]} ' + re.escape(os.path.join(server.docroot, 'library.php')))

    @ftm_only('ptrace interrupts what a child of php-fpm sleeps in')
    def test_sleep_is_not_cut_short(self):
        server = self.make().start()
        began = time.monotonic()
        self.assertBody(server.run('echo sleep(4);'), '0')
        self.assertGreaterEqual(time.monotonic() - began, 4)
        self.traced(server)

    def test_depth(self):
        server = self.make([('request_slowlog_trace_depth', 2)]).start()
        self.run_kind(server, 'usleep')
        self.assertEqual(len(re.findall(rf'(?m)^{ADDRESS} ', self.traced(server))), 2)

    def test_default_depth_is_20(self):
        server = self.make().start()
        server.run('function deep($n) { if ($n == 0) { usleep(4000000); } else { deep($n - 1); } } deep(40);')
        self.assertEqual(len(re.findall(rf'(?m)^{ADDRESS} ', self.traced(server))), 20)

    def test_include(self):
        server = self.make().start()
        server.file('slow.php', '<?php usleep(4000000);')
        server.run('include __DIR__ . "/slow.php";')
        self.assertRegex(self.traced(server), rf'(?m)^{ADDRESS} usleep\(\) \S+/slow\.php:1\n{ADDRESS} \[INCLUDE_OR_EVAL\]\(\) \S+/snippet-1\.php:1\n\Z')

    def test_script_that_is_in_no_function(self):
        server = self.make().start()
        server.run('$end = microtime(true) + 4; for ($i = 0; true; $i++) { if ($i % 1000000 == 0 && microtime(true) > $end) { break; } }')
        self.assertRegex(self.traced(server), rf'\A\n{TIME}  \[pool www\] pid \d+\nscript_filename = \S+\n({ADDRESS} microtime\(\) \S+:1\n)?\Z')

    def test_once_per_request_and_counted(self):
        server = self.make([('pm.status_path', '/status')]).start()
        for kind in ('usleep', 'loop'):
            self.run_kind(server, kind)
        text = self.traced(server, 2)
        self.assertEqual(text.count('script_filename'), 2)
        self.assertRegex(server.ping(path='/status').text, r'(?m)^slow requests:\s+2$')

    def test_fast_requests_are_not_logged(self):
        server = self.make([('request_slowlog_timeout', '3s')]).start()
        with server.connect() as connection:
            script = server.script('fast.php', '<?php usleep(900000); echo "ok";')
            for _ in range(4):
                self.assertBody(connection.request(fcgi.script_params(script), keep=True), 'ok')
        self.assertEqual(self.text(), '')
        self.assertNotIn('too slow', server.log_text())

    def test_file_is_made_at_start_and_opened_anew_for_each_trace(self):
        server = self.make().start()
        self.assertEqual(stat.S_IMODE(os.stat(self.slowlog).st_mode), 0o600)
        self.run_kind(server, 'usleep')
        self.traced(server)
        os.rename(self.slowlog, self.slowlog + '.1')                 # as logrotate; no signal
        self.run_kind(server, 'usleep')
        self.assertEqual(self.traced(server, 2).count('script_filename'), 1)
        self.assertEqual(self.text(self.slowlog + '.1').count('script_filename'), 1)

    @ftm_only('the child of php-fpm stays stopped then')
    def test_slowlog_that_cannot_be_opened(self):
        server = self.make().start()
        server.expect_log('unable to open slowlog')
        os.unlink(self.slowlog)
        os.mkdir(self.slowlog)
        self.run_kind(server, 'usleep')
        server.wait_for(rf'ERROR: unable to open slowlog \({re.escape(self.slowlog)}\): Is a directory \(21\)$', 5)
        server.wait_for('finished trace', 5)

    def test_slow_and_terminated(self):
        server = self.make([('request_terminate_timeout', '5s')]).start()
        connection = server.connect()
        connection.send_request(fcgi.script_params(server.script('endless.php', '<?php function f() { while (true) { sleep(100); } } f();')))
        with self.assertRaises(fcgi.Closed):
            connection.read_response()
        connection.close()
        slow = server.wait_for('executing too slow', 5)
        late = server.wait_for('execution timed out', 5)
        self.assertLess(slow.start(), late.start())
        self.assertIn(' f() ', self.traced(server))
