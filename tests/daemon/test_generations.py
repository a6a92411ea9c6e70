"""Generations that meet: another hand-over format, a reload during a drain, a PHP that takes long to start."""

import os
import shutil
import signal
import subprocess
import time
from tempfile import TemporaryDirectory

from ftm import fcgi
from ftm.case import IS_ROOT, DaemonTest, Pool, ftm_only
from ftm.server import Binary

HELD = '<?php touch($_GET["f"]); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } file_put_contents("php://stderr", "last words\n"); echo "whole";'

# In the place of php-fpm: accepts its configuration, takes the sockets, answers each connection with a few bytes.
FOLLOWER = r"""#!/usr/bin/env python3
import os, signal, socket, sys, time
if '-t' in sys.argv:
    sys.exit(0)
print('follower:', *(name for name in os.environ if name.startswith('FTM_')), file=sys.stderr, flush=True)
signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
signal.pthread_sigmask(signal.SIG_SETMASK, [])
fd = int(os.environ['FPM_SOCKETS'].rpartition('=')[2])
for _ in range(6000):
    if os.get_blocking(fd):
        break
    time.sleep(0.01)
print('follower: sockets', 'block' if os.get_blocking(fd) else 'do not block', file=sys.stderr, flush=True)
listener = socket.socket(fileno=fd)
while True:
    connection = listener.accept()[0]
    connection.sendall(b'from the follower')
    connection.close()
"""


