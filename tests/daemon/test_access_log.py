"""The access log under load, over SIGUSR1, crashes and reloads; requests that php-fpm does not have (503 from the queue).

Lines, formats and files are compared with php-fpm in compat-tests/differential (group accesslog).
"""

import os
import re
import signal
import stat
import threading

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, needs_module, root_only
from ftm.load import KeptFlood
from ftm.server import free_port

# 0.3 s of processor time.
SPIN = '<?php $used = fn() => ($u = getrusage())["ru_utime.tv_sec"] + $u["ru_stime.tv_sec"] + ($u["ru_utime.tv_usec"] + $u["ru_stime.tv_usec"]) / 1e6; $t = $used(); while ($used() - $t < 0.3); echo 1;'
HOLD = '<?php touch($_GET["f"] . uniqid("", true)); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } echo "released";'


class AccessLogTest(DaemonTest):
    def start(self, children=2, settings=(), pools=(), form='"%m %r%Q%q %s"', **kwargs):
        kwargs.setdefault('settings', {'process_control_timeout': '10'})
        settings = {'access.log': '{root}/logs/access.log', 'access.format': form, **dict(settings)}
        self.server = self.serve([Pool(children=children, settings=settings), *pools], start=False, **kwargs)
        self.directory = os.path.join(self.server.root, 'logs')
        os.mkdir(self.directory, 0o700)  # nobody but root may open files here
        self.log = os.path.join(self.directory, 'access.log')
        for pool in self.server.pools:
            pool.settings = [(k, str(v).replace('{root}', self.server.root)) for k, v in pool.settings]
        self.server.write_conf()
        self.server.start()
        self.hello = self.server.script('hello.php', '<?php echo "hello";')
        return self.server

    def read(self, path=None):
        """Its whole lines: one that is being written may be seen in part."""
        with open(path or self.log, encoding='utf-8', errors='backslashreplace') as f:
            return [line[:-1] for line in f if line.endswith('\n')]

    def wait_lines(self, count, path=None):
        return self.poll(lambda: (lines := self.read(path)) and len(lines) >= count and lines, 10, lambda: '\n'.join(self.read(path)[-20:]))

    def reopen(self):
        since = self.server.mark()
        self.server.kill(signal.SIGUSR1)
        self.server.wait_for('NOTICE: access log file re-opened$', 10, since)

    def serves(self):
        try:
            return self.server.get(self.hello).text == 'hello'
        except (fcgi.FcgiError, OSError):
            return False


class UnderLoad(AccessLogTest):
    LINE = re.compile(r'GET /hello\.php\?[A-Za-z0-9]{300} 200 /srv/hello\.php')

    def flood(self, seconds):
        return KeptFlood(self.server.pool().address, fcgi.script_params(self.hello, QUERY_STRING='Ab3' * 100, HTTP_X='/srv/hello.php'), 8, seconds=seconds, expect=b'hello')

    def test_lines_are_whole_and_none_is_missing(self):
        self.start(children=8, form='"%m %r%Q%q %s %{HTTP_X}e"')
        result = self.flood(2).run()
        self.assertEqual(result.failed, 0, str(result))
        served = result.requests
        lines = self.wait_lines(served)
        self.assertEqual([line for line in lines if not self.LINE.fullmatch(line)], [])
        # A request that was sent at the end and whose answer nobody read is logged too.
        self.assertLessEqual(len(lines), served + 8)

    @ftm_only('php-fpm ends its children')
    def test_reopening_loses_no_line_and_restarts_nothing(self):
        self.start(children=4, form='"%m %r%Q%q %s %{HTTP_X}e"')
        pid = self.server.workers()
        flood = self.flood(300)
        thread = threading.Thread(target=flood.run)
        thread.start()
        try:
            for n in range(4):
                self.poll(lambda: len(self.read()) > 20, 10, lambda: f'{n}: {len(self.read())} lines')
                os.rename(self.log, f'{self.log}.{n}')
                self.reopen()
            self.poll(lambda: len(self.read()) > 20, 10)
        finally:
            flood.stop()
            thread.join()
        self.assertEqual(flood.result.failed, 0, str(flood.result))
        served = flood.result.requests
        files = [self.log, *(f'{self.log}.{n}' for n in range(4))]
        lines = self.poll(lambda: (found := [line for path in files for line in self.read(path)]) and len(found) >= served and found, 10)
        self.assertEqual([line for line in lines if not self.LINE.fullmatch(line)], [])
        self.assertLessEqual(len(lines), served + 8)
        self.assertEqual(self.server.workers(), pid)


