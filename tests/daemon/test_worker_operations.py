"""Running workers: what status page and log say of them, and how they are renewed."""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

from ftm import fcgi
from ftm.case import Pool
from ftm.worker import LOOP, WorkerTest

REASONS = ('max_requests', 'max_memory', 'script_end', 'exit', 'fatal', 'timeout', 'crash', 'boot_failure', 'opcache', 'watch', 'reload')


class OperationsTest(WorkerTest):
    def worker(self, settings=(), **kwargs):
        return super().worker(settings=[('pm.status_path', '/status'), *settings], **kwargs)

    def page(self, server, query='json&full'):
        return server.get('/status', query, SCRIPT_NAME='/status', SCRIPT_FILENAME='/status')

    def status(self, server):
        return json.loads(self.page(server).text)

    def workers(self, server):
        return [process for process in self.status(server)['processes'] if process['worker state'] != '-']

    def states(self, server):
        return sorted(worker['worker state'] for worker in self.workers(server))

    def reasons(self, server):
        return {reason: count for reason in REASONS if (count := self.status(server)[f'worker restarts {reason}'])}


class Status(OperationsTest):
    def test_fpm_get_status_has_the_fields_of_the_page(self):
        server = self.worker(children=4, num=2)
        self.php(server, 'exit;')
        self.poll(lambda: (now := self.status(server))['booting workers'] == 0 and now['worker restarts exit'] == 1)
        page = self.status(server)
        array = json.loads(self.php(server, 'echo json_encode(fpm_get_status());').text)
        self.assertEqual({name for name in array if 'worker' in name}, {name.replace(' ', '-') for name in page if 'worker' in name})
        self.assertEqual((array['worker-script'], array['total-workers'], array['worker-restarts'], array['worker-restarts-exit'], array['worker-queue']), (self.script, 2, 1, 1, 0))
        self.assertEqual(array['ready-workers'] + array['busy-workers'], 2)
        self.assertGreaterEqual(array['busy-workers'], 1)
        for one, other in zip(array['procs'], page['processes']):
            self.assertEqual([name for name in one if 'worker' in name], [name.replace(' ', '-') for name in other if 'worker' in name])
        self.assertIn(sorted(process['worker-state'] for process in array['procs']), (['-', '-', 'busy', 'ready'], ['-', '-', 'busy', 'busy']))
        self.assertEqual({process['worker-last-restart'] for process in array['procs']}, {'-', 'exit'})

    def test_all_formats(self):
        server = self.worker(children=4, num=2)
        for _ in range(5):
            self.ask(server)
        # A worker counts a request after its answer.
        self.poll(lambda: sum(worker['worker requests'] for worker in self.workers(server)) == 5 and self.states(server) != ['busy', 'busy'])
        status = self.status(server)
        self.assertEqual((status['worker script'], status['total workers'], status['worker queue'], status['worker restarts']), (self.script, 2, 0, 0))
        self.assertEqual([status[f'{state} workers'] for state in ('booting', 'ready', 'busy', 'failed')].count(0), 2 if status['busy workers'] else 3)
        processes = status['processes']
        self.assertEqual(sum(p['worker requests'] for p in processes), 5)
        self.assertEqual(sorted(p['worker state'] == '-' for p in processes), [False, False, True, True])
        for process in processes:
            self.assertEqual(process['worker state'] != '-', process['worker boot time'] > 0)
            self.assertEqual(process['worker requests'] > 0, process['worker memory'] > 0)
        text = self.page(server, 'full').text
        self.assertIn(f'\nworker script:        {self.script}\n', text)
        self.assertIn('\nworker restarts max_requests: 0\n', text)
        self.assertEqual(len(re.findall(r'^worker state:         (?:ready|busy|-)$', text, re.M)), 4)
        xml = ElementTree.fromstring(self.page(server, 'xml&full').text)
        self.assertEqual((xml.findtext('total-workers'), len(xml.findall('processes/process/worker-last-restart'))), ('2', 4))
        html = self.page(server, 'html&full').text
        self.assertIn(f'<tr><th>worker script</th><td>{self.script}</td></tr>', html)
        self.assertEqual(html.count('<th>worker state</th>'), 1)
        metrics = self.page(server, 'openmetrics').text
        self.assertIn(f'\nphpfpm_total_workers{{worker="{self.script}"}} 2\n', metrics)
        self.assertIn(f'\nphpfpm_worker_restarts{{worker="{self.script}",reason="exit"}} 0\n', metrics)
        self.assertEqual(len(re.findall(r'^# TYPE phpfpm_worker_restarts counter$', metrics, re.M)), 1)
        self.assertTrue(metrics.endswith('# EOF\n'))

    def test_classic_pools_have_php_fpms_fields_only(self):
        server = self.serve([Pool(settings=[('pm.status_path', '/status')])])
        for query in ('full', 'json&full', 'xml&full', 'html&full', 'openmetrics'):
            self.assertNotIn('worker', self.page(server, query).text)

    def test_states(self):
        server = self.worker(children=3, num=2)
        self.assertEqual(self.states(server).count('failed') + self.states(server).count('booting'), 0)
        gate = os.path.join(server.tmp, 'gate')
        with server.connect() as connection:
            code = b'while (!file_exists("%s")) usleep(5000);' % gate.encode()
            connection.send_request(fcgi.post_params(self.script, code, 'application/x-php', QUERY_STRING='do=eval'), code)
            self.poll(lambda: 'busy' in self.states(server))
            self.assertGreaterEqual(self.status(server)['busy workers'], 1)
            open(gate, 'w').close()
            connection.read_response()
        other = os.path.join(server.tmp, 'other')
        server.script('worker.php', f'<?php while (!file_exists("{other}")) usleep(5000); exit(7);')
        self.php(server, 'exit;')
        self.poll(lambda: 'booting' in self.states(server))
        open(other, 'w').close()
        self.poll(lambda: 'failed' in self.states(server))
        server.wait_for(r"WARNING: \[pool www\] worker \d, script '.*worker.php' ended with status 7 before it asked for a request \(1 in a row\), next try in 100 ms")
        server.wait_for(r'\(2 in a row\), next try in 400 ms', 10)

    def test_restarts_by_reason(self):
        server = self.worker(ini={'display_errors': '0', 'ffi.enable': '1'}, modules=['ffi'])
        server.expect_log('crash', 'exited on signal')
        self.php(server, 'exit;')
        self.poll(lambda: self.reasons(server) == {'exit': 1})
        self.php(server, '$x = str_repeat("x", 1 << 40);')
        self.poll(lambda: self.reasons(server) == {'exit': 1, 'fatal': 1})
        self.poll(lambda: [w['worker last restart'] for w in self.workers(server)] == ['fatal'] and self.workers(server)[0]['worker restarts'] == 2)
        server.wait_for(r"NOTICE: \[pool www\] worker 0, script '.*' ended after 1 requests \(exit\)")
        server.wait_for(r"WARNING: \[pool www\] worker 0, script '.*' ended with status 255 after 1 requests \(fatal\)")
        server.wait_for(r"NOTICE: \[pool www\] worker 0 booted script '.*' in \d+\.\d+ seconds", count=2)
        self.assertEqual(self.php(server, 'FFI::cdef("void abort(void);")->abort();').status, 500)
        self.poll(lambda: self.reasons(server) == {'exit': 1, 'fatal': 1, 'crash': 1}, 15)

    def test_script_that_ends_by_itself(self):
        server = self.worker(source='<?php for ($i = 0; $i < 3 && frankenphp_handle_request(fn() => print "x"); $i++);')
        for _ in range(7):
            self.ask(server)
        self.poll(lambda: self.reasons(server) == {'script_end': 2})
        server.wait_for(r"NOTICE: \[pool www\] worker 0, script '.*' ended after 3 requests \(script_end\)", count=2)

    def test_time_limit(self):
        server = self.worker(settings=[('request_terminate_timeout', '1')])
        with self.assertRaises(fcgi.Closed):
            self.php(server, 'sleep(20);')
        self.poll(lambda: self.reasons(server) == {'timeout': 1}, 10)