class Generations(DaemonTest):
    def reload(self, server, count):
        server.kill(signal.SIGUSR2)
        server.wait_for(r'NOTICE: ready to handle connections$', 20, count=count)

    def held(self, server, name):
        """A request that runs until release() is called."""
        script = server.script('held.php', HELD)
        flag, go = os.path.join(server.tmp, 'flag-' + name), os.path.join(server.tmp, 'go-' + name)
        connection = server.connect(timeout=60)
        self.addCleanup(connection.close)
        connection.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}&go={go}'), keep=True)
        self.poll(lambda: os.path.exists(flag))
        return connection, lambda: open(go, 'w').close()

    @ftm_only('php-fpm hands nothing over')
    def test_another_hand_over_format_drains_without(self):
        path = os.path.join(self.enterContext(TemporaryDirectory()), 'php-ftm')
        shutil.copy(os.environ['FTM_BINARY'], path)
        server = self.serve(binary=Binary(path))
        hello = server.script('hello.php', '<?php echo "hello";')
        idle, half = server.connect(), server.connect()
        self.addCleanup(idle.close)
        self.addCleanup(half.close)
        self.assertEqual(idle.request(fcgi.script_params(hello)).text, 'hello')
        data = fcgi.whole_request(fcgi.script_params(hello), flags=fcgi.KEEP_CONN)
        half.send(data[:50])
        running, release = self.held(server, 'one')
        with open(path, 'rb') as file:
            content = file.read()
        self.assertEqual(content.count(b'connection4\0'), 1)
        with open(path + '.new', 'wb') as file:
            file.write(content.replace(b'connection4\0', b'connection9\0'))
        os.chmod(path + '.new', 0o755)
        os.rename(path + '.new', path)
        self.reload(server, 2)
        idle.wait_closed()
        half.send(data[50:])
        self.assertEqual(half.read_response().text, 'hello', 'what has begun is finished')
        release()
        self.assertEqual(running.read_response().text, 'whole')
        self.assertEqual(server.get(hello).text, 'hello')
        self.poll(lambda: len(server.workers()) == 1 and len(server.hosts()) == 1, 15, 'the old generation ended')
        self.assertNotIn('could not be taken over', server.log_text())

    @ftm_only('php-fpm ends what still runs')
    def test_php_fpm_follows(self):
        """What is on disk at a reload is no php-ftm: it gets sockets that block, as php-fpm needs them, and no hosts."""
        path = os.path.join(self.enterContext(TemporaryDirectory()), 'php-ftm')
        shutil.copy(os.environ['FTM_BINARY'], path)
        os.chmod(os.path.dirname(path), 0o755)
        server = self.serve(binary=Binary(path))
        running, release = self.held(server, 'one')
        with server.connect() as idle, server.connect() as fresh:
            self.assertEqual(idle.request(fcgi.script_params(server.script('hello.php', '<?php echo "hello";'))).text, 'hello')
            with open(path + '.new', 'w') as file:
                file.write(FOLLOWER)
            os.chmod(path + '.new', 0o755)
            os.rename(path + '.new', path)
            server.kill(signal.SIGUSR2)
            server.wait_for('follower: sockets block', 10)
            self.assertTrue(idle.wait_closed(), 'nobody reads it any more')
            answer = fresh.request(fcgi.script_params(os.path.join(server.docroot, 'hello.php')), keep=False)
            self.assertEqual(answer.text, 'hello', 'accepted before: its request was on the way')
        with server.connect() as late:
            self.assertEqual(late.sock.recv(100), b'from the follower')
        release()
        self.assertEqual(running.read_response().text, 'whole', 'what has begun is finished')
        self.poll(lambda: not server.workers() and not server.hosts(), 15, 'the old generation ended')
        self.assertNotIn('FTM_GENERATION', server.log_text())

    @ftm_only('php-fpm hands nothing over')
    def test_image_that_takes_its_time_takes_the_connections_over(self):
        """A large program, and a disk that has other things to do."""
        path = os.path.join(self.enterContext(TemporaryDirectory()), 'php-ftm')
        os.symlink(os.environ['FTM_BINARY'], path)
        server = self.serve(binary=Binary(path))
        hello = fcgi.script_params(server.script('hello.php', '<?php echo "hello";'))
        with server.connect() as idle:
            self.assertEqual(idle.request(hello).text, 'hello')
            with open(path + '.new', 'w') as file:
                file.write(f'#!/bin/sh\n[ -z "$FTM_GENERATION" ] || sleep 4\nexec {os.environ["FTM_BINARY"]} "$@"\n')
            os.chmod(path + '.new', 0o755)
            os.rename(path + '.new', path)
            self.reload(server, 2)
            self.assertEqual(idle.request(hello).text, 'hello')

    @ftm_only('php-fpm has no generations')
    def test_host_that_is_no_child_any_more_is_not_waited_for(self):
        """Reaped by the image before, in the moment of its reload: nothing would ever tell of its end."""
        stranger = subprocess.Popen(['sleep', '600'])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        server = self.serve(env={'FTM_GENERATION': f'v2 0 connection4 x{b"www".hex()} {stranger.pid} 900 901 0'})
        self.assertEqual(server.get(server.script('hello.php', '<?php echo "hello";')).text, 'hello')
        server.stop()
        self.assertIsNone(stranger.poll())

    @ftm_only('php-fpm ends what still runs')
    def test_two_reloads_while_a_request_runs(self):
        server = self.serve([Pool(settings={'catch_workers_output': 'yes'})])
        running, release = self.held(server, 'one')
        for count in (2, 3):
            self.reload(server, count)
        time.sleep(10.5)  # longer than a host waits to be claimed
        release()
        self.assertEqual(running.read_response().text, 'whole')
        server.wait_for(r'WARNING: \[pool www\] child \d+ said into stderr: "last words"$', 10)
        self.poll(lambda: len(server.workers()) == 1 and len(server.hosts()) == 1, 15, 'one generation is left')
        self.assertNotIn('unknown child', server.log_text())

    @ftm_only('php-fpm ends what still runs')
    def test_a_removed_pool_drains_over_two_reloads(self):
        server = self.serve([Pool('www'), Pool('gone', settings={'catch_workers_output': 'yes'})])
        script = server.script('held.php', HELD)
        flag, go = os.path.join(server.tmp, 'flag'), os.path.join(server.tmp, 'go')
        with server.connect('gone', timeout=60) as running:
            running.send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}&go={go}'))
            self.poll(lambda: os.path.exists(flag))
            server.pools.pop()
            server.write_conf()
            self.reload(server, 2)
            self.reload(server, 3)
            open(go, 'w').close()
            self.assertEqual(running.read_response().text, 'whole')
        self.poll(lambda: not server.titled('php-fpm: pool gone') and not server.titled('php-fpm: pool host gone'), 15)
        self.assertNotIn('unknown child', server.log_text())

    def test_after_ready_all_answers_are_of_the_new_generation(self):
        server = self.serve([Pool(children=4, settings={'env[GENERATION]': '0'})])
        script = server.script('which.php', '<?php echo getenv("GENERATION");')
        for count in range(1, 9):
            server.pool().settings = [('env[GENERATION]', str(count))]
            server.write_conf()
            self.reload(server, count + 1)
            self.assertEqual({server.get(script).text for _ in range(30)}, {str(count)})

    def test_preloading_may_take_its_time(self):
        server = self.serve(start=False, modules=['opcache'], ini={'opcache.enable': '1'})
        server.ini['opcache.preload'] = server.script('preload.php', '<?php sleep(13); function preloaded() { return "preloaded"; }')
        if IS_ROOT:
            server.ini['opcache.preload_user'] = server.pools[0].user or 'www-data'
        server.start()
        self.assertEqual(server.run('echo preloaded();').text, 'preloaded')