class Files(AccessLogTest):
    @root_only
    def test_the_pools_user_needs_no_right_to_the_file(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.stat(self.log).st_mode), 0o600)
        self.assertEqual(os.stat(self.log).st_uid, 0)
        self.server.get(self.hello)
        self.assertEqual(self.wait_lines(1), ['GET /hello.php 200'])
        os.rename(self.log, self.log + '.1')
        self.reopen()
        self.poll(self.serves, 10)
        self.wait_lines(1)
        self.assertEqual(stat.S_IMODE(os.stat(self.log).st_mode), 0o600)

    @ftm_only('its engine')
    def test_an_engine_that_starts_after_reopening_writes_to_the_new_file(self):
        self.start()
        self.server.get(self.hello)
        os.rename(self.log, self.log + '.1')
        self.reopen()
        pid, = self.server.workers()
        # The host forks the next engine: it must have the new file too, and has it when it has passed it on.
        self.poll(lambda: self.log in proc.descriptors(pid).values(), what='the engine has the new file')
        os.kill(pid, signal.SIGKILL)
        self.server.wait_for('exited on signal 9')
        self.poll(lambda: self.server.workers() not in ([pid], []) and self.serves(), 10)
        self.wait_lines(1)
        self.assertEqual(len(self.read(self.log + '.1')), 1)

    def test_pools_have_their_own_files_and_some_have_none(self):
        self.start(pools=[Pool('api', settings={'access.log': '{root}/logs/$pool.log', 'access.format': '%n'}), Pool('quiet')])
        for pool in ('www', 'api', 'quiet'):
            self.server.get(self.hello, pool=pool)
        self.assertEqual(self.wait_lines(1), ['GET /hello.php 200'])
        self.assertEqual(self.wait_lines(1, f'{self.directory}/api.log'), ['api'])
        self.assertEqual(sorted(os.listdir(self.directory)), ['access.log', 'api.log'])
        for pool in ('www', 'api'):
            os.rename(f'{self.directory}/{"access" if pool == "www" else pool}.log', f'{self.directory}/{pool}.old')
        self.reopen()
        self.poll(lambda: self.serves() and len(self.read()) > 0, 10)
        self.poll(lambda: self.server.get(self.hello, pool='api').text == 'hello' if is_ftm() else self.api_serves(), 10)
        self.wait_lines(1, f'{self.directory}/api.log')

    def api_serves(self):
        try:
            return self.server.get(self.hello, pool='api').text == 'hello'
        except (fcgi.FcgiError, OSError):
            return False

    def test_reload_moves_to_another_file_and_format(self):
        self.start()
        self.server.get(self.hello)
        self.wait_lines(1)
        other = os.path.join(self.directory, 'other.log')
        self.server.pools[0].settings = [('access.log', other), ('access.format', '"new %s"')]
        self.server.write_conf()
        since = self.server.mark()
        self.server.kill(signal.SIGUSR2)
        self.server.wait_for(r'NOTICE: ready to handle connections$', 15, since)
        self.poll(lambda: self.server.get(self.hello).text == 'hello' and self.read(other)[-1:] == ['new 200'], 10)

    @ftm_only('php-fpm ends with nothing serving')
    def test_reload_to_a_bad_format_is_refused(self):
        self.start()
        self.server.expect_log('reload refused')
        self.server.pools[0].settings = [('access.log', self.log), ('access.format', '%y')]
        self.server.write_conf()
        since = self.server.mark()
        self.server.kill(signal.SIGUSR2)
        self.server.wait_for(r"ERROR: reload refused.*wrong format for access\.format '%y'", 15, since)
        self.server.get(self.hello)
        self.assertEqual(self.wait_lines(1), ['GET /hello.php 200'])

    @ftm_only('php-fpm ends what runs')
    def test_a_draining_generation_follows_a_reopened_file(self):
        self.start(children=2)
        go = os.path.join(self.server.tmp, 'go')
        script = self.server.script('hold.php', HOLD)
        marks = os.path.join(self.server.tmp, 'mark')
        with self.server.connect(timeout=60) as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={marks}&go={go}'))
            self.poll(lambda: any(name.startswith('mark') for name in os.listdir(self.server.tmp)), 10)
            since = self.server.mark()
            self.server.kill(signal.SIGUSR2)
            self.server.wait_for(r'NOTICE: ready to handle connections$', 15, since)
            os.rename(self.log, self.log + '.1')
            old, engines = self.log + '.1', self.server.workers()
            self.reopen()
            self.poll(lambda: not any(old in proc.descriptors(pid).values() for pid in engines), what='both generations have the new file')
            open(go, 'w').close()
            self.assertBody(connection.read_response(), 'released')
        self.assertIn('hold.php', self.wait_lines(1)[0])
        self.assertEqual(self.read(self.log + '.1'), [])

    def test_programs_that_scripts_start_do_not_get_the_file(self):
        self.start()
        listing = self.server.run('passthru("ls -l /proc/self/fd/");').text
        self.assertIn('->', listing)
        self.assertNotIn('access.log', listing)


