"""What a pool's scripts and a hostile FastCGI peer cannot do to the master, the host, the log, the disk and other clients."""

import os
import signal

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, needs_module

HELLO = '<?php echo "hello";'


class HostileScript(DaemonTest):
    def serves(self, server, script, pool=None):
        def answers():
            try:
                return server.get(script, pool=pool, timeout=5).text == 'hello'
            except (fcgi.FcgiError, OSError):
                return False
        self.poll(answers, 10, 'serves')

    @needs_module('ffi')
    @ftm_only('php-fpm has no memory files')
    def test_shared_memory_files_cannot_be_cut_or_believed(self):
        """A script may open what its process holds by /proc/self/fd; host and master use the same memory as root."""
        server = self.serve([Pool('www'), Pool('other')], modules=['ffi'], ini={'ffi.enable': '1'})
        hello = server.script('hello.php', HELLO)
        hosts = self.poll(lambda: server.hosts('www') + server.hosts('other'))
        spoil = server.script('spoil.php', '''<?php
            $c = FFI::cdef('int ftruncate(int, long); long pwrite(int, const char *, long, long);');
            foreach (scandir('/proc/self/fd') as $n) {
                if (!str_starts_with((string) @readlink("/proc/self/fd/$n"), '/memfd:')) continue;
                echo match ($_GET['how']) {
                    'cut' => $c->ftruncate((int) $n, 0) ? 'refused' : 'done',
                    'grow' => $c->ftruncate((int) $n, 1 << 30) ? 'refused' : 'done',
                    'lie' => $c->pwrite((int) $n, pack('V2', 1, 0x7fffffff), 8, 0),
                };
            }''')
        self.assertBody(server.get(spoil, query='how=lie'), '8')
        self.assertBody(server.get(spoil, query='how=cut'), 'refused')
        self.assertBody(server.get(spoil, query='how=grow'), 'refused')
        for victims in (server.workers, server.hosts):
            os.kill(victims('www')[0], signal.SIGKILL)
            self.serves(server, hello)
            self.serves(server, hello, 'other')
        self.assertEqual(server.hosts('other'), hosts[1:])

    @needs_module('ffi')
    @ftm_only('a php-fpm child that cannot accept ends')
    def test_engine_that_a_script_has_robbed_of_its_descriptors_is_replaced(self):
        server = self.serve(modules=['ffi'], ini={'ffi.enable': '1'})
        hello = server.script('hello.php', HELLO)
        rob = server.script('rob.php', '<?php $c = FFI::cdef("int close(int);"); for ($i = 3; $i < 1100; $i++) $c->close($i);')
        workers = server.workers()
        try:
            server.get(rob, timeout=5)
        except fcgi.FcgiError:
            pass
        # A request that comes while the loop above still runs may be answered by the old engine, on a number already closed.
        self.poll(lambda: server.workers() and workers[0] not in server.workers(), 10, 'a new engine')
        self.serves(server, hello)

    def test_messages_cannot_forge_log_lines(self):
        """A line feed in a message, or in a path that a client chose, starts a decorated line, not one of its own."""
        server = self.serve([Pool(settings={'catch_workers_output': 'yes'})])
        forged = '[20-Nov-2026 10:00:00] NOTICE: forged'
        server.run(f'error_log("first\\n{forged} by a message");')
        denied = server.file(f'x\n{forged} by a path.txt', 'x')
        self.assertEqual(server.get(denied).status, 403)
        server.wait_for('by a message')
        server.wait_for('by a path')
        self.assertNotRegex(server.log_text(), r'(?m)^\[20-Nov-2026 10:00:00\] NOTICE: forged')


class HostilePeer(DaemonTest):
    SETTINGS = {'ping.path': '/ping', 'pm.status_path': '/status'}

    def spooled(self, server):
        total = 0
        for pid in server.workers():
            for number, what in proc.descriptors(pid).items():
                if 'deleted' in what and 'memfd' not in what:
                    try:
                        total += os.stat(f'/proc/{pid}/fd/{number}').st_blocks * 512
                    except OSError:
                        pass
        return total

    @ftm_only('php-fpm answers ping from a child that waits for its client')
    def test_unread_answers_of_built_in_pages_do_not_pile_up(self):
        server = self.serve([Pool(settings=self.SETTINGS)])
        params = {'SCRIPT_NAME': '/status', 'SCRIPT_FILENAME': '/status', 'REQUEST_METHOD': 'GET', 'REQUEST_URI': '/status'}
        many = fcgi.whole_request(params, flags=fcgi.KEEP_CONN) * 500
        with server.connect(timeout=10) as connection:
            connection.sock.settimeout(1)
            try:
                for _ in range(60):
                    connection.sock.sendall(many)
            except OSError:
                pass
            self.assertLess(self.spooled(server), 2 << 20)
        self.assertEqual(server.ping().text, 'pong')

    def test_pipelined_request_before_a_half_close_is_answered(self):
        server = self.serve()
        slow = server.script('slow.php', '<?php usleep(300000); echo "slow";')
        hello = server.script('hello.php', HELLO)
        with server.connect() as connection:
            connection.send(fcgi.whole_request(fcgi.script_params(slow), flags=fcgi.KEEP_CONN) +
                            fcgi.whole_request(fcgi.script_params(hello), flags=fcgi.KEEP_CONN))
            connection.half_close()
            self.assertBody(connection.read_response(), 'slow')
            self.assertBody(connection.read_response(), 'hello')
            self.assertTrue(connection.wait_closed())
