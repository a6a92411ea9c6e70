"""Directives of the master and the log: what they do, on php-ftm and on stock php-fpm alike."""

import fcntl
import os
import re
import signal
import socket
import stat
import struct
import tempfile
import termios
import time

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, root_only
from ftm.server import StartError

TIME = r'^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\] '
CAUGHT = {'catch_workers_output': 'yes'}


class Receiver:
    """A datagram socket that keeps what comes in: systemd's, syslog's."""

    def __init__(self, test, path=None):
        if path is None:
            directory = tempfile.mkdtemp(prefix='ftm-receiver-')
            path = os.path.join(directory, 'socket')
            test.addCleanup(os.rmdir, directory)
        self.path, self.messages = path, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        test.addCleanup(self.close)

    def close(self):
        self.socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def read(self):
        try:
            while True:
                self.messages.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            return self.messages

    def find(self, regex, since=0):
        return next((m for m in self.read()[since:] if re.search(regex, m)), None)


class Acl(DaemonTest):
    @staticmethod
    def entries(path):
        """(tag, permissions, id) of the socket's ACL; tags: 1 owner, 2 user, 4 its group, 8 group, 16 mask, 32 other."""
        data = os.getxattr(path, 'system.posix_acl_access')
        return [struct.unpack_from('<HHI', data, at) for at in range(4, len(data), 8)]

    def test_users_and_groups_may_connect(self):
        server = self.serve([Pool(settings={'listen.mode': '0600', 'listen.acl_users': 'daemon,bin', 'listen.acl_groups': 'sys',
                                            'listen.owner': 'daemon', 'listen.group': 'sys'})])
        status = os.stat(server.pools[0].address)
        self.assertEqual((status.st_uid, status.st_gid), (os.geteuid(), os.getegid()), 'owner and group are left alone')
        entries = self.entries(server.pools[0].address)
        self.assertEqual([(tag, mode) for tag, mode, _ in entries], [(1, 6), (2, 6), (2, 6), (4, 0), (8, 6), (16, 6), (32, 0)])
        self.assertEqual(sorted(i for tag, _, i in entries if tag == 2), [1, 2])
        self.assertEqual([i for tag, _, i in entries if tag == 8], [3])
        log = server.all_output()
        self.assertRegex(log, r"WARNING: \[pool www\] ACL set, listen\.owner = 'daemon' is ignored")
        self.assertRegex(log, r"WARNING: \[pool www\] ACL set, listen\.group = 'sys' is ignored")
        self.assertEqual(server.run('echo 1;').text, '1')

    def test_unknown_names_end_the_start(self):
        for directive, text in (('users', "cannot get uid for user ' bin'"), ('groups', "cannot get gid for group ' bin'")):
            with self.subTest(directive), self.assertRaises(StartError) as failed:
                self.serve([Pool(settings={f'listen.acl_{directive}': 'daemon, bin' if directive == 'users' else 'sys, bin'})])
            self.assertEqual(failed.exception.code, 78)
            self.assertIn(f'ERROR: [pool www] {text}', failed.exception.output)
            self.assertIn('ERROR: FPM initialization failed', failed.exception.output)


class Identity(DaemonTest):
    @root_only
    def test_a_pool_of_root_needs_permission(self):
        for settings in ({'user': 'root'}, {'user': 'daemon', 'group': 'root'}):
            with self.subTest(settings), self.assertRaises(StartError) as failed:
                self.serve([Pool(settings=settings)])
            self.assertEqual(failed.exception.code, 78)
            self.assertIn('ERROR: [pool www] please specify user and group other than root', failed.exception.output)
        server = self.serve([Pool(user='root')], allow_root=True)
        self.poll(server.workers)
        self.assertEqual(os.stat(f'/proc/{server.workers()[0]}').st_uid, 0)

    @root_only
    def test_what_needs_root_is_ignored_without(self):
        """The binary runs as nobody, who gets a directory of its own."""
        server = self.serve([Pool(settings={'user': 'daemon', 'group': 'daemon', 'chroot': '/', 'process.priority': '5'})],
                            start=False, settings={'process.priority': '4'},
                            wrapper=['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'])
        for path in (server.root, server.tmp, server.docroot):
            os.chown(path, 65534, 65534)
        server.start()
        log = server.all_output()
        self.assertRegex(log, r"NOTICE: 'process\.priority' directive is ignored when FPM is not running as root")
        for directive in ('user', 'group', 'chroot', 'process.priority'):
            self.assertIn(f"NOTICE: [pool www] '{directive}' directive is ignored when FPM is not running as root", log)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, server.workers()[0]), os.getpriority(os.PRIO_PROCESS, 0))