class Requests(AccessLogTest):
    def hold(self, count):
        self.go = os.path.join(self.server.tmp, 'go')
        script = self.server.script('hold.php', HOLD)
        self.held = []
        for _ in range(count):
            connection = self.server.connect(timeout=60)
            self.addCleanup(connection.close)
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={self.server.tmp}/mark&go={self.go}'))
            self.held.append(connection)
        self.poll(lambda: sum(name.startswith('mark') for name in os.listdir(self.server.tmp)) >= count, 10)

    def release(self):
        open(self.go, 'w').close()
        for connection in self.held:
            self.assertBody(connection.read_response(), 'released')

    @ftm_only('php-fpm has no queue')
    def test_a_refused_request_is_logged_with_503(self):
        self.start(children=1, settings={'request_queue_timeout': '1s'}, form='"%R %u %m %r%Q%q %s %f %l %M"')
        self.hold(1)
        response = self.server.post(self.hello, b'abc', QUERY_STRING='a=b', HTTP_AUTHORIZATION='Basic YWxpY2U6c2VjcmV0')
        self.assertEqual(response.status, 503)
        self.assertEqual(self.wait_lines(1), [f'- alice POST /hello.php?a=b 503 {self.hello} 3 0'])
        self.release()

    @ftm_only('php-fpm answers in a child')
    def test_status_and_ping_are_logged_while_every_context_is_busy(self):
        self.start(children=1, settings={'pm.status_path': '/status', 'ping.path': '/ping'}, form='"%m %r%Q%q %s %p %P"')
        self.hold(1)
        self.server.ping()
        self.server.ping(path='/status')
        ids = f'{self.server.workers()[0]} {self.server.pid}'
        self.assertEqual(self.wait_lines(2), [f'GET /ping 200 {ids}', f'GET /status 200 {ids}'])
        self.release()
        self.assertEqual(self.wait_lines(3)[2].split()[:1], ['GET'])

    def test_requests_of_status_listen_are_not_logged(self):
        port = free_port()
        self.start(settings={'pm.status_path': '/status', 'pm.status_listen': f'127.0.0.1:{port}'})
        fcgi.request(('127.0.0.1', port), fcgi.script_params('/x', SCRIPT_NAME='/status'))
        self.server.get(self.hello)
        self.assertEqual(self.wait_lines(1), ['GET /hello.php 200'])

    def test_the_address_of_a_tcp_client(self):
        self.start(form='%R', pools=[Pool('six', listen=f'[::]:{free_port()}', settings={'access.log': '{root}/logs/six.log', 'access.format': '%R'})])
        script = self.server.script('finish.php', '<?php echo "x"; fastcgi_finish_request(); usleep(20000);')
        port = self.server.pools[1].address[1]
        for address in ('127.0.0.1', '::1'):
            fcgi.request((address, port), fcgi.script_params(script))
        self.assertEqual(sorted(self.wait_lines(2, f'{self.directory}/six.log')), ['127.0.0.1', '::1'])

    def test_cpu_share(self):
        self.start(children=1, form='"%C %{user}C %{system}C %{seconds}d"')
        spin = self.server.script('spin.php', SPIN)
        sleep = self.server.script('sleep.php', '<?php usleep(300000); echo 1;')
        self.server.get(spin)
        self.server.get(sleep)
        busy, idle = ([float(x) for x in line.split()] for line in self.wait_lines(2))
        # A share of the time that the request took, which is longer where others use the processor.
        self.assertGreater(busy[0] * busy[3], 20)
        self.assertLess(busy[0], 110)
        self.assertGreater((busy[1] + busy[2]) * busy[3], 20)
        self.assertLess(idle[0] * idle[3], 8)

    @needs_module('ffi')
    @ftm_only('php-fpm restarts the child')
    def test_a_crashed_request_leaves_no_line_and_its_neighbour_its_own(self):
        self.start(children=2, modules=['ffi'], ini={'ffi.enable': '1'})
        self.server.expect_log('.*')
        self.hold(1)
        self.server.get(self.server.script('crash.php', "<?php FFI::memset(FFI::cast('char *', 0), 0, 1);"))
        self.server.wait_for('crashed on signal 11', 20)
        self.release()
        self.poll(self.serves, 10)
        lines = self.wait_lines(2)
        self.assertEqual([line for line in lines if 'crash.php' in line], [])
        self.assertEqual(sum('hold.php' in line for line in lines), 1)


