"""A context has what an FPM child had for itself: umask, cwd, locale, environment, descriptors; nothing leaks to a neighbour or the next request."""

import os
import resource
import signal
import struct
import sys
import unittest

from ftm import fcgi, proc, server as server_module
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, needs_module
from ftm.load import Load
from ftm.server import SUPPORT

# What one request can see of the state that a request can change.
STATE = '''
function state() {
    $f = sys_get_temp_dir() . '/state' . mt_rand(); touch($f); $mode = substr(sprintf('%o', fileperms($f)), -3); unlink($f);
    return ['umask' => sprintf('%03o', umask()), 'mode of a new file' => $mode, 'cwd' => getcwd(), 'relative' => (string) realpath('.'),
        'cwd of a program' => trim((string) shell_exec('pwd')), 'umask of a program' => ltrim(trim((string) shell_exec('umask')), '0') ?: '0',
        'locale' => setlocale(LC_ALL, 0), 'arg' => bin2hex(escapeshellarg("\\xc3\\xa4")),
        'getenv' => getenv('FTM_STATE'), 'putenv list' => isset(getenv()['FTM_STATE']), 'env of a program' => trim((string) shell_exec('echo "$FTM_STATE"')),
        'server' => isset($_SERVER['FTM_STATE']), 'timezone' => date_default_timezone_get(), 'precision' => ini_get('precision'),
        'mb' => function_exists('mb_internal_encoding') ? mb_internal_encoding() : '-', 'error_reporting' => error_reporting(), 'include_path' => get_include_path(),
        'constant' => defined('FTM_STATE'), 'global' => isset($GLOBALS['ftm_state']), 'static' => class_exists('FtmState', false), 'stat' => is_dir('/')];
}
function change($mark) {
    umask(0); chdir('/'); setlocale(LC_CTYPE, 'C'); putenv("FTM_STATE=$mark"); date_default_timezone_set('Asia/Tokyo'); ini_set('precision', 3);
    if (function_exists('mb_internal_encoding')) mb_internal_encoding('ISO-8859-1'); error_reporting(0); set_include_path('/nowhere'); define('FTM_STATE', $mark);
    $GLOBALS['ftm_state'] = $mark; eval('class FtmState { static $x = 1; }');
}
function wait_for($file) { for ($i = 0; $i < 60000 && !file_exists($file); $i++) { usleep(5000); clearstatcache(); } }
'''


