"""Status and ping where php-fpm has none: while every context is busy and the queue is full; pm.status_listen over reloads; listen queue; CPU time.

What both have is compared in compat-tests/differential (group status).
"""

import grp
import json
import os
import pwd
import signal
import socket
import stat

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, root_only
from ftm.server import SUPPORT, StartError, free_port

HOLD = '<?php touch($_GET["f"] . uniqid("", true)); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } echo "released";'


class StatusTest(DaemonTest):
    SETTINGS = {'process_control_timeout': '10'}

    def start(self, children=2, listen='unix', settings=(), status_listen='tcp', **kwargs):
        self.status = ('127.0.0.1', free_port()) if status_listen == 'tcp' else None
        if self.status:
            settings = [('pm.status_listen', '%s:%d' % self.status), *settings]
        kwargs.setdefault('settings', self.SETTINGS)
        self.server = self.serve([Pool(children=children, listen=listen, settings=[('pm.status_path', '/status'), ('ping.path', '/ping'), *settings])], **kwargs)
        self.children = children
        self.go = os.path.join(self.server.tmp, 'go')
        self.marks = os.path.join(self.server.tmp, 'marks')
        os.mkdir(self.marks)
        os.chmod(self.marks, 0o777)
        self.script = self.server.script('hold.php', HOLD)
        self.held = []
        return self.server

    def send_hold(self, keep=False):
        connection = self.server.connect(timeout=60)
        self.addCleanup(connection.close)
        connection.send_request(fcgi.script_params(self.script, QUERY_STRING=f'f={self.marks}/&go={self.go}'), keep=keep)
        self.held.append(connection)
        return connection

    def occupy(self):
        for _ in range(self.children):
            self.send_hold()
        self.poll(lambda: len(os.listdir(self.marks)) >= self.children, 10)

    def release(self, refused=False):
        """With `refused`, 503 is an answer too: requests of more connections may be read than the queue has room for."""
        open(self.go, 'w').close()
        for connection in self.held:
            self.assertIn(connection.read_response().text, ('released', 'Service Unavailable\n') if refused else ('released',))

    def page(self, query='json', address=None, path='/status'):
        response = fcgi.request(address or self.server.pools[0].address, fcgi.script_params('/nowhere', SCRIPT_NAME=path, QUERY_STRING=query))
        self.assertEqual(response.status, 200, repr(response))
        return response.text

    def figures(self, address=None, full=False):
        return json.loads(self.page('json&full' if full else 'json', address))