class Cost(AccessLogTest):
    REQUESTS = 200

    def writes_of(self, pool):
        """write(2) calls of the pool's process while it serves; answers are sent otherwise.  The least of some rounds, as
        the standby thread has its own from time to time."""
        def count():
            pid, = self.server.workers(pool)
            with open(f'/proc/{pid}/io', encoding='ascii') as f:
                return int(dict(line.split(': ') for line in f.read().splitlines())['syscw'])
        with self.server.connect(pool) as connection:
            connection.request(fcgi.script_params(self.hello), keep=True)
            return min(self.served(connection, count) for _ in range(5))

    def served(self, connection, count):
        before = count()
        for _ in range(self.REQUESTS):
            self.assertBody(connection.request(fcgi.script_params(self.hello, QUERY_STRING='x' * 400), keep=True), 'hello')
        return count() - before

    @root_only
    @ftm_only('other processes, other calls')
    def test_one_write_per_request_in_pools_that_log_and_none_elsewhere(self):
        self.start(children=4, form='"%m %r%Q%q %s %{HTTP_HOST}e %{Content-type}o"', pools=[Pool('quiet')])
        spare = self.REQUESTS // 10  # wake-ups of the standby thread
        self.assertLessEqual(self.writes_of('quiet'), spare)
        written = self.writes_of('www')
        self.assertGreaterEqual(written, self.REQUESTS)
        self.assertLessEqual(written, self.REQUESTS + spare)