class Successors(OperationsTest):
    """A worker that is to boot again serves until another one has."""

    def gated(self, **kwargs):
        """Boots after the first one wait for a file."""
        self.gate = None
        boot = '''$mine = __DIR__ . "/../tmp/booted"; $again = file_exists($mine); touch($mine);
            while ($again && !file_exists(__DIR__ . "/../tmp/gate")) usleep(2000);'''
        server = self.worker(boot=boot, **kwargs)
        self.gate = os.path.join(server.tmp, 'gate')
        return server

    def test_worn_worker_serves_until_its_successor_has_booted(self):
        server = self.gated(settings=[('worker.max_requests', '5')])
        first = self.ask(server, 'booted').text
        for _ in range(5):
            self.ask(server)
        self.poll(lambda: 'booting' in self.states(server))
        self.assertEqual({self.ask(server, 'booted').text for _ in range(30)}, {first})
        open(self.gate, 'w').close()
        self.poll(lambda: self.ask(server, 'booted').text != first)
        self.poll(lambda: self.status(server)['total workers'] == 1)
        self.assertNotIn(first, [self.ask(server, 'booted').text for _ in range(20)])
        self.assertEqual(set(self.reasons(server)), {'max_requests'})

    def test_code_that_does_not_boot_does_not_take_the_pool_down(self):
        server = self.worker(settings=[('worker.max_requests', '5')], children=3, num=2)
        good = LOOP % {'boot': '', 'callback': 'echo $booted;', 'after': '', 'end': ''}
        before = {self.ask(server, 'booted').text for _ in range(8)}
        server.script('worker.php', '<?php throw new Exception("broken release");')
        self.poll(lambda: self.ask(server, 'booted').status == 200 and 'failed' in self.states(server))
        self.assertEqual({self.ask(server).status for _ in range(100)}, {200})
        server.script('worker.php', good)
        self.poll(lambda: self.ask(server).text not in {*before, 'hello'} and self.reasons(server).get('max_requests', 0) > 1, 15)
        self.poll(lambda: self.states(server).count('ready') + self.states(server).count('busy') == 2)

    def test_code_after_the_loop_runs(self):
        server = self.worker(settings=[('worker.max_requests', '3')], end='error_log("said at the end of $count");')
        for _ in range(20):
            self.ask(server)
        server.wait_for(r'PHP message: said at the end of \d', 10)

    def test_many_workers_under_load(self):
        server = self.worker(settings=[('worker.max_requests', '20')], children=5, num=4)
        with server.connect() as one, server.connect() as two:
            for i in range(500):
                for connection in (one, two):
                    self.assertEqual(self.ask(server, '', connection).status, 200)
        self.poll(lambda: self.reasons(server).get('max_requests', 0) > 3)
        self.assertEqual(set(self.reasons(server)), {'max_requests'})
        self.poll(lambda: self.states(server) == ['ready'] * 4 or self.status(server)['total workers'] == 4)


