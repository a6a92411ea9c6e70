"""opcache_reset() again and again under load loses nothing, returns true, shows new code, and a killed host recovers with a restart pending."""

import os
import signal
import threading
import time

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, needs_module, time_limit
from ftm.load import Load

SECONDS = float(os.environ.get('FTM_OPCACHE_SECONDS', '10'))

PAGE = '''<?php
require_once __DIR__ . '/lib/a.php';
require_once __DIR__ . '/lib/b.php';
$body = file_get_contents('php://input');
echo $_SERVER['REQUEST_METHOD'], ' ', sha1($body), ' ', (new Lib\\A)->sum(range(1, 50)), ' ', Lib\\B::NAME, ' ', implode(',', array_map(fn($x) => $x->value, Lib\\Kind::cases()));
'''


@needs_module('opcache')
class OpcacheRestart(DaemonTest):
    def make(self, children=8, ini=()):
        server = self.serve([Pool(children=children)], modules=['opcache'],
                            ini={'opcache.enable': '1', 'opcache.validate_timestamps': '1', 'opcache.revalidate_freq': '0', 'opcache.memory_consumption': '64', **dict(ini)})
        server.file('lib/a.php', '<?php namespace Lib; class A { private array $cache = []; function sum(array $x) { return $this->cache["s"] ??= array_sum($x) + strlen(self::class); } }')
        server.file('lib/b.php', '<?php namespace Lib; final class B { const NAME = "constant " . PHP_VERSION_ID . __LINE__; } enum Kind: string { case One = "1"; case Two = "2"; }')
        self.page = server.script('page.php', PAGE)
        self.reset = server.script('reset.php', '<?php var_dump(opcache_reset());')
        self.status = server.script('status.php', '<?php $s = opcache_get_status(); echo json_encode($s === false ? false : ["enabled" => $s["opcache_enabled"], "full" => $s["cache_full"], '
                                    '"pending" => $s["restart_pending"], "scripts" => array_values(array_map("basename", array_keys($s["scripts"] ?? []))), "hits" => $s["opcache_statistics"]["hits"]]);')
        return server

    def json(self, server):
        import json
        return json.loads(server.get(self.status).text)

    def make_request(self, server):
        import hashlib
        expected = server.get(self.page).text.split(' ', 2)[2]

        def make(method, client, number):
            body = (b'%d.%d ' % (client, number)) * 200 if method == 'POST' else b''
            params = fcgi.post_params(self.page, body) if body else fcgi.script_params(self.page)
            want = f'{method} {hashlib.sha1(body).hexdigest()} {expected}'
            return params, body, lambda r: None if r.status == 200 and r.text == want else f'{r.status} {r.text[:100]!r} stderr {r.stderr[:100]!r}'
        return make

    def test_cache_works(self):
        server = self.make()
        for _ in range(3):
            server.get(self.page)
        state = self.json(server)
        self.assertTrue(state['enabled'])
        self.assertLessEqual({'page.php', 'a.php', 'b.php'}, set(state['scripts']))
        self.assertGreater(state['hits'], 0)

    def test_reset_returns_true_and_new_code_appears(self):
        server = self.make(ini={'opcache.validate_timestamps': '0'})
        script = server.script('versioned.php', '<?php echo "version 1";')
        for version in range(1, 4):
            self.assertEqual(server.get(script).text, f'version {version}')
            server.script('versioned.php', f'<?php echo "version {version + 1}";')
            self.assertEqual(server.get(script).text, f'version {version}')
            self.assertBody(server.get(self.reset), 'bool(true)\n')
            self.poll(lambda: server.get(script).text == f'version {version + 1}', 15, 'the new code is seen')
            if is_ftm():
                # Both generations accept for a moment; once the old one is gone, so is the old code.
                self.poll(lambda: len(server.hosts()) == 1, 30, 'the old generation ended')

    @time_limit(300)
    def test_resets_under_32_clients_lose_nothing(self):
        server = self.make(children=8 if is_ftm() else 40)
        with Load(server.pool().address, make=self.make_request(server), clients=32, seconds=SECONDS + 3600, requests=10_000_000, pause=0.005) as load:
            for _ in range(int(SECONDS * 2)):
                self.assertBody(server.get(self.reset), 'bool(true)\n')
                time.sleep(0.5)
            done = load.done
            self.poll(lambda: load.done > done + 200, 20, lambda: str(load.result))
        self.assertEqual(load.result.failed, 0, str(load.result))
        self.poll(lambda: self.json(server)['enabled'] and 'page.php' in self.json(server)['scripts'], 15, 'the cache is in use again')
        if is_ftm():
            self.poll(lambda: len(server.workers()) == 1 and len(server.hosts()) == 1, 45, 'no old generation is left')

    @time_limit(300)
    @ftm_only('php-fpm compiles every page anew until nobody uses its memory any more')
    def test_a_restart_compiles_a_page_once(self):
        """Never slower than the swap: the old generation's pages come from its cache to the end, and of the new one only
        those miss that were under way before the first had stored what it compiled, at most one per context."""
        server = self.make(children=4, ini={'opcache.file_update_protection': '0', 'opcache.memory_consumption': '128'})
        server.file('lib/big.php', '<?php ' + ''.join(f'function big{n}(array $x) {{ foreach ($x as $k => $v) {{ yield $k + {n} => "$v {n}"; }} }}\n' for n in range(2000)) + 'return 1;')
        page = server.script('big.php', '<?php $file = __DIR__ . "/lib/big.php"; echo getmypid(), opcache_is_script_cached($file) ? " cached" : " compiled"; require $file;')
        hits, misses, lock = {}, {}, threading.Lock()

        def note(response):
            pid, _, how = response.text.partition(' ')
            if how not in ('cached', 'compiled'):
                return repr(response)
            with lock:
                counted = hits if how == 'cached' else misses
                counted[pid] = counted.get(pid, 0) + 1
            return None
        with Load(server.pool().address, make=lambda *_: (fcgi.script_params(page), b'', note), clients=8, seconds=SECONDS + 3600, requests=10_000_000, pause=0.002) as load:
            stop = time.monotonic() + SECONDS
            while time.monotonic() < stop or len(hits) < 4:
                self.assertBody(server.get(self.reset), 'bool(true)\n')
                time.sleep(0.5)
        self.assertEqual(load.result.failed, 0, str(load.result))
        self.assertGreater(len(hits), 3, 'generations')
        for pid, number in misses.items():
            self.assertLessEqual(number, 4, f'generation {pid}: {hits} {misses}')

    @ftm_only('a generation per restart is php-ftm')
    def test_at_most_two_generations_at_once(self):
        server = self.make()
        most = 0
        stop = time.monotonic() + 6
        with Load(server.pool().address, make=self.make_request(server), clients=6, seconds=3600, pause=0.01) as load:
            while time.monotonic() < stop:
                server.get(self.reset)
                # One may end and the next start while /proc is read: those count that are all alive afterwards. An
                # engine bears its host's title until it has its own.
                most = max(most, len([pid for pid in server.hosts() if pid in proc.children(server.pid)]))
        self.assertEqual(load.result.failed, 0, str(load.result))
        self.assertLessEqual(most, 2)

    @ftm_only('php-fpm has no hosts')
    def test_host_killed_with_a_restart_pending(self):
        server = self.make()
        for _ in range(3):
            server.get(self.page)
            host = server.hosts()[-1]
            self.assertBody(server.get(self.reset), 'bool(true)\n')
            try:
                os.kill(host, signal.SIGKILL)
            except ProcessLookupError:
                pass

            def good():
                try:
                    return server.get(self.page, timeout=5).status == 200 and self.json(server)['enabled'] and len(server.hosts()) == 1
                except (fcgi.FcgiError, OSError):
                    return False
            self.poll(good, 30, 'serving, with a cache, from one host')
        self.poll(lambda: 'page.php' in self.json(server)['scripts'] or not server.get(self.page), 10)

    def test_restart_because_the_cache_is_full(self):
        """Many scripts in the smallest cache: opcache wants to restart by itself, and every page stays right."""
        server = self.make(ini={'opcache.memory_consumption': '8', 'opcache.max_wasted_percentage': '1', 'opcache.max_accelerated_files': '200', 'opcache.interned_strings_buffer': '1'})
        scripts = [server.script(f'many/{i}.php', f'<?php function f{i}() {{ return {i}; }} $x = [' + ','.join(f'"key{i}-{n}" => {n}' for n in range(400)) + f']; echo f{i}(), " ", count($x);') for i in range(400)]

        def make(method, client, number):
            i = (client * 131 + number * 7) % len(scripts)
            return fcgi.script_params(scripts[i]), b'', lambda r: None if r.text == f'{i} 400' else f'{r.status} {r.text[:80]!r}'
        result = Load(server.pool().address, make=make, clients=6, seconds=4, kinds=('new GET', 'kept GET')).run()
        self.assertEqual(result.failed, 0, str(result))

    def test_protect_memory_does_not_take_memory_from_writing_neighbours(self):
        """A setting for debugging: with it opcache makes its memory read-only for the whole process after each write."""
        server = self.make(ini={'opcache.protect_memory': '1'})
        scripts = [server.script(f'many/{n}.php', f'<?php namespace N{n}; class C {{ public $a = ["a" => {n}, "b" => [1, 2, 3]]; }} echo "page ", {n};') for n in range(200)]
        results = []

        def ask(some):
            for number in some:
                try:
                    results.append(server.get(scripts[number]).text == f'page {number}')
                except fcgi.FcgiError:
                    results.append(False)
        threads = [threading.Thread(target=ask, args=(range(i, 200, 8),)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [True] * 200)

    def test_invalidate_under_load(self):
        server = self.make(children=8 if is_ftm() else 20)
        invalidate = server.script('invalidate.php', '<?php foreach (["page.php", "lib/a.php", "lib/b.php"] as $f) opcache_invalidate(__DIR__ . "/$f", true); echo "done";')
        with Load(server.pool().address, make=self.make_request(server), clients=12, seconds=3600, pause=0.005) as load:
            for _ in range(40):
                self.assertBody(server.get(invalidate), 'done')
                time.sleep(0.02)
        self.assertEqual(load.result.failed, 0, str(load.result))