class WorkerOutput(DaemonTest):
    def test_long_lines_are_wrapped_at_log_limit(self):
        for buffering in ('yes', 'no'):
            server = self.serve([Pool(settings=CAUGHT)], settings={'log_limit': '600', 'log_buffering': buffering})
            mark = server.mark()
            server.run('fwrite(fopen("php://stderr", "w"), str_repeat("x", 1500) . "end\\n");')
            server.wait_for('end"$', since=mark)
            lines = [line for line in server.log_text()[mark:].splitlines() if 'systemd monitor' not in line]
            self.assertEqual([len(line) + 1 for line in lines[:2]], [600, 600], buffering)
            parts = [re.fullmatch(TIME[1:] + r'WARNING: \[pool www\] child \d+ said into stderr: "(.*)"', line) for line in lines]
            self.assertTrue(all(parts), lines)
            self.assertEqual(''.join(p.group(1) for p in parts), 'x' * 1500 + 'end')

    def test_undecorated_lines_are_bare(self):
        server = self.serve([Pool(settings={**CAUGHT, 'decorate_workers_output': 'no'})])
        mark = server.mark()
        server.run('fwrite(fopen("php://stderr", "w"), "one\\n\\ntwo\\n"); error_log("three");')
        server.wait_for('PHP message: three$', since=mark)
        self.assertEqual(server.log_text()[mark:].splitlines(), ['one', 'two', 'NOTICE: PHP message: three'])

    def test_the_end_of_the_request_ends_a_line(self):
        server = self.serve([Pool(children=1, settings=CAUGHT)])
        for text in ('first', 'second'):
            mark = server.mark()
            server.run(f'$e = fopen("php://stderr", "w"); fwrite($e, "{text}, "); fwrite($e, "no line feed");')
            server.wait_for(rf'said into stderr: "{text}, no line feed"$', since=mark)

    def unread(self, pid, number):
        """Bytes in a pipe that a process writes to, which the master has not read yet."""
        fd = os.open(f'/proc/{pid}/fd/{number}', os.O_RDONLY | os.O_NONBLOCK)
        try:
            return struct.unpack('i', fcntl.ioctl(fd, termios.FIONREAD, b'\0' * 4))[0]
        finally:
            os.close(fd)

    def test_a_change_of_stream_ends_a_line(self):
        server = self.serve([Pool(children=1, settings=CAUGHT)])
        mark = server.mark()
        [worker] = server.workers()
        go = os.path.join(server.tmp, 'go')
        script = server.script('two.php', '<?php fwrite(fopen("php://stderr", "w"), "to one"); touch("$_GET[go].first"); while (!file_exists($_GET["go"])) { usleep(5000); clearstatcache(); } '
                               'fwrite(fopen("php://stdout", "w"), "to the other\\n");')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go))
            self.poll(lambda: os.path.exists(go + '.first') and self.unread(worker, 2) == 0)
            open(go, 'w').close()
            connection.read_response()
        server.wait_for('said into stdout: "to the other"$', since=mark)
        self.assertRegex(server.log_text()[mark:], 'said into stderr: "to one"\n.*said into stdout: "to the other"')

    def test_what_is_said_at_the_start_comes_after_the_announcement(self):
        server = self.serve([Pool(listen='tcp', children=1, settings={**CAUGHT, 'listen.allowed_clients': 'nonsense,10.0.0.1'})])
        server.wait_for(r"""said into stderr: "ERROR: Wrong IP address 'nonsense' in listen\.allowed_clients"$""")
        log = server.log_text()
        self.assertLess(log.index('ready to handle connections'), log.index('Wrong IP address'))
        self.assertNotIn('There are no allowed addresses', log)

    def test_nobody_is_allowed_by_a_list_of_nonsense(self):
        server = self.serve([Pool(listen='tcp', children=1, settings={**CAUGHT, 'listen.allowed_clients': ''})])
        server.wait_for('said into stderr: "ERROR: There are no allowed addresses"$')
        mark = server.mark()
        with self.assertRaises((OSError, fcgi.Closed)):
            server.run('echo 1;')
        server.wait_for(r"""said into stderr: "ERROR: Connection disallowed: IP address '127\.0\.0\.1' has been dropped\."$""", since=mark)

    def test_messages_below_the_level_lose_their_prefix_only(self):
        server = self.serve([Pool(children=1, settings=CAUGHT)], settings={'log_level': 'error'}, start=False)
        server.start(wait=False)
        self.poll(server.accepts)
        server.run('fwrite(fopen("php://stderr", "w"), "still there\\n");')
        server.wait_for('^still there"$')