class Memory(OperationsTest):
    def test_worker_that_grows_is_renewed(self):
        server = self.worker(settings=[('worker.max_memory', '24M')], ini={'memory_limit': '512M'})
        leak = '$GLOBALS["kept"][] = str_repeat("x", 2 << 20); echo memory_get_usage(true);'
        usage = []
        self.poll(lambda: usage.append(int(self.php(server, leak).text)) or self.reasons(server).get('max_memory', 0) >= 3, 20)
        self.assertGreater(max(usage), 20 << 20)
        server.wait_for(r'NOTICE: \[pool www\] worker \d, script .* ended after \d+ requests \(max_memory\)')

    def test_worker_that_does_not_grow_stays(self):
        server = self.worker(settings=[('worker.max_memory', '24M')])
        for _ in range(30):
            self.php(server, '$x = str_repeat("x", 1 << 20);')
        self.assertEqual(self.reasons(server), {})

    def test_engine_that_grows_is_replaced(self):
        server = self.worker(settings=[('pm.max_memory', '150M')], ini={'memory_limit': '512M'}, children=3, num=2)
        first = server.workers()
        replaced = re.compile(r'NOTICE: \[pool www\] child \d+ has \d+ MiB of private memory \(pm.max_memory = 150 MiB\), replacing it')
        with server.connect() as kept:
            def grow():
                code = b'$GLOBALS["kept"][] = str_repeat("x", 8 << 20); echo "grown";'
                answer = kept.request(fcgi.post_params(self.script, code, 'application/x-php', QUERY_STRING='do=eval'), code)
                self.assertEqual(answer.text, 'grown')
                return replaced.search(server.log_text())
            self.poll(grow, 20, interval=0.1)
        self.poll(lambda: server.workers() and not set(first) & set(server.workers()), what='another engine')
        self.poll(lambda: self.reasons(server) == {'max_memory': 2}, what=lambda: self.reasons(server))
        self.assertEqual({w['worker last restart'] for w in self.workers(server)}, {'max_memory'})

    def test_engine_of_a_classic_pool(self):
        server = self.serve([Pool(children=2, settings=[('pm.max_memory', '100M')])], modules=['ffi'], ini={'ffi.enable': '1'})
        [first] = server.workers()
        script = server.script('leak.php', '<?php $x = FFI::new("char[16777216]", false, true); FFI::memset($x, 1, 16777216); echo "ok";')
        for _ in range(8):
            self.assertEqual(server.get(script).text, 'ok')
        server.wait_for(r'replacing it', 15)
        plain = server.script('plain.php', '<?php echo getmypid();')
        self.poll(lambda: server.get(plain).text != str(first), 15)
        self.poll(lambda: server.workers() != [first] and len(server.workers()) == 1, 15)