class State(DaemonTest):
    WRAPPER = ()
    SHARED = ()          # what neighbours may share where unshare is denied

    def make(self, **kwargs):
        server = self.serve(wrapper=self.WRAPPER, **kwargs)
        self.state = server.script('state.php', '<?php ' + STATE + 'echo json_encode(state());')
        return server

    def read(self, server):
        import json
        response = server.get(self.state)
        self.assertEqual(response.status, 200, repr(response))
        return json.loads(response.text)

    def without(self, state):
        return {k: v for k, v in state.items() if k not in self.SHARED}

    def test_next_request_starts_anew(self):
        server = self.make(pools=[Pool(children=1)])
        before = self.read(server)
        for ending in ('', 'exit(1);', 'no_such_function();', 'throw new Exception("x");', 'ini_set("memory_limit", "4M"); str_repeat("x", 100 << 20);'):
            with self.subTest(ending or 'end of script'):
                server.run(STATE + 'change("mine"); ' + ending)
                self.assertEqual(self.read(server), before)

    def test_neighbour_sees_nothing(self):
        server = self.make(pools=[Pool(children=3)])
        before = self.read(server)
        changed, done = (os.path.join(server.tmp, name) for name in ('changed', 'done'))
        changer = server.script('changer.php', '<?php ' + STATE + f'change("mine"); touch("{changed}"); wait_for("{done}"); echo json_encode(state());')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(changer))
            self.poll(lambda: os.path.exists(changed))
            for _ in range(6):
                self.assertEqual(self.without(self.read(server)), self.without(before))
            # And the neighbours' own resets leave the changer's values alone.
            server.run(STATE + 'change("other");')
            open(done, 'w').close()
            import json
            mine = json.loads(connection.read_response().text)
        self.assertEqual(mine['getenv'], 'mine')
        self.assertEqual(mine['env of a program'], 'mine')
        self.assertEqual(mine['cwd'], '/')
        self.assertEqual(mine['cwd of a program'], '/')
        self.assertEqual(mine['timezone'], 'Asia/Tokyo')
        self.assertNotEqual(mine['arg'], before['arg'])
        if 'umask' not in self.SHARED:
            self.assertEqual((mine['umask'], mine['mode of a new file'], mine['umask of a program']), ('000', '666', '0'))
        self.assertEqual(self.without(self.read(server)), self.without(before))

    def test_many_at_once_each_with_its_own(self):
        """Eight scripts set different values of everything, wait for each other, and find their own."""
        server = self.make(pools=[Pool(children=8)])
        go = os.path.join(server.tmp, 'go')
        folders = [server.file(f'dir{i}/here.txt', str(i)) for i in range(8)]
        self.assertEqual(len(folders), 8)
        script = server.script('own.php', '<?php ' + STATE + f'''
            $i = (int) $_GET['i']; umask($i << 3); chdir(__DIR__ . "/dir$i"); putenv("FTM_OWN=$i"); setlocale(LC_CTYPE, $i % 2 ? 'C' : 'C.UTF-8');
            touch("{server.tmp}/ready$i"); wait_for("{go}");
            $bad = [];
            for ($n = 0; $n < 200; $n++) {{
                if (file_get_contents('here.txt') !== (string) $i) $bad[] = 'relative file';
                if (getenv('FTM_OWN') !== (string) $i) $bad[] = 'getenv';
                if (setlocale(LC_CTYPE, 0) !== ($i % 2 ? 'C' : 'C.UTF-8')) $bad[] = 'locale';
                if (getcwd() !== __DIR__ . "/dir$i") $bad[] = 'cwd';
                if ($_GET['umask'] && umask() !== $i << 3) $bad[] = 'umask';
                if ($n % 50 === 0 && trim(shell_exec('cat here.txt; echo $FTM_OWN')) !== $i . $i) $bad[] = 'program';
                if ($n % 20 === 0) usleep(1000);
            }}
            echo $bad ? implode(' ', array_unique($bad)) : "own $i";''')
        connections = []
        for i in range(8):
            connection = server.connect(timeout=40)
            connection.send_request(fcgi.script_params(script, QUERY_STRING=f'i={i}&umask={int("umask" not in self.SHARED)}'))
            connections.append(connection)
        self.poll(lambda: all(os.path.exists(f'{server.tmp}/ready{i}') for i in range(8)), 10)
        open(go, 'w').close()
        self.assertEqual([c.read_response().text for c in connections], [f'own {i}' for i in range(8)])
        for connection in connections:
            connection.close()

    def test_chdir_of_the_pool(self):
        folder = '/usr/share'
        server = self.make(pools=[Pool(children=2, settings={'chdir': folder})])
        # Scripts run in their own folder; what libraries open by relative names starts in the pool's.
        before = self.read(server)
        self.assertEqual(before['cwd'], server.docroot)
        for _ in range(4):
            self.assertEqual(self.read(server), before)

    def test_relative_includes_of_two_folders_at_once(self):
        server = self.make(pools=[Pool(children=6)])
        for name in ('one', 'two'):
            server.file(f'{name}/part.inc', f'<?php return "{name}";')
            server.script(f'{name}/page.php', '<?php for ($i = 0; $i < 20; $i++) { $x = include "part.inc"; if ($x !== basename(__DIR__) || file_get_contents("part.inc") !== file_get_contents(__DIR__ . "/part.inc")) exit("wrong $x"); } echo basename(getcwd());')

        def make(method, client, number):
            name = ('one', 'two')[client % 2]
            params = fcgi.script_params(os.path.join(server.docroot, name, 'page.php'))
            return params, b'', lambda r: None if r.text == name else f'{r.text[:80]!r} instead of {name}'
        result = Load(server.pool().address, make=make, clients=6, seconds=600, requests=1000, kinds=('new GET',)).run()
        self.assertEqual(result.failed, 0, str(result))
        self.assertEqual(result.requests, 1000)