@ftm_only('php-fpm answers in a child')
class WhileBusy(StatusTest):
    def test_every_format_on_both_addresses(self):
        self.start(children=2)
        self.occupy()
        waiting = [self.send_hold() for _ in range(3)]
        self.poll(lambda: self.figures()['listen queue'] == 3, 5, lambda: str(self.figures()))
        for address in (None, self.status):
            with self.subTest(address=address):
                self.assertRegex(self.page('', address), r'(?m)^active processes:     2$')
                self.assertRegex(self.page('html&full', address), r'<th>active processes</th><td>2</td>')
                self.assertRegex(self.page('xml&full', address), r'<idle-processes>0</idle-processes>')
                self.assertRegex(self.page('openmetrics', address), r'(?m)^phpfpm_listen_queue 3$')
                self.assertEqual(self.page('', address, '/ping'), 'pong')
                figures = self.figures(address, full=True)
                self.assertEqual([p['state'] for p in figures['processes']], ['Running', 'Running'])
                self.assertEqual({p['script'] for p in figures['processes']}, {self.script})
        self.assertEqual(len(waiting), 3)
        self.release()
        self.poll(lambda: self.figures()['listen queue'] == 0, 5)
        self.assertGreaterEqual(self.figures()['max listen queue'], 3)

    def full_queue(self, listen, **kwargs):
        self.start(children=1, listen=listen, settings=[('request_queue_limit', '2'), ('listen.backlog', '20')], **kwargs)
        self.occupy()
        for _ in range(2):
            self.send_hold()
        self.poll(lambda: self.figures(self.status)['listen queue'] == 2, 5, lambda: str(self.figures(self.status)))
        for _ in range(5):  # our queue is full: these wait in the kernel's backlog
            self.send_hold()

    def test_a_full_queue_counts_the_backlog_of_a_unix_socket(self):
        self.full_queue('unix')
        self.poll(lambda: self.figures(self.status)['listen queue'] == 7, 5, lambda: str(self.figures(self.status)))
        self.assertEqual(self.figures(self.status)['listen queue len'], 20)
        self.assertEqual(self.page('', self.status, '/ping'), 'pong')
        self.release(refused=True)
        self.assertEqual(self.figures()['max listen queue'], 7)

    def test_a_full_queue_counts_the_backlog_of_a_tcp_socket(self):
        self.full_queue('tcp')
        self.poll(lambda: self.figures(self.status)['listen queue'] == 7, 5, lambda: str(self.figures(self.status)))
        self.assertEqual(self.figures(self.status)['listen queue len'], 20)
        self.release(refused=True)
        self.assertEqual(self.figures()['max listen queue'], 7)

    def test_without_netlink_our_own_queue_is_shown(self):
        self.full_queue('unix', wrapper=[os.path.join(SUPPORT, 'deny-netlink')])
        self.poll(lambda: self.figures(self.status)['listen queue'] == 2, 5, lambda: str(self.figures(self.status)))
        self.assertEqual(self.figures(self.status)['listen queue len'], 0)
        self.release(refused=True)

    def test_the_backlogs_peak_is_seen_without_anybody_asking(self):
        self.full_queue('unix')
        self.poll(lambda: len(os.listdir(self.marks)) == 1, 5)
        # The standby thread looks every 50 ms while the queue is full; our own queue alone would be 2.
        self.poll(lambda: self.peak_in_scoreboard() == 7, 5, lambda: str(self.peak_in_scoreboard()))
        self.release(refused=True)
        self.assertEqual(self.figures()['max listen queue'], 7)

    def peak_in_scoreboard(self):
        """From the engine's shared memory, as a status page would look at the backlog itself."""
        pid, = self.server.workers()
        for name, what in proc.descriptors(pid).items():
            if 'php-fpm scoreboard' in what:
                with open(f'/proc/{pid}/fd/{name}', 'rb') as f:
                    data = f.read(48 + 5 * 8)
                return int.from_bytes(data[48 + 4 * 8:], 'little')
        return None