class Syslog(DaemonTest):
    def device_directory(self, server):
        """A /dev of our own for the server: what PHP opens there, and the test's socket as /dev/log."""
        directory = os.path.join(server.root, 'dev')
        os.mkdir(directory)
        for name, minor in (('null', 3), ('zero', 5), ('random', 8), ('urandom', 9)):
            os.mknod(os.path.join(directory, name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            os.chmod(os.path.join(directory, name), 0o666)
        os.mkdir(os.path.join(directory, 'shm'), 0o777)
        os.symlink('/proc/self/fd', os.path.join(directory, 'fd'))
        server.wrapper = ['unshare', '--mount', 'sh', '-c', f'mount --bind {directory} /dev && exec "$@"', 'sh']
        return directory

    def start_with_syslog(self, **settings):
        server = self.serve([Pool(settings=CAUGHT)], start=False, force_stderr=False,
                            settings={'error_log': 'syslog', **settings})
        receiver = Receiver(self, os.path.join(self.device_directory(server), 'log'))
        server.start(wait=False)
        self.poll(lambda: receiver.find('ready to handle connections') or server.process.poll() is not None)
        self.assertIsNone(server.process.poll(), server.all_output())
        return server, receiver

    @root_only
    def test_ident_facility_and_priority(self):
        local3, notice = 19 << 3, 5
        server, receiver = self.start_with_syslog(**{'syslog.ident': 'my-fpm', 'syslog.facility': 'LOCAL3'})
        message = receiver.find('fpm is running')
        self.assertRegex(message, rf'^<{local3 + notice}>\w{{3}} [ \d]\d [\d:]{{8}} my-fpm\[{server.pid}\]: \[NOTICE\] fpm is running, pid {server.pid}$')
        server.kill(signal.SIGQUIT)
        self.poll(lambda: receiver.find('exiting, bye-bye!'))
        self.assertNotIn('bye-bye', server.all_output(), 'after the start nothing goes to stderr')

    @root_only
    def test_priority_is_the_thresholds(self):
        """php-fpm's: whatever level a message has."""
        server, receiver = self.start_with_syslog(log_level='debug')
        self.assertRegex(receiver.find('fpm is running'), r'^<31>.* php-fpm\[\d+\]: \[NOTICE\] \w+\(\), line \d+: fpm is running')

    @ftm_only('php-fpm loses it: it writes to a stderr that is /dev/null')
    @root_only
    def test_worker_output_gets_there(self):
        server, receiver = self.start_with_syslog()
        server.run('fwrite(fopen("php://stderr", "w"), "hello\\tlog\\n");')
        self.poll(lambda: receiver.find(r'\[WARNING\] \[pool www\] child \d+ said into stderr: "hello\\x09log"$'))


class Systemd(DaemonTest):
    def serve_notifying(self, receiver, env=(), pools=None, **settings):
        return self.serve(pools, settings=settings, env={'NOTIFY_SOCKET': receiver.path, **dict(env)})

    def test_ready_and_figures(self):
        receiver = Receiver(self)
        server = self.serve_notifying(receiver, pools=[Pool('www', children=3), Pool('second', children=2)], systemd_interval='1')
        self.poll(lambda: receiver.read())
        self.assertEqual(receiver.messages[0], f'READY=1\nSTATUS=Ready to handle connections\nMAINPID={server.pid}')
        server.wait_for('NOTICE: ready to handle connections\n.*NOTICE: systemd monitor interval set to 1000ms$')
        for _ in range(4):
            server.run('echo 1;')
        server.run('echo 1;', pool='second')
        self.poll(lambda: receiver.find(r'^READY=1\nSTATUS=Processes active: 0, idle: 5, Requests: 5, slow: 0, Traffic: \d+\.\d\dreq/sec$'), what=receiver.read)
        self.poll(lambda: receiver.find(r'Requests: 5, slow: 0, Traffic: 0\.00req/sec'), 10)

    def test_off(self):
        receiver = Receiver(self)
        server = self.serve_notifying(receiver, systemd_interval='0')
        server.wait_for('NOTICE: systemd monitor disabled$')

    def test_watchdog(self):
        receiver = Receiver(self)
        server = self.serve_notifying(receiver, env={'WATCHDOG_USEC': '2400000'}, systemd_interval='20')
        self.assertRegex(server.all_output(), 'WARNING: systemd_interval option ignored')
        self.assertRegex(server.all_output(), r'NOTICE: systemd watchdog configured to 1\.2sec')
        self.assertRegex(server.all_output(), 'NOTICE: systemd monitor interval set to 1200ms')
        self.poll(lambda: receiver.find('\nWATCHDOG=1\nSTATUS=Processes active: '), 10)

    @ftm_only('php-fpm does not tell')
    def test_reload_and_stop_are_told(self):
        receiver = Receiver(self)
        server = self.serve_notifying(receiver, process_control_timeout='7')
        mark = server.mark()
        server.kill(signal.SIGUSR2)
        server.wait_for('ready to handle connections', since=mark, timeout=20)
        self.poll(lambda: len([m for m in receiver.read() if m.startswith('READY=1\nSTATUS=Ready')]) == 2)
        self.assertRegex(receiver.find('RELOADING'), r'^RELOADING=1\nMONOTONIC_USEC=\d+$')
        server.stop()
        self.assertEqual(receiver.read()[-1], 'STOPPING=1\nEXTEND_TIMEOUT_USEC=12000000')


class EmergencyRestart(DaemonTest):
    def crash(self, server):
        victim = server.workers()[0]
        mark = server.mark()
        os.kill(victim, signal.SIGSEGV)
        server.wait_for(rf'child {victim} exited on signal 11 \(SIGSEGV', since=mark)
        self.poll(lambda: [pid for pid in server.workers() if pid != victim])

    def test_repeated_crashes_reload(self):
        server = self.serve([Pool(children=1)], settings={'emergency_restart_threshold': '2', 'emergency_restart_interval': '1h'})
        with open('/proc/uptime') as f:
            if float(f.read().split()[0]) < 3700:
                self.skipTest('php-fpm counts the first crash of a machine that is up for less than the interval')
        mark = server.mark()
        self.crash(server)
        self.assertNotIn('threshold', server.log_text()[mark:])
        os.kill(server.workers()[0], signal.SIGSEGV)
        server.wait_for(TIME + r'WARNING: failed processes threshold \(2 in 3600 sec\) is reached, initiating reload$', since=mark)
        server.wait_for(r'NOTICE: reloading: execvp\("', since=mark)
        server.wait_for('ready to handle connections', since=mark, timeout=20)
        self.assertNotIn('Reloading in progress', server.log_text()[mark:])
        self.assertEqual(server.run('echo 1;').text, '1')

    def test_other_ends_do_not(self):
        server = self.serve([Pool(children=1)], settings={'emergency_restart_threshold': '1', 'emergency_restart_interval': '1h'})
        victim = server.workers()[0]
        mark = server.mark()
        os.kill(victim, signal.SIGKILL)
        server.wait_for(rf'child {victim} exited on signal 9', since=mark)
        self.poll(lambda: server.workers() and server.workers() != [victim])
        self.assertEqual(server.run('echo 1;').text, '1')
        self.assertNotIn('threshold', server.log_text()[mark:])


class RlimitFiles(DaemonTest):
    def test_each_request_may_open_as_many(self):
        """Beside each other, and beside idle connections."""
        server = self.serve([Pool(children=3, settings={'rlimit_files': 60})])
        script = server.script('open.php', '<?php $files = []; while (count($files) < 40 && ($f = @fopen("/dev/null", "r"))) { $files[] = $f; } touch($_GET["f"]);'
                               'while (!file_exists($_GET["go"])) { usleep(10000); clearstatcache(); } echo count($files);')
        go = os.path.join(server.tmp, 'go')
        connections = []
        for number in range(3):
            flag = os.path.join(server.tmp, f'flag{number}')
            connections.append(server.connect())
            self.addCleanup(connections[-1].close)
            connections[-1].send_request(fcgi.script_params(script, QUERY_STRING=f'f={flag}&go={go}'))
            self.poll(lambda: os.path.exists(flag))
        with open(go, 'w'):
            pass
        self.assertEqual([connection.read_response().text for connection in connections], ['40'] * 3)

    def test_a_small_one_serves(self):
        server = self.serve([Pool(children=1, settings={'rlimit_files': 15})])
        self.assertEqual(server.run('echo "served";').text, 'served')


class ProcessMax(DaemonTest):
    def test_later_pools_get_what_is_left(self):
        server = self.serve([Pool(name, children=3, settings={'pm.status_path': '/status'}) for name in ('one', 'two')],
                            settings={'process.max': '4'})
        self.assertRegex(server.log_text(), r'fpm is running, pid \d+\n.*WARNING: The maximum number of processes has been reached\. '
                                            r"Please review your configuration and consider raising 'process\.max'\n")
        for name, total in (('one', 3), ('two', 1)):
            self.assertRegex(server.ping(name, '/status').text, rf'(?m)^total processes: +{total}$')

    def total(self, server, name):
        return int(re.search(r'(?m)^total processes: +(\d+)$', server.ping(name, '/status').text).group(1))

    @ftm_only('the status page of php-fpm waits for a child')
    def test_pools_compete_for_what_is_left_at_the_moment(self):
        settings = {'pm': 'dynamic', 'pm.start_servers': 1, 'pm.min_spare_servers': 1, 'pm.max_spare_servers': 1, 'pm.status_path': '/status'}
        server = self.serve([Pool(name, children=5, settings=settings) for name in ('one', 'two')], settings={'process.max': '5'})
        hold = server.script('hold.php', '<?php touch($_GET["f"]); while (file_exists($_GET["f"])) { usleep(10000); clearstatcache(); } echo "held";')

        def begin(pool, number):
            flag = os.path.join(server.tmp, f'{pool}{number}')
            connection = server.connect(pool, timeout=60)
            self.addCleanup(connection.close)
            connection.send_request(fcgi.script_params(hold, QUERY_STRING='f=' + flag))
            return connection, flag

        def end(held):
            for connection, flag in held:
                self.poll(lambda: os.path.exists(flag), 10)
                os.unlink(flag)
                self.assertBody(connection.read_response(), 'held')

        self.assertNotIn('maximum number', server.log_text())
        for busy, other in (('one', 'two'), ('two', 'one')):
            since = server.mark()
            held = [begin(busy, number) for number in range(5)]
            server.wait_for(r"WARNING: The maximum number of processes has been reached\. Please review your configuration and consider raising 'process\.max'$", 15, since)
            self.poll(lambda: sum(os.path.exists(flag) for _, flag in held) == 4, 15, 'all but the one of the other pool')
            self.poll(lambda: self.total(server, busy) + self.total(server, other) == 5)
            self.assertBody(server.run('echo "served";', pool=other), 'served')
            end(held)
            self.poll(lambda: self.total(server, busy) == 1, 20, 'idle ones have left')

    def test_ondemand_pools_compete_too(self):
        settings = {'pm': 'ondemand', 'pm.process_idle_timeout': '1s', 'pm.status_path': '/status'}
        server = self.serve([Pool(name, children=5, settings=settings) for name in ('one', 'two')], settings={'process.max': '3'})
        slow = server.script('slow.php', '<?php while (!file_exists($_GET["go"])) { usleep(5000); clearstatcache(); } echo "slow";')
        for name in ('one', 'two'):
            go = os.path.join(server.tmp, 'go-' + name)
            since = server.mark()
            connections = []
            for _ in range(5):
                connections.append(server.connect(name, timeout=60))
                connections[-1].send_request(fcgi.script_params(slow, QUERY_STRING='go=' + go))
                time.sleep(0.05)                                     # php-fpm starts one child for connections that come together
            server.wait_for('WARNING: The maximum number of processes has been reached', 10, since)
            open(go, 'w').close()
            for connection in connections:
                self.assertBody(connection.read_response(), 'slow')
                connection.close()
            self.poll(lambda: not server.workers(name), 20)

    def test_enough_is_not_mentioned(self):
        server = self.serve([Pool(name, children=3) for name in ('one', 'two')], settings={'process.max': '6'})
        self.assertNotIn('maximum number', server.log_text())


class ExposePhp(DaemonTest):
    def test_the_pools_value_holds_for_pages_of_our_own(self):
        for ini, directive, value, shown in (('1', 'php_flag', 'off', False), ('0', 'php_admin_value', 'On', True), ('1', 'php_value', '0', False)):
            server = self.serve([Pool(children=1, settings={'ping.path': '/ping', f'{directive}[expose_php]': value})], ini={'expose_php': ini})
            with self.subTest(directive, value=value):
                self.assertEqual('X-Powered-By' in dict(server.ping().headers), shown)
            server.stop()


class Descriptors(DaemonTest):
    def test_a_connection_has_a_lower_number_than_its_listener(self):
        """As in php-fpm; tools that look at a worker's sockets rely on it (socket-close-on-exec.phpt)."""
        server = self.serve([Pool(listen='tcp', children=1)])
        with server.connect() as connection:
            self.assertIsNotNone(connection)
            engine = server.workers()[0]

            def numbers():
                found = {}
                for name in os.listdir(f'/proc/{engine}/fd'):
                    try:
                        target = os.readlink(f'/proc/{engine}/fd/{name}')
                    except FileNotFoundError:
                        continue
                    if target.startswith('socket:'):
                        found[target[8:-1]] = int(name)
                listening = connected = None
                with open(f'/proc/{engine}/net/tcp') as f:
                    for line in f:
                        columns = line.split()
                        if len(columns) > 9 and columns[9] in found and columns[1].endswith(':%04X' % server.pools[0].address[1]):
                            if columns[3] == '0A':
                                listening = found[columns[9]]
                            elif columns[3] == '01':
                                connected = found[columns[9]]
                return (connected, listening) if connected is not None and listening is not None else None
            connected, listening = self.poll(numbers)
            self.assertLess(connected, listening)


class ReloadLine(DaemonTest):
    def test_eleven_arguments_are_shown(self):
        server = self.serve([Pool(children=1)], args=['-d', 'a.b=1', '-d', 'c.d=2', '-d', 'e.f=3'])
        mark = server.mark()
        server.kill(signal.SIGUSR2)
        match = server.wait_for(r'NOTICE: reloading: execvp\("([^"]+)", \{(.*)\}\)$', since=mark, timeout=20)
        shown = re.findall(r'"([^"]*)"', match.group(2))
        self.assertEqual(len(shown), 11)
        self.assertEqual(shown, server.command()[:11])
        server.wait_for('ready to handle connections', since=mark, timeout=20)