def _can_filter():
    from subprocess import run
    return run([sys.executable, os.path.join(SUPPORT, 'deny-unshare'), '/bin/true'], capture_output=True).returncode == 0


@unittest.skipUnless(_can_filter(), 'no seccomp filters here')
class StateWhereUnshareIsDenied(State):
    """The same in a container whose seccomp profile denies unshare: only the umask may be shared then."""

    WRAPPER = (sys.executable, os.path.join(SUPPORT, 'deny-unshare'))
    SHARED = ('umask', 'mode of a new file', 'umask of a program') if is_ftm() else ()

    @ftm_only('php-fpm does not use unshare')
    def test_one_notice(self):
        server = self.make(pools=[Pool(children=4)])
        self.assertEqual(self.read(server)['cwd'], server.docroot)
        server.wait_for('unshare')
        lines = [line for line in server.log() if 'unshare' in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], r'\] NOTICE: ')


class Descriptors(DaemonTest):
    def setUp(self):
        self.server = self.serve([Pool(children=4)])

    def hold(self, code):
        """A visitor who has things open until told; returns a function that ends it and gives the answer."""
        ready, done = (os.path.join(self.server.tmp, name) for name in ('ready', 'done'))
        script = self.server.script('holder.php', '<?php ' + code + f' touch("{ready}"); for ($i = 0; $i < 60000 && !file_exists("{done}"); $i++) {{ usleep(5000); clearstatcache(); }} echo "held";')
        connection = self.server.connect()
        connection.send_request(fcgi.script_params(script))
        self.poll(lambda: os.path.exists(ready))

        def release():
            open(done, 'w').close()
            text = connection.read_response().text
            connection.close()
            return text
        return release

    def sleepers(self):
        return [pid for pid in self.server.processes() if proc.title(pid).startswith('sleep')]

    SLEEP = 'exec("sleep 1000 > /dev/null 2>&1 &");'

    def begun(self):
        """The shell has become the sleeping program."""
        return self.poll(lambda: len(found := self.sleepers()) == 1 and found)

    def end(self, sleepers):
        self.assertEqual(self.sleepers(), sleepers, 'the program still runs')
        for pid in sleepers:
            os.kill(pid, signal.SIGKILL)
        self.poll(lambda: not self.sleepers(), what='the sleeping program ended')

    def test_program_of_one_visitor_holds_no_lock_of_another(self):
        release = self.hold('$f = fopen(sys_get_temp_dir() . "/lock", "c"); flock($f, LOCK_EX);')
        self.assertEqual(self.server.run(self.SLEEP + ' echo "started";').text, 'started')
        sleepers = self.begun()
        self.assertEqual(release(), 'held')
        self.assertBody(self.server.run('$f = fopen(sys_get_temp_dir() . "/lock", "c"); echo flock($f, LOCK_EX | LOCK_NB) ? "free" : "still locked";'), 'free')
        self.end(sleepers)

    def test_program_of_one_visitor_holds_no_session_of_another(self):
        release = self.hold('session_id("abcdefabcdefabcdefabcdefab"); session_start();')
        self.server.run(self.SLEEP)
        sleepers = self.begun()
        release()
        self.assertBody(self.server.run('session_id("abcdefabcdefabcdefabcdefab"); session_start(); echo "mine";'), 'mine')
        self.end(sleepers)

    def test_program_holds_no_client_connection(self):
        with self.server.connect() as other:
            other.send(fcgi.begin())
            with self.server.connect() as connection:
                script = self.server.script('bg.php', f'<?php {self.SLEEP} echo "started";')
                self.assertEqual(connection.request(fcgi.script_params(script), keep=False).text, 'started')
                sleepers = self.begun()
                self.assertTrue(connection.wait_closed(), 'the connection ends although the program lives')
        self.end(sleepers)

    @ftm_only('php-fpm lets a few of its own through')
    def test_programs_get_three_descriptors(self):
        release = self.hold('$f = [fopen(__FILE__, "r"), tmpfile(), stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0), popen("cat", "r"), stream_socket_server("tcp://127.0.0.1:0"), '
                            'opendir("/"), fopen("php://temp/maxmemory:0", "w+")]; fwrite($f[6], "x"); $g = tempnam(sys_get_temp_dir(), "x"); $h = new SplFileObject($g, "c+");')
        for how in ('shell_exec("ls -1 /proc/self/fd")', 'stream_get_contents(popen("ls -1 /proc/self/fd", "r"))',
                    '(function () { $p = proc_open(["ls", "-1", "/proc/self/fd"], [["file", "/dev/null", "r"], ["pipe", "w"], ["file", "/dev/null", "w"]], $pipes); return stream_get_contents($pipes[1]); })()'):
            text = self.server.run('$mine = fopen(__FILE__, "r"); echo ' + how + ';').text
            # ls has one of its own to read the folder; nothing else may be there.
            self.assertEqual(text.split()[:3], ['0', '1', '2'], how)
            self.assertLessEqual(len(text.split()), 4, f'{how}: {text.split()}')
        release()

    def test_proc_open_passes_what_it_was_told_to(self):
        self.assertBody(self.server.run('$p = proc_open(["sh", "-c", "echo to five >&5; cat <&4"], [1 => ["pipe", "w"], 4 => ["pipe", "r"], 5 => ["pipe", "w"]], $pipes);'
                                        ' fwrite($pipes[4], "from four"); fclose($pipes[4]); echo stream_get_contents($pipes[1]), "|", stream_get_contents($pipes[5]), "|", proc_close($p);'),
                        'from four|to five\n|0')

    def test_descriptors_of_a_request_are_closed_at_its_end(self):
        server = self.server
        script = server.script('open.php', '<?php for ($i = 0; $i < 50; $i++) $f[] = fopen(__FILE__, "r"); $s = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); if (isset($_GET["fatal"])) no_such(); echo "open";')
        server.get(script)
        before = {pid: len(proc.descriptors(pid)) for pid in server.workers()}
        for number in range(40):
            server.get(script, query='fatal=1' if number % 2 else '')
        self.poll(lambda: all(len(proc.descriptors(pid)) <= count + 2 for pid, count in before.items()), 3, lambda: {pid: proc.descriptors(pid) for pid in before})