class StatusListen(StatusTest):
    def test_is_not_counted(self):
        self.start(children=1)
        for _ in range(3):
            self.page('json', self.status)
        figures = self.figures(self.status, full=True)
        self.assertEqual(figures['pool'], 'www')
        self.assertEqual(figures['accepted conn'], 0)
        self.assertEqual([p['requests'] for p in figures['processes']], [0])

    @ftm_only('php-fpm runs scripts there')
    def test_runs_no_script_also_on_a_kept_connection(self):
        self.start(children=1)
        script = self.server.script('a.php', '<?php echo "I run";')
        with fcgi.Connection(self.status) as connection:
            for _ in range(2):
                response = connection.request(fcgi.script_params(script), keep=True)
                self.assertEqual((response.status, response.text, response.stderr), (404, 'File not found.\n', b'Primary script unknown'))
                self.assertBody(connection.request(fcgi.script_params(script, SCRIPT_NAME='/ping'), keep=True), 'pong')

    def test_unix_socket_has_the_pools_mode_and_goes_with_the_server(self):
        path = f'/tmp/ftm-status-{os.getpid()}.sock'
        server = self.start(children=1, status_listen=None, settings=[('pm.status_listen', path), ('listen.mode', '0640')])
        mode = os.stat(path)
        self.assertTrue(stat.S_ISSOCK(mode.st_mode))
        self.assertEqual(stat.S_IMODE(mode.st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(server.pools[0].address).st_mode), 0o640)
        self.assertRegex(self.page('', path), 'pool: +www')
        server.stop()
        self.assertFalse(os.path.exists(path))

    @root_only
    def test_unix_socket_has_the_pools_owner(self):
        path = f'/tmp/ftm-status-owner-{os.getpid()}.sock'
        self.start(children=1, status_listen=None, settings=[('pm.status_listen', path), ('listen.owner', 'daemon'), ('listen.group', 'games')])
        self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (pwd.getpwnam('daemon').pw_uid, grp.getgrnam('games').gr_gid))

    def test_allowed_clients_holds_there_too(self):
        server = self.start(children=1, settings=[('listen.allowed_clients', '127.0.0.2')])
        server.expect_log('has been dropped')
        with self.assertRaises(fcgi.FcgiError):
            self.page('json', self.status)

    def test_address_in_use(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            with self.assertRaises(StartError) as caught:
                self.start(children=1, status_listen=None, settings=[('pm.status_listen', f'127.0.0.1:{port}')])
        self.assertEqual(caught.exception.code, 78)
        self.assertIn(f"unable to bind listening socket for address '127.0.0.1:{port}': Address already in use (98)", caught.exception.output)

    def reload(self):
        since = self.server.mark()
        self.server.kill(signal.SIGUSR2)
        self.server.wait_for(r'NOTICE: ready to handle connections$', 15, since)
        return self.server.log_text()[since:]

    @ftm_only('php-fpm closes kept connections')
    def test_reload_keeps_the_socket_and_its_connections(self):
        self.start(children=2)
        script = self.server.script('a.php', '<?php echo "I run";')
        ping = fcgi.script_params(script, SCRIPT_NAME='/ping')
        with fcgi.Connection(self.status) as connection:
            self.assertBody(connection.request(ping, keep=True), 'pong')
            for _ in range(3):
                text = self.reload()
                self.assertRegex(text, rf'using inherited socket fd=\d+, "127\.0\.0\.1:{self.status[1]}"')
                self.assertBody(connection.request(ping, keep=True), 'pong')
                self.assertEqual(connection.request(fcgi.script_params(script), keep=True).status, 404)
                self.assertRegex(self.page('', self.status), 'pool: +www')

    @ftm_only('php-fpm closes kept connections')
    def test_a_connection_runs_no_script_when_reload_takes_its_address_away(self):
        self.start(children=1)
        script = self.server.script('a.php', '<?php echo "I run";')
        with fcgi.Connection(self.status) as connection:
            self.assertBody(connection.request(fcgi.script_params(script, SCRIPT_NAME='/ping'), keep=True), 'pong')
            self.server.pools[0].settings = [s for s in self.server.pools[0].settings if s[0] != 'pm.status_listen']
            self.server.write_conf()
            self.reload()
            self.assertEqual(connection.request(fcgi.script_params(script), keep=True).status, 404)

    def refused(self):
        try:
            fcgi.Connection(self.status, 5).close()
            return False
        except ConnectionRefusedError:
            return True

    def test_reload_with_another_address(self):
        self.start(children=1)
        old, new = self.status, ('127.0.0.1', free_port())
        self.server.pools[0].settings = [('pm.status_listen', '%s:%d' % new) if s[0] == 'pm.status_listen' else s for s in self.server.pools[0].settings]
        self.server.write_conf()
        self.reload()
        self.assertRegex(self.page('', new), 'pool: +www')
        self.status = old
        self.poll(self.refused, 10)

    @ftm_only('php-fpm ends with nothing serving')
    def test_reload_to_an_address_in_use_is_refused(self):
        self.start(children=1)
        self.server.expect_log('reload refused', 'unable to bind')
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.server.pools[0].settings = [('pm.status_listen', '127.0.0.1:%d' % taken.getsockname()[1]) if s[0] == 'pm.status_listen' else s
                                             for s in self.server.pools[0].settings]
            self.server.write_conf()
            since = self.server.mark()
            self.server.kill(signal.SIGUSR2)
            self.server.wait_for('reload refused', 15, since)
        self.assertRegex(self.page('', self.status), 'pool: +www')


class Values(StatusTest):
    # 0.1 s of processor time
    SPIN = '<?php $used = fn() => ($u = getrusage())["ru_utime.tv_sec"] + $u["ru_stime.tv_sec"] + ($u["ru_utime.tv_usec"] + $u["ru_stime.tv_usec"]) / 1e6; $t = $used(); while ($used() - $t < 0.1); echo 1;'
    SLEEP = '<?php usleep(200000); echo 1;'
    STATUS = '<?php echo json_encode(fpm_get_status());'

    def last_cpu(self, script):
        self.server.get(script)
        process = self.poll(lambda: next((p for p in self.figures(self.status, full=True)['processes'] if p['script'] == script and p['state'] == 'Idle'), None), 5)
        return process['last request cpu'] * process['request duration'] / 1e6   # a share of the time that it took

    def test_cpu_time_of_the_last_request(self):
        self.start(children=1)
        spin, sleep = self.server.script('spin.php', self.SPIN), self.server.script('sleep.php', self.SLEEP)
        for _ in range(2):
            self.assertGreater(self.last_cpu(spin), 5)
            self.assertLess(self.last_cpu(sleep), 1 if is_ftm() else 3)  # php-fpm counts in steps of 10 ms

    @ftm_only('php-fpm reads the clock twice per request')
    def test_cpu_time_is_measured_from_the_first_look_when_there_is_no_status_page(self):
        server = self.serve([Pool(children=2)])
        spin = server.script('spin.php', self.SPIN)
        report = server.script('report.php', '<?php touch($_GET["m"]); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } '
                                             'do { $status = fpm_get_status(); } while (count(array_filter($status["procs"], fn($p) => $p["state"] !== "Idle")) > 1 && !usleep(5000)); '
                                             'echo json_encode($status);')

        def cpu_after(times):
            """One context reports, so the other is the one that runs the script."""
            mark, go = (os.path.join(server.tmp, f'{name}{times}') for name in ('mark', 'go'))
            with server.connect(timeout=60) as connection:
                connection.send_request(fcgi.script_params(report, QUERY_STRING=f'm={mark}&go={go}'))
                self.poll(lambda: os.path.exists(mark), 10)
                for _ in range(times):
                    self.assertBody(server.get(spin), '1')
                open(go, 'w').close()
                return next(p['last-request-cpu'] * p['request-duration'] / 1e6 for p in json.loads(connection.read_response().text)['procs'] if p['script'] == spin)
        self.assertEqual(cpu_after(1), 0)
        self.assertGreater(cpu_after(2), 5)

    def test_memory_and_method_of_running_and_idle(self):
        self.start(children=1)
        script = self.server.script('m.php', '<?php $x = str_repeat("x", 12 << 20); echo 1;')
        self.server.post(script, b'abc', HTTP_AUTHORIZATION='Basic YWxpY2U6c2VjcmV0', QUERY_STRING='q')
        process, = self.poll(lambda: (p := self.figures(self.status, full=True)['processes'])[0]['state'] == 'Idle' and p, 5)
        self.assertGreater(process['last request memory'], 12 << 20)
        self.assertEqual((process['request method'], process['request uri'], process['content length'], process['user'], process['requests']),
                         ('POST', '/m.php?q', 3, 'alice', 1))
        self.assertGreater(self.figures()['memory peak'], 12 << 20)

    def test_max_active_is_the_most_at_once(self):
        self.start(children=4)
        self.children = 3
        self.occupy()
        self.release()
        # Who is on its way to its next request, or back to sleep, is not idle.
        self.assertIn(self.figures(self.status)['max active processes'], (3, 4))

    def test_a_status_request_shows_itself(self):
        self.start(children=2)
        figures = self.figures(full=True)
        self.assertEqual(sorted(p['state'] for p in figures['processes']), ['Idle', 'Running'])
        mine, = [p for p in figures['processes'] if p['state'] == 'Running']
        self.assertEqual((mine['request uri'], mine['requests']), ('/status?json&full', 1))
        self.assertEqual((figures['active processes'], figures['accepted conn']), (1, 1))

    @ftm_only('php-fpm serves the next request after the script')
    def test_status_behind_fastcgi_finish_request_leaves_the_running_script_shown(self):
        self.start(children=1)
        script = self.server.script('f.php', '<?php echo "x"; fastcgi_finish_request(); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); }')
        with self.server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'go={self.go}'), keep=True)
            self.assertBody(connection.read_response(), 'x')
            for _ in range(3):
                response = connection.request(fcgi.script_params('/x', SCRIPT_NAME='/status', QUERY_STRING='json&full'), keep=True)
                process, = json.loads(response.text)['processes']
                self.assertEqual((process['state'], process['script']), ('Running', script))
        open(self.go, 'w').close()

    @ftm_only('its own texts')
    def test_fpm_get_status_shows_the_queue(self):
        self.start(children=1, settings=[('listen.backlog', '33')])
        status = self.server.script('status.php', self.STATUS)
        shown = json.loads(self.server.get(status).text)
        self.assertEqual((shown['listen-queue-len'], shown['process-manager']), (33, 'static'))
