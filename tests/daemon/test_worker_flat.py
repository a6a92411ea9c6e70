"""Workers' memory and descriptors stay flat: sessions, uploads, exceptions, exits, recyclings, 20,000 requests.

    FTM_FLAT_REQUESTS=1000000 tests/daemon/run test_worker_flat     # as many as you like; prints what it has measured
"""

import os
import sys
import time

from ftm import fcgi, proc
from ftm.case import sanitized, time_limit
from ftm.http import multipart
from ftm.load import Load
from ftm.worker import WorkerTest

REQUESTS = int(os.environ.get('FTM_FLAT_REQUESTS', '20000'))
SOURCE = '''<?php
class App { public array $cache = []; }
$app = new App;
for ($i = 0; $i < 2000; $i++) $app->cache["key $i"] = str_repeat("x", $i % 100);
while (frankenphp_handle_request(function () use ($app) {
    switch ($_GET["do"]) {
        case "session": session_id(str_repeat("a", 16) . $_GET["n"] % 50); session_start(); $_SESSION["n"] = $_GET["n"]; session_write_close(); break;
        case "upload": if ($_FILES["f"]["size"] !== 20000 || !file_exists($_FILES["f"]["tmp_name"])) http_response_code(500); break;
        case "body": if (strlen(file_get_contents("php://input")) !== 3000) http_response_code(500); break;
        case "memory": $x = []; for ($i = 0; $i < 5000; $i++) $x[] = str_repeat("y", 200); break;
        case "exception": throw new Exception("expected");
        case "exit": echo "n ", $_GET["n"]; exit;
        case "buffers": ob_start(); ob_start(); echo "n "; register_shutdown_function(fn() => 1); set_error_handler(fn() => true); echo $undefined; restore_error_handler(); echo $_GET["n"]; return;
    }
    echo "n ", $_GET["n"];
}));
'''
KINDS = ('plain', 'session', 'upload', 'plain', 'memory', 'body', 'plain', 'buffers', 'exception', 'plain')


class Flat(WorkerTest):
    def make(self, method, client, number):
        kind = 'exit' if number % 1009 == 0 else KINDS[number % len(KINDS)]
        params, body = {'QUERY_STRING': f'do={kind}&n={number}'}, b''
        if kind == 'upload':
            body, content_type = multipart([('t', 'v')], [('f', 'a.txt', 'text/plain', b'x' * 20000)])
            params = fcgi.post_params(self.script, body, content_type, **params)
        elif kind == 'body':
            body = b'y' * 3000
            params = fcgi.post_params(self.script, body, 'text/plain', **params)
        else:
            params = fcgi.script_params(self.script, **params)

        def check(answer):
            wanted = (500, '') if kind == 'exception' else (200, f'n {number}')
            return None if (answer.status, answer.text) == wanted else f'{kind} gave {answer.status}'
        return params, body, check

    def measure(self, engine):
        return proc.private_memory(engine), len(proc.descriptors(engine)), proc.thread_count(engine)

    @time_limit(3600 + REQUESTS // 10)
    def test_memory_and_descriptors(self):
        server = self.worker(source=SOURCE, children=5, num=4, settings=[('worker.max_requests', '200')],
                             modules=['opcache'], ini={'display_errors': '0', 'log_errors': '0'})
        [engine] = server.workers()
        samples = []
        step = REQUESTS // 20
        with Load(server.pool().address, clients=4, kinds=('kept GET', 'kept GET', 'new GET', 'kept GET'), seconds=3000 + REQUESTS // 10,
                  requests=REQUESTS, make=self.make, timeout=60) as load:
            for count in range(step, REQUESTS + 1, step):
                self.poll(lambda: load.done >= count or load.result.failures, 600 + REQUESTS // 10, interval=0.05)
                samples.append(self.measure(engine))
            while load.done < REQUESTS and not load.result.failures:
                time.sleep(0.05)
            result = load.wait()
        self.assertEqual(result.failed, 0, str(result))
        self.assertEqual(server.workers(), [engine])
        restarts = server.log_text().count('(max_requests)')
        text = ', '.join(f'{memory / 2**20:.1f} MiB {files} fds {threads} threads' for memory, files, threads in samples)
        if 'FTM_FLAT_REQUESTS' in os.environ:
            sys.stderr.write(f'{result}\n{restarts} recycled by max_requests, {server.log_text().count("(exit)")} by exit\n{text}\n')
        self.assertGreater(restarts, REQUESTS // 1000, 'workers have been recycled')
        warm, late = samples[:len(samples) // 2], samples[-len(samples) // 4:]
        # one worker more than usual may be there while a successor boots
        self.assertLess(max(memory for memory, _, _ in late), max(memory for memory, _, _ in warm) + ((64 if sanitized() else 8) << 20), text)     # a sanitizer's own memory grows on
        self.assertLessEqual(max(files for _, files, _ in late), max(files for _, files, _ in warm) + 4, text)
        self.assertLessEqual(max(threads for *_, threads in late), max(threads for *_, threads in warm) + 1, text)