class StreamSelect(DaemonTest):
    COUNT = 2000

    @ftm_only('php-fpm has a process per connection')
    def test_stream_select_beside_2000_idle_connections(self):
        """select(2) knows descriptors below 1024 only: scripts must get low numbers however many clients wait."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < self.COUNT + 500:
            self.skipTest('RLIMIT_NOFILE is too low')
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 10000)), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        server = self.serve([Pool(children=4, settings={'listen.backlog': '4096'})])
        hello = server.script('hello.php', '<?php echo "hello";')
        select = server.script('select.php', '<?php [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); $f = fopen(__FILE__, "r"); fwrite($a, "x"); $r = [$b]; $w = $e = null;'
                               ' echo stream_select($r, $w, $e, 1), " ", count($r), " "; $p = popen("echo out", "r"); $r = [$p]; echo stream_select($r, $w, $e, 5), " ", fgets($p);'
                               ' preg_match_all("/^\\d+/m", implode("\\n", scandir("/proc/self/fd")), $m); ')
        idle = []
        self.addCleanup(lambda: [c.close() for c in idle])
        for number in range(self.COUNT):
            connection = server.connect(timeout=30)
            idle.append(connection)
            if number % 2 == 0:
                self.assertEqual(connection.request(fcgi.script_params(hello), keep=True).text, 'hello')
        for _ in range(5):
            response = server.get(select)
            self.assertBody(response, '1 1 1 out\n')
            self.assertEqual(response.stderr, b'')
        # One of the idle ones is as good as new.
        for connection in (idle[0], idle[1], idle[self.COUNT // 2], idle[-1]):
            self.assertEqual(connection.request(fcgi.script_params(select), keep=True).text, '1 1 1 out\n')


@needs_module('pcntl', 'posix')
@ftm_only('a child that forks itself leaves a child that nobody knows')
class ForkedCopies(DaemonTest):
    """pcntl_fork() in a script: the copy of the engine is the script's, and ends with it."""

    def setUp(self):
        self.server = self.serve([Pool(children=3)], modules=['pcntl', 'posix', *(['ffi'] if self.HAS_FFI else [])], ini={'ffi.enable': '1'})

    HAS_FFI = is_ftm() and server_module.binary().has('ffi')

    def fork(self, child, after=''):
        return self.server.run('$p = pcntl_fork(); if ($p === 0) { ' + child + ' } pcntl_waitpid($p, $status); echo "parent ", '
                               'pcntl_wifsignaled($status) ? "signal " . pcntl_wtermsig($status) : pcntl_wexitstatus($status);' + after)

    def test_copy_ends_with_its_script_and_says_nothing_to_the_client(self):
        workers = self.server.workers()
        for child, status in (('echo "child"; exit(3);', 3), ('echo str_repeat("child", 10000); flush(); exit(4);', 4), ('error_log("child"); no_such();', 255),
                              ('fastcgi_finish_request(); return;', 0), ('ob_start(); echo "child"; throw new Exception("x");', 255)):
            with self.subTest(child):
                response = self.fork(child)
                self.assertBody(response, f'parent {status}')
                self.assertEqual(response.stderr, b'')
        self.assertEqual(self.server.workers(), workers)

    @needs_module('ffi')
    def test_crash_of_a_copy_is_its_own(self):
        workers = self.server.workers()
        self.assertBody(self.fork('FFI::cdef("char *strcpy(char *, const char *);")->strcpy(null, "x");'), 'parent signal 11')
        self.assertEqual(self.server.workers(), workers)
        self.assertNotIn('crashed', self.server.log_text())