class Debug(OperationsTest):
    def test_script_boots_for_every_request(self):
        server = self.worker(settings=[('worker.debug', 'on')], children=3, num=2)
        self.assertEqual(len({self.ask(server, 'booted').text for _ in range(20)}), 20)
        with server.connect() as connection:
            self.assertEqual([self.ask(server, 'count', connection).text for _ in range(5)], ['1'] * 5)
        self.assertEqual(self.reasons(server), {})
        self.assertNotIn('WARNING', server.log_text())

    def test_changed_code_acts_on_the_next_request(self):
        server = self.worker(settings=[('worker.debug', 'on')])
        for text in ('one', 'two', 'three'):
            server.script('worker.php', LOOP % {'boot': '', 'callback': f'echo "{text}";', 'after': '', 'end': ''})
            self.assertEqual(self.ask(server).text, text)

    def test_code_that_does_not_boot_is_an_error_of_that_request_only(self):
        server = self.worker(settings=[('worker.debug', 'on')], ini={'display_errors': '0'})
        server.script('worker.php', '<?php throw new Exception("broken");')
        for _ in range(3):
            self.assertEqual(self.ask(server).status, 500)
        server.wait_for('Uncaught Exception: broken')
        server.script('worker.php', LOOP % {'boot': '', 'callback': 'echo "mended";', 'after': '', 'end': ''})
        self.assertEqual(self.ask(server).text, 'mended')

    def test_ends_and_neighbours(self):
        server = self.worker(settings=[('worker.debug', 'on')], children=4, num=2, end='error_log("after the loop");')
        self.assertEqual(self.php(server, 'echo "x"; exit(3);').text, 'x')
        other = server.script('other.php', '<?php echo "classic";')
        self.assertEqual(server.get(other).text, 'classic')
        self.assertEqual(self.ask(server, 'count').text, '1')
        server.wait_for('PHP message: after the loop')
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.ask(server, 'booted', ).text, range(100)))
        self.assertEqual(len(set(answers)), 100)


class Queues(OperationsTest):
    def test_full_queue_of_one_kind_is_no_business_of_the_other(self):
        server = self.worker(settings=[('request_queue_limit', '2')])
        gate = os.path.join(server.tmp, 'gate')
        slow = server.script('slow.php', f'<?php touch("{gate}-runs"); while (!file_exists("{gate}")) usleep(5000); echo "done";')
        waiting = []
        for _ in range(3):  # one runs, two wait
            connection = server.connect(timeout=30)
            self.addCleanup(connection.close)
            connection.send_request(fcgi.script_params(slow))
            waiting.append(connection)
            self.poll(lambda: os.path.exists(gate + '-runs'), 10)
        self.poll(lambda: self.status(server)['listen queue'] >= 2)
        self.assertEqual([self.ask(server, 'count').text for _ in range(3)], ['1', '2', '3'])
        self.assertEqual(server.get(slow).status, 503)
        open(gate, 'w').close()
        for connection in waiting:
            self.assertEqual(connection.read_response().text, 'done')


class Booting(OperationsTest):
    def test_slow_boot_leaves_the_standby_thread_asleep(self):
        began = 'booting'
        server = self.worker(boot=f'touch(__DIR__ . "/../tmp/{began}"); while (!file_exists(__DIR__ . "/../tmp/go")) usleep(5000);', start_wait=False)
        self.poll(lambda: os.path.exists(os.path.join(server.tmp, began)), 20)
        [engine] = server.workers()
        before = self.switches(engine)
        time.sleep(2)  # it is about how often it wakes in this time
        woken = self.switches(engine) - before
        open(os.path.join(server.tmp, 'go'), 'w').close()
        server.wait_ready()
        self.assertLess(woken, 300, 'a look every 50 ms, and a sweep')

    def switches(self, pid):
        with open(f'/proc/{pid}/task/{pid}/status') as file:
            return int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', file.read(), re.M).group(1))
