"""Engines and generations that follow each other: never two where one is due, never none."""

import os
import signal
import socket
import time

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, needs_module

HELLO = '<?php echo "hello";'


class Succession(DaemonTest):
    @ftm_only('a child of php-fpm is replaced by one child')
    def test_quit_sent_twice_makes_one_successor(self):
        server = self.serve([Pool(settings={'pm.drain_timeout': '600s'})])
        hello = server.script('hello.php', HELLO)
        engine, = self.poll(server.workers)
        slow = server.script('slow.php', '<?php touch($_GET["f"]); while (!file_exists($_GET["f"] . "-go")) { usleep(5000); clearstatcache(); } echo "slow";')
        flag = os.path.join(server.tmp, 'flag')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(slow, QUERY_STRING='f=' + flag))
            self.poll(lambda: os.path.exists(flag))
            for _ in range(3):
                os.kill(engine, signal.SIGQUIT)
                time.sleep(0.05)
            open(flag + '-go', 'w').close()
            self.assertBody(connection.read_response(), 'slow')
        self.poll(lambda: engine not in server.workers(), 10)
        time.sleep(0.5)
        self.assertEqual(len(server.workers()), 1)
        self.assertBody(server.get(hello), 'hello')

    @ftm_only('php-fpm has no successors')
    def test_engine_serves_until_its_successor_can(self):
        """SIGQUIT while no engine can start: the old one goes on, and is replaced when it can be."""
        server = self.serve(start=False)
        place = os.path.join(server.root, 'place')
        os.mkdir(place)
        server.pool().settings = [('chdir', place), ('pm.drain_timeout', '1s')]
        server.write_conf()
        server.start()
        server.expect_log('failed to chdir', 'failed to initialize')
        hello = server.script('hello.php', HELLO)
        engine, = self.poll(server.workers)
        os.rmdir(place)
        os.kill(engine, signal.SIGQUIT)
        deadline = time.monotonic() + 14
        while time.monotonic() < deadline:
            self.assertBody(server.get(hello), 'hello')
            time.sleep(0.2)
        os.mkdir(place)
        self.poll(lambda: server.workers() and engine not in server.workers(), 10, 'replaced')
        self.assertBody(server.get(hello), 'hello')

    @needs_module('ffi')
    @ftm_only('php-fpm has max_children processes at most')
    def test_wounded_engines_do_not_pile_up(self):
        server = self.serve([Pool(children=2)], modules=['ffi'], ini={'ffi.enable': '1'})
        crash = server.script('crash.php', '<?php FFI::memset(FFI::cast("char *", 0), 0, 1);')
        slow = server.script('slow.php', '<?php sleep(20); echo "slow";')
        most = 0
        waiting = []
        for _ in range(20):
            connection = server.connect()
            connection.send_request(fcgi.script_params(slow))
            waiting.append(connection)
            time.sleep(0.03)
            try:
                server.get(crash, timeout=5)
            except fcgi.FcgiError:
                pass
            most = max(most, len(server.workers()))
        for connection in waiting:
            connection.close()
        self.assertLessEqual(most, 6)

    def test_program_started_before_a_reload_can_still_write(self):
        """What an old engine's scripts and their programs write to descriptor 2 is logged, and harms nobody."""
        server = self.serve([Pool(settings={'catch_workers_output': 'yes'})], settings={'process_control_timeout': '10'})
        script = server.script('late.php', '<?php touch($_GET["f"]); sleep(2); echo shell_exec("echo said late >&2 && echo written");')
        flag = os.path.join(server.tmp, 'flag')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING='f=' + flag))
            self.poll(lambda: os.path.exists(flag))
            server.kill(signal.SIGUSR2)
            self.assertBody(connection.read_response(), 'written\n')
        server.wait_for('said into stderr: "said late"', 10)

    @ftm_only('php-fpm ends')
    def test_reload_to_an_address_in_use_is_refused(self):
        server = self.serve([Pool('www')])
        server.expect_log('reload refused')
        hello = server.script('hello.php', HELLO)
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            server.pools.append(Pool('second', listen='127.0.0.1:%d' % taken.getsockname()[1]))
            server.pools[1].bind_to(server.root)
            server.write_conf()
            server.kill(signal.SIGUSR2)
            server.wait_for('reload refused, the running configuration stays: unable to bind', 10)
            self.assertBody(server.get(hello), 'hello')
        since = server.mark()
        server.kill(signal.SIGUSR2)
        server.wait_for('ready to handle connections', 15, since)
        self.assertBody(server.get(hello, pool='second'), 'hello')