@needs_module('gettext')
class Messages(DaemonTest):
    """gettext: two applications of one pool may have catalogues of the same name, or of two names, at the same time."""

    def catalogue(self, server, place, text):
        """A .mo file with the translation of "hello"."""
        strings = [(b'', b'Content-Type: text/plain; charset=UTF-8\n'), (b'hello', text.encode())]
        head = 28 + 16 * len(strings)
        tables, data = [[], []], b''
        for column in (0, 1):
            for pair in strings:
                tables[column] += [len(pair[column]), head + len(data)]
                data += pair[column] + b'\0'
        numbers = [0x950412de, 0, len(strings), 28, 28 + 8 * len(strings), 0, 0, *tables[0], *tables[1]]
        server.file(place, struct.pack(f'<{len(numbers)}I', *numbers) + data)

    def test_domains_and_their_directories_are_the_contexts_own(self):
        server = self.serve([Pool(children=4)], modules=['gettext'])
        for where, domain in (('a', 'shop'), ('b', 'shop'), ('c', 'blog')):
            self.catalogue(server, f'{where}/C.UTF-8/LC_MESSAGES/{domain}.mo', f'{domain} of {where}')
        script = server.script('say.php', """<?php
            setlocale(LC_ALL, 'C.UTF-8');
            if (isset($_GET['d'])) { bindtextdomain($_GET['d'], __DIR__ . '/' . $_GET['w']); textdomain($_GET['d']); }
            $seen = [];
            for ($i = 0; $i < 100; $i++) { $seen[gettext('hello') . '|' . ngettext('hello', 'x', 1) . '|' . textdomain(null)] = 1; usleep(500); }
            echo implode(', ', array_keys($seen));""")
        asked = {'d=shop&w=a': 'shop of a|shop of a|shop', 'd=shop&w=b': 'shop of b|shop of b|shop', 'd=blog&w=c': 'blog of c|blog of c|blog'}
        if is_ftm():
            asked[''] = 'hello|hello|messages'
        for query, expected in asked.items():
            self.assertBody(server.get(script, query=query), expected)
        connections = [(server.connect(), query) for query in list(asked) * 4]
        for connection, query in connections:
            connection.send_request(fcgi.script_params(script, QUERY_STRING=query))
        for connection, query in connections:
            with connection:
                self.assertBody(connection.read_response(), asked[query])
