"""kill -9 of whatever runs scripts, of a pool host, of the master: the log line of php-fpm, and serving goes on."""

import os
import re
import signal
import time

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm
from ftm.load import ECHO, Load


class Kill(DaemonTest):
    def make(self, **kwargs):
        server = self.serve(**kwargs)
        self.hello = server.script('hello.php', '<?php echo "hello";')
        self.poll(server.workers)
        return server

    def assertServesAgain(self, server, pool=None, timeout=10):
        def answers():
            try:
                return server.get(self.hello, pool=pool, timeout=5).text == 'hello'
            except (fcgi.FcgiError, OSError):
                return False
        self.poll(answers, timeout, 'serves again')

    def test_worker_killed(self):
        server = self.make()
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        server.wait_for(rf'WARNING: \[pool www\] child {victim} exited on signal 9 \(SIGKILL\) after \d+\.\d{{6}} seconds from start$')
        started = server.wait_for(r'NOTICE: \[pool www\] child (\d+) started$')
        self.assertServesAgain(server)
        self.assertIn(int(started.group(1)), server.workers())

    def test_worker_ended_by_other_signals(self):
        """A signal sent with kill(2) is not a crash of a request: the process ends as php-fpm's would."""
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
            with self.subTest(number.name):
                server = self.make()
                victim = server.workers()[0]
                os.kill(victim, number)
                server.wait_for(rf'WARNING: \[pool www\] child {victim} exited on signal {int(number)} \({number.name}\) after ')
                self.assertServesAgain(server)
                server.stop()

    def test_ten_kills_under_load(self):
        """Requests that ran in the killed process are lost, all others are served."""
        server = self.make(pools=[Pool(children=8 if is_ftm() else 20)])
        script = server.script('echo.php', ECHO)
        with Load(server.pool().address, script, clients=8, seconds=3600, pause=0.01) as load:
            for number in range(10):
                victim = self.poll(server.workers)[0]
                os.kill(victim, signal.SIGKILL)
                server.wait_for(rf'child {victim} exited on signal 9')
                done = load.done
                self.poll(lambda: load.done > done + 50 and server.workers(), 15, lambda: f'serving goes on after kill {number}\n{load.result}')
        # Each kill may take the requests with it that were running: at most one per client.
        self.assertLessEqual(load.result.failed, 10 * 8, str(load.result))
        self.assertLessEqual(set(load.result.reasons()), {'closed', 'stale', 'ConnectionRefusedError', 'ConnectionResetError'}, str(load.result))

    def test_other_pools_do_not_notice(self):
        server = self.make(pools=[Pool('www'), Pool('other')])
        others = [*server.workers('other'), *server.hosts('other')]
        script = server.script('echo.php', ECHO)
        with Load(server.pool('other').address, script, clients=3, seconds=3600, pause=0.01) as load:
            for pid in [*server.workers('www'), *server.hosts('www')]:
                os.kill(pid, signal.SIGKILL)
            self.assertServesAgain(server, 'www')
            done = load.done
            self.poll(lambda: load.done > done + 50, 10)
        self.assertEqual(load.result.failed, 0, str(load.result))
        self.assertEqual([*server.workers('other'), *server.hosts('other')], others)

    @ftm_only('php-fpm has no hosts')
    def test_host_killed(self):
        """The master starts a new host at once; the orphaned engine finishes what it has."""
        server = self.make(pools=[Pool(children=4)])
        slow = server.script('slow.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 2) usleep(10000); echo "whole";')
        flag = os.path.join(server.tmp, 'flag')
        with server.connect(timeout=30) as connection:
            connection.send_request(fcgi.script_params(slow, QUERY_STRING=f'f={flag}'))
            self.poll(lambda: os.path.exists(flag))
            host, = server.hosts()
            engine, = server.workers()
            os.kill(host, signal.SIGKILL)
            self.assertServesAgain(server)
            self.assertBody(connection.read_response(), 'whole')
        self.poll(lambda: len(server.hosts()) == 1 and server.hosts() != [host], 10)
        self.poll(lambda: len(server.workers()) == 1 and server.workers() != [engine], 40, 'the old engine ended')
        server.wait_for(rf'{host} exited on signal 9 \(SIGKILL\) after ')

    @ftm_only('php-fpm has no hosts')
    def test_what_an_orphaned_engine_prints_is_logged(self):
        server = self.make(pools=[Pool(children=2, settings=[('catch_workers_output', 'yes')])])
        script = server.script('held.php', '<?php touch($_GET["f"]); while (!file_exists($_GET["go"])) { usleep(5000); clearstatcache(); } '
                               'file_put_contents("php://stderr", "last words\n"); error_log("last message"); echo "whole";')
        flag, go = os.path.join(server.tmp, 'flag'), os.path.join(server.tmp, 'go')
        with server.connect(timeout=30) as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}&go={go}'))
            self.poll(lambda: os.path.exists(flag))
            [host] = server.hosts()
            os.kill(host, signal.SIGKILL)
            self.assertServesAgain(server)
            self.poll(lambda: server.hosts() not in ([], [host]), 10)
            open(go, 'w').close()
            self.assertBody(connection.read_response(), 'whole')
        server.wait_for('said into stderr: "last words"', 10)
        server.wait_for('PHP message: last message', 10)

    @ftm_only('php-fpm has no hosts')
    def test_host_and_engine_killed_under_load(self):
        server = self.make(pools=[Pool(children=4)])
        script = server.script('echo.php', ECHO)
        with Load(server.pool().address, script, clients=8, seconds=3600, pause=0.01) as load:
            for _ in range(5):
                for pid in [*server.hosts(), *server.workers()]:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                done = load.done
                self.poll(lambda: load.done > done + 100 and server.hosts() and server.workers(), 20, lambda: str(load.result))
        self.assertLessEqual(load.result.failed, 5 * 8, str(load.result))

    @ftm_only('children of a killed php-fpm serve on')
    def test_master_killed(self):
        """Hosts whose master is gone close their listeners after the claim window, finish and end."""
        server = self.make(pools=[Pool(children=2)])
        server.processes()
        server.exit_code = -9
        slow = server.script('slow.php', '<?php touch($_GET["f"]); $t = microtime(true); while (microtime(true) - $t < 1.5) usleep(10000); echo "whole";')
        flag = os.path.join(server.tmp, 'flag')
        with server.connect(timeout=30) as connection:
            connection.send_request(fcgi.script_params(slow, QUERY_STRING=f'f={flag}'))
            self.poll(lambda: os.path.exists(flag))
            os.kill(server.pid, signal.SIGKILL)
            self.assertBody(connection.read_response(), 'whole')
        self.poll(lambda: not server.workers() and not server.hosts(), 40, 'all of it ended')
        self.assertEqual(server.wait_ended(), -9)

    def test_stopped_worker_does_not_stop_the_others(self):
        if is_ftm():
            self.skipTest('stopping an engine stops its pool, as it should')
        server = self.make(pools=[Pool(children=2)])
        victim = server.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        for _ in range(5):
            self.assertBody(server.get(self.hello), 'hello')
        os.kill(victim, signal.SIGCONT)

    def test_seconds_from_start_are_right(self):
        began = time.monotonic()
        server = self.make()
        victim = server.workers()[0]
        time.sleep(1.2)
        os.kill(victim, signal.SIGKILL)
        match = server.wait_for(rf'child {victim} exited on signal 9 \(SIGKILL\) after ([\d.]+) seconds')
        self.assertGreater(float(match.group(1)), 1.0)
        self.assertLess(float(match.group(1)), time.monotonic() - began)
        self.assertServesAgain(server)
        self.assertTrue(re.search(r'started$', server.log_text(), re.M))
