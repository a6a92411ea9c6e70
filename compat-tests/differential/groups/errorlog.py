"""The error log: starting, reloading, stopping, reopening; children that end; limits; what scripts, requests and PHP leave in it."""

import concurrent.futures
import contextlib
import os
import re
import select
import signal
import socket

from ftm import fcgi, proc
from ftm.proc import poll
from ftm.server import Pool, Server, StartError

WAIT = 20
AT_A_TIME = 12
ENDED = r'exited (?:on signal|with code) .*from start$'
HOLD = '''<?php if ($_GET["ignore"] ?? 0) { while (microtime(true) < $_GET["ignore"]) { } }
touch($_GET["mark"]); for ($i = 0; $i < 60000 && !file_exists($_GET["go"]); $i++) { usleep(5000); clearstatcache(); } echo "held";'''

CASES = []


NEED_ROOT = {'user is root', 'user unknown', 'group unknown'}  # others cannot change them, and both servers start


def case(name, *args, **kwargs):
    """A case: a function of a Scene that returns what is compared, by default all that was logged."""
    def mark(function):
        CASES.append((name, function, args, kwargs))
        return function
    return mark


def cases(binary, scratch):
    """Most cases wait for something, so some run at a time. $FTM_CASES: a pattern of those wanted."""
    wanted = re.compile(os.environ.get('FTM_CASES', ''))
    chosen = [c for c in CASES if wanted.search(c[0]) and (os.geteuid() == 0 or c[0] not in NEED_ROOT)]
    proc.become_subreaper()
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        yield from pool.map(lambda c: play(binary, scratch, *c), chosen)


def play(binary, scratch, name, function, args, kwargs):
    with Scene(binary, scratch) as scene:
        try:
            text = function(scene, *args, **kwargs) or scene.logged()
        except (AssertionError, OSError, StartError, fcgi.FcgiError) as error:
            logged = scene.logged() if scene.server and os.path.exists(scene.server.root) else ''
            text = f'{binary.path}: {type(error).__name__}: {error}\n{logged}'
    return name, text


class Logged(Server):
    READY = r'NOTICE: (?:pid \d+, \w+\(\), line \d+: )?ready to handle connections'


class Scene:
    """At most one server, and everything that a case needs around it."""

    def __init__(self, binary, scratch):
        self.binary, self.scratch, self.server, self.held, self.places = binary, scratch, None, [], {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.held:
            connection.close()
        if self.server:
            if self.server.process is not None:
                self.server.kill_all()
            self.server.cleanup()
        self.stack.close()

    def prepare(self, pools=None, children=1, pool=(), **kwargs):
        kwargs.setdefault('force_stderr', False)
        self.server = Logged(pools or [Pool(children=children, settings=dict(pool))], binary=self.binary, **kwargs).prepare()
        self.server.script('hold.php', HOLD)
        self.server.script('hello.php', '<?php echo "hello";')
        return self.server

    def start(self, *args, serving=True, **kwargs):
        """Started, and every pool has answered: php-fpm says that it is ready before its children are."""
        server = self.server or self.prepare(*args, **kwargs)
        level = server.settings.get('log_level', 'notice')
        server.start(wait=level in ('debug', 'notice'))
        for pool in server.pools if serving else ():
            self.serves(pool.name)
        return server

    def serves(self, pool=None):
        def answers():
            try:
                if not self.server.is_ftm:
                    wake(self.server)
                return self.server.get(os.path.join(self.server.docroot, 'hello.php'), pool=pool, timeout=10).text == 'hello'
            except (OSError, fcgi.FcgiError):
                return False
        poll(answers, WAIT, 'the pool serves')

    def say(self, regex, since=0, count=1):
        return self.server.wait_for(regex, WAIT, since, count)

    def hold(self, ignore=0, pool=None, expect=True):
        """A request that runs until release(); it has begun when this returns."""
        server = self.server
        mark = os.path.join(server.tmp, f'mark{len(self.held)}')
        connection = fcgi.Connection(server.pool(pool).address, 60)
        connection.send_request(fcgi.script_params(os.path.join(server.docroot, 'hold.php'), SCRIPT_NAME='/hold.php',
                                                   QUERY_STRING=f'mark={mark}&go={server.tmp}/go&ignore={ignore}'))
        self.held.append(connection)
        if expect:
            poll(lambda: os.path.exists(mark), WAIT, 'the script runs')

    def release(self):
        open(os.path.join(self.server.tmp, 'go'), 'w').close()

    def answers(self):
        """What the held requests came to."""
        result = []
        for connection in self.held:
            try:
                result.append(connection.read_response().text)
            except (OSError, fcgi.FcgiError):
                result.append('none')
        self.held = []
        return 'answers: ' + ' '.join(result)

    def worker(self, pool='www'):
        return poll(lambda: self.server.workers(pool), WAIT, 'a worker')[0]

    def stop(self, number=signal.SIGQUIT):
        self.server.kill(number)
        return self.end()

    def end(self):
        code = self.server.wait_ended(WAIT)
        return self.logged() + f'exit {code}\n'

    def conf(self, old, new):
        with open(self.server.conf) as f:
            text = f.read()
        assert old in text, old
        with open(self.server.conf, 'w') as f:
            f.write(text.replace(old, new))

    def reload(self, number=signal.SIGUSR2, ready=1):
        before = self.server.mark()
        self.server.kill(number)
        self.say(self.server.READY, before, ready)
        self.serves()
        return before

    def logged(self, since=0):
        """The error log, and what was printed to the terminal."""
        server = self.server
        text = self.normal(server._read(server.error_log)[since:])
        printed = self.normal(server._read(server.output))
        return text + ''.join(f'stderr: {line}\n' for line in printed.splitlines())

    def normal(self, text):
        server = self.server
        text = text.replace(server.root, '<server>').replace(self.binary.path, '<binary>')
        for pool in server.pools:
            if isinstance(pool.address, tuple):
                text = text.replace(':%d' % pool.address[1], f':<port of {pool.name}>')
        text = re.sub(r'\[\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d( UTC|\.\d{6})?\]', lambda m: '[<time>%s]' % ('.<us>' if '.' in m[0] else m[1] or ''), text)
        text = re.sub(r'pid \d+, \(?\w+\)?\(\), line \d+: ', '<place>: ', text)
        text = re.sub(r'(NOTICE: )\w+\(\), line \d+: +', r'\1<place>: ', text)
        text = re.sub(r'\b(pid|child|trace of|about to trace) \d+', r'\1 <pid>', text)
        text = re.sub(r'\d+\.\d{6} seconds', '<n> seconds', text)
        text = re.sub(r'\(\d+\.\d{6} sec\)', '(<n> sec)', text)
        text = re.sub(r'fd=\d+', 'fd=<n>', text)
        text = re.sub(r'0x[0-9a-f]{8,}', '<address>', text)
        # How much of a line of 1024 bytes is left depends on how many digits the pid has.
        text = re.sub(r'([xm])\1{29,}', r'\1…', text)
        text = re.sub('<place>:[ \0]+', '<place>: ', text)
        # The arguments of the re-executed program: modules are where the binary has them.
        text = re.sub(r'extension_dir=[^"]*', 'extension_dir=<modules>', text)
        return text


# -- starting ------------------------------------------------------------------------------------------------------

@case('start in the foreground')
@case('start with -O', force_stderr=True)
@case('start as a daemon', daemonize=True)
@case('start with three pools', pools=3)
@case('start of a dynamic pool', pool={'pm': 'dynamic', 'pm.max_children': 3, 'pm.min_spare_servers': 1, 'pm.max_spare_servers': 2})
@case('start of an ondemand pool', pool={'pm': 'ondemand'})
@case('start with a systemd interval', settings={'systemd_interval': '5s'})
@case('start with a large backlog', pool={'listen.backlog': 70000})
def start_and_stop(scene, pools=None, **kwargs):
    scene.start([Pool(n, children=1, listen='tcp' if n == 'second' else 'unix') for n in ('first', 'second', 'third')] if pools else None, **kwargs)
    return scene.stop()


@case('log_level debug', 'debug')
@case('log_level notice', 'notice')
@case('log_level warning', 'warning')
@case('log_level error', 'error')
@case('log_level alert', 'alert')
def levels(scene, level):
    server = scene.start(settings={'log_level': level}, pool={'catch_workers_output': 'yes'})
    server.run('error_log("said");')
    worker = scene.worker()
    os.kill(worker, signal.SIGKILL)
    poll(lambda: server.workers() not in ([], [worker]), WAIT, 'another worker')
    scene.serves()
    os.rename(server.error_log, server.error_log + '.old')
    server.kill(signal.SIGUSR1)
    poll(lambda: os.path.exists(server.error_log), WAIT, 'a new log')
    text = scene.stop()
    text = scene.normal(server._read(server.error_log + '.old')) + '--\n' + text
    # What php-fpm's functions tell about themselves is theirs.
    return ''.join(line for line in text.splitlines(True) if 'DEBUG: <place>' not in line)


@case('address in use, TCP', 'tcp')
@case('address in use, Unix', 'unix')
@case('address of nobody', 'nowhere')
@case('directory of the socket missing', 'directory')
@case('the same address in two pools', 'twice')
@case('user is root', None, pool={'user': 'root', 'group': 'root'})
@case('user unknown', None, pool={'user': 'nobody-at-all'})
@case('group unknown', None, pool={'group': 'nobody-at-all'})
@case('listen.owner unknown', None, pool={'listen.owner': 'nobody-at-all'})
@case('chdir missing', None, pool={'chdir': '/nowhere/at/all'})
@case('chroot missing', None, pool={'chroot': '/nowhere/at/all'})
@case('access.log cannot be opened', None, pool={'access.log': '/nowhere/at/all'})
@case('slowlog cannot be opened', None, pool={'slowlog': '/nowhere/at/all', 'request_slowlog_timeout': '5s'})
@case('pid file cannot be written', None, settings={'pid': '/nowhere/at/all'})
@case('error_log cannot be opened', None, settings={'error_log': '/nowhere/at/all'})
@case('rlimit_core beyond the hard limit', None, settings={'rlimit_core': '77777777'})
@case('rlimit_core of the pool', 'serves', pool={'rlimit_core': '77777777'})
@case('rlimit_files of the pool', 'serves', pool={'rlimit_files': '2000000000'})
@case('unknown event mechanism', None, settings={'events.mechanism': 'telepathy'})
@case('daemon whose start fails', None, daemonize=True, pool={'user': 'nobody-at-all'})
@case('unknown php_admin_value', 'serves', pool={'php_admin_value[no_such_thing]': '1', 'php_value[nor_this]': '2'})
@case('php_admin_value of the wrong kind', 'serves', pool={'php_admin_value[memory_limit]': 'lots', 'php_admin_value[session.save_handler]': 'nothing',
                                                          'php_admin_value[date.timezone]': 'Mars/Olympus', 'catch_workers_output': 'yes'})
@case('unknown extension', 'serves', pool={'catch_workers_output': 'yes'}, ini={'extension': 'no_such_module.so'})
def start_fails(scene, what, pools=None, **kwargs):
    if what == 'tcp':
        busy = scene.stack.enter_context(socket.socket())
        busy.bind(('127.0.0.1', 0))
        busy.listen()
        pools = [Pool(children=1, listen='127.0.0.1:%d' % busy.getsockname()[1])]
    elif what == 'unix':
        busy = scene.stack.enter_context(socket.socket(socket.AF_UNIX))
        path = os.path.join(scene.scratch, 'busy.sock')
        scene.stack.callback(os.unlink, path)
        busy.bind(path)
        busy.listen()
        pools = [Pool(children=1, listen=path)]
    elif what == 'nowhere':
        pools = [Pool(children=1, listen='192.0.2.1:9')]
    elif what == 'directory':
        pools = [Pool(children=1, listen='/nowhere/at/all.sock')]
    elif what == 'twice':
        pools = [Pool('a', children=1, listen='127.0.0.1:9'), Pool('b', children=1, listen='127.0.0.1:9')]
    if what == 'serves':
        scene.start(pools, **kwargs)
        return '\n'.join(sorted(scene.stop().splitlines()))  # which child says it when is chance
    server = scene.prepare(pools, **kwargs)
    server.start(wait=False)
    code = poll(lambda: (c := server.process.poll()) is not None and [c] or re.search('exited with code', scene.logged()) and ['none yet'], WAIT, 'the end')[0]
    text = scene.logged()
    if code == 'none yet':  # php-fpm starts such children again and again
        return ''.join(text.partition(' seconds from start\n')[:2]) + 'and so on'
    return text.replace(scene.scratch, '<scratch>') + f'exit {code}'


# -- signals -------------------------------------------------------------------------------------------------------

@case('SIGUSR1')
@case('SIGUSR1 of a daemon', daemonize=True)
@case('SIGUSR1 where the log is stderr', force_stderr=True)
@case('SIGUSR1, the log moved', 'moved')
@case('SIGUSR1, the log cannot be opened', 'blocked')
def reopen(scene, how=None, **kwargs):
    server = scene.start(**kwargs)
    old = server.error_log + '.old'
    before = server.mark()
    if how:
        os.rename(server.error_log, old)
        before = 0
    if how == 'blocked':
        os.mkdir(server.error_log)
        server.kill(signal.SIGUSR1)
        poll(lambda: 'unable to re-opened' in server._read(old), WAIT, 'a message')
        os.rmdir(server.error_log)
    else:
        server.kill(signal.SIGUSR1)
        scene.say('error log file re-opened', before)
    text = scene.stop()
    return (scene.normal(server._read(old)) + '--\n' if how else '') + text


@case('reload, nothing changed')
@case('reload by SIGHUP', number=signal.SIGHUP)
@case('reload of a daemon', daemonize=True)
@case('reload, more children', change=('pm.max_children = 1', 'pm.max_children = 2'))
@case('reload, other settings', change=('pm.max_children = 1', 'pm.max_children = 1\nphp_value[memory_limit] = 64M'))
@case('reload, a pool removed', change='removed')
@case('reload, a pool added', change='added')
@case('reload, another address', change='moved')
@case('reload, another error_log', change='log')
@case('reload, another log_level', change='level')
@case('reload three times', times=3)
def reload(scene, change=None, number=signal.SIGUSR2, times=1, **kwargs):
    pools = [Pool(n, children=1) for n in ('www', 'other')] if change == 'removed' else None
    server = scene.start(pools, **kwargs)
    if change == 'removed':
        scene.conf(server.pools.pop().text(), '')
    elif change == 'added':
        extra = Pool('other', children=1)
        extra.bind_to(server.root)
        with open(server.conf, 'a') as f:
            f.write(extra.text())
    elif change == 'moved':
        scene.conf('www.sock', 'moved.sock')
        server.pools[0].address = server.pools[0].address.replace('www.sock', 'moved.sock')
    elif change == 'log':
        old = server.error_log
        server.error_log = old + '.new'
        scene.conf(old, server.error_log)
        server.kill(number)
        scene.say(server.READY)
        scene.serves()
        return scene.normal(server._read(old)) + '--\n' + scene.stop()
    elif change == 'level':
        scene.conf('[global]', '[global]\nlog_level = warning')
        before = server.mark()
        server.kill(number)
        scene.say('reloading: execvp', before)
        scene.serves()
        return scene.stop()
    elif change:
        scene.conf(*change)
    for _ in range(times):
        scene.reload(number)
    return scene.stop()


@case('reload, a syntax error', 'pm = sometimes\n')
@case('reload, an unknown directive', 'no.such.thing = 1\n')
@case('reload, no pool', None)
def reload_broken(scene, text):
    server = scene.start()
    if text is None:
        scene.conf(server.pools[0].text(), '')
    else:
        with open(server.conf, 'a') as f:
            f.write(text)
    server.kill(signal.SIGUSR2)
    if scene.server.is_ftm:
        scene.say('reload refused')
        scene.serves()
        return scene.stop()
    return scene.end()


@case('reload with a running request', 0)
@case('reload with a running request and process_control_timeout', 10)
def reload_busy(scene, limit):
    server = scene.start(settings={'process_control_timeout': limit})
    scene.hold()
    before = server.mark()
    server.kill(signal.SIGUSR2)
    scene.say('Reloading in progress', before)
    if limit:
        scene.release()
    scene.say(server.READY, before)
    scene.release()
    answers = scene.answers()
    scene.serves()
    return scene.stop() + answers


@case('SIGQUIT', signal.SIGQUIT)
@case('SIGTERM', signal.SIGTERM)
@case('SIGINT', signal.SIGINT)
@case('SIGTERM of a daemon', signal.SIGTERM, daemonize=True)
@case('SIGTERM with -O', signal.SIGTERM, force_stderr=True)
def stop(scene, number, **kwargs):
    scene.start(**kwargs)
    return scene.stop(number)


@case('SIGQUIT with a running request', signal.SIGQUIT)
@case('SIGTERM with a running request', signal.SIGTERM)
@case('SIGINT with a running request', signal.SIGINT)
@case('SIGQUIT with process_control_timeout, the request ends', signal.SIGQUIT, 10, ends=True)
@case('SIGTERM with process_control_timeout and a running request', signal.SIGTERM, 10)
@case('SIGQUIT with process_control_timeout, the request does not end', signal.SIGQUIT, 1)
@case('SIGTERM while SIGQUIT waits', signal.SIGQUIT, 10, signal.SIGTERM)
@case('SIGINT while SIGQUIT waits', signal.SIGQUIT, 10, signal.SIGINT)
@case('SIGQUIT twice', signal.SIGQUIT, 10, signal.SIGQUIT, ends=True)
@case('SIGUSR1 while SIGQUIT waits', signal.SIGQUIT, 10, signal.SIGUSR1, ends=True)
@case('SIGUSR2 while SIGQUIT waits', signal.SIGQUIT, 10, signal.SIGUSR2, ends=True)
def stop_busy(scene, number, limit=0, then=None, ends=False, level='notice'):
    server = scene.start(settings={'process_control_timeout': limit, 'log_level': level})
    scene.hold()
    server.kill(number)
    scene.say('Finishing|Terminating')
    if then:
        server.kill(then)
        if then == signal.SIGUSR1:
            scene.say('re-opened')
        elif then in (signal.SIGTERM, signal.SIGINT):
            scene.say('Terminating')
        else:  # nothing is said; that it was taken shows nowhere but in /proc
            poll(lambda: not int(proc.status_field(server.pid, 'ShdPnd'), 16) & 1 << then - 1, WAIT, 'the signal is taken')
    if ends:
        scene.release()
    return scene.end() + scene.answers()


# -- children that end ---------------------------------------------------------------------------------------------

@case('SIGSEGV to a child', signal.SIGSEGV)
@case('SIGBUS to a child', signal.SIGBUS)
@case('SIGABRT to a child', signal.SIGABRT)
@case('SIGKILL to a child', signal.SIGKILL)
@case('SIGTERM to a child', signal.SIGTERM)
@case('SIGQUIT to a child', signal.SIGQUIT)
@case('SIGUSR1 to a child', signal.SIGUSR1)
@case('SIGKILL to a child with a running request', signal.SIGKILL, busy=True)
@case('SIGSEGV to a child with a running request', signal.SIGSEGV, busy=True)
def child_killed(scene, number, busy=False):
    server = scene.start()
    if busy:
        scene.hold()
    before = server.mark()
    os.kill(scene.worker(), number)
    scene.say(ENDED, before)
    scene.say(r'child \d+ started', before)
    answers = scene.answers() if busy else ''
    scene.serves()
    text = scene.stop() + answers
    return ''.join(sorted(text.splitlines(True))) if number == signal.SIGQUIT else text  # the successor may come first


@case('a script ends its process', '_exit', 'exit_group(3)')
@case('a script crashes in C', 'segv', '')
@case('a script aborts in C', 'abort', '')
def script_ends_child(scene, kind, _):
    code = {'_exit': 'void _exit(int n);', 'segv': 'char *strcpy(char *a, const char *b);', 'abort': 'void abort(void);'}[kind]
    call = {'_exit': '$c->_exit(3);', 'segv': 'FFI::cdef("unsigned long strlen(size_t s);")->strlen(16);', 'abort': '$c->abort();'}[kind]
    server = scene.start(modules=['ffi'], ini={'ffi.enable': '1'})
    path = server.script('end.php', f'<?php $c = FFI::cdef("{code}"); {call}')
    before = server.mark()
    try:
        answer = server.get(path).text
    except (OSError, fcgi.FcgiError):
        answer = 'none'
    scene.say(ENDED, before)
    scene.say(r'child \d+ started', before)
    scene.serves()
    lines = [line for line in scene.stop().splitlines() if ' backtrace #' not in line or ' backtrace #0' in line]
    return '\n'.join(sorted(lines)) + '\nanswer: ' + answer


@case('pm.max_requests')
def max_requests(scene):
    server = scene.start(pool={'pm.max_requests': 3})
    for _ in range(2):
        scene.serves()
    if not server.is_ftm:
        scene.say(ENDED)
        scene.say(r'child \d+ started')
    scene.serves()
    return scene.stop()


@case('emergency restart')
def emergency(scene):
    server = scene.start(settings={'emergency_restart_threshold': 2, 'emergency_restart_interval': '1m'})
    before = server.mark()
    for n in (1, 2):
        os.kill(scene.worker(), signal.SIGSEGV)
        scene.say(ENDED, before, n)
        if n == 1:
            scene.say(r'child \d+ started', before)
            scene.serves()
    scene.say(server.READY, before)
    scene.serves()
    return scene.stop()


# -- limits --------------------------------------------------------------------------------------------------------

@case('request_terminate_timeout')
@case('request_terminate_timeout, with a query', query='a=b&c')
def terminate(scene, query=''):
    server = scene.start(pool={'request_terminate_timeout': '1s'})
    path = server.script('sleep.php', '<?php sleep(30);')
    before = server.mark()
    try:
        answer = server.get(path, query, REQUEST_URI='/sleep.php?own').text
    except (OSError, fcgi.FcgiError):
        answer = 'none'
    scene.say('execution timed out', before)
    if not server.is_ftm:
        scene.say(r'child \d+ started', before)
    scene.serves()
    return '\n'.join(sorted(scene.stop().splitlines())) + '\nanswer: ' + answer


def wake(server):
    """Some kernels leave the traced child stopped when php-fpm has let it go."""
    for worker in server.workers():
        if proc.stat(worker).state in 'Tt':
            os.kill(worker, signal.SIGCONT)


@case('slow request')
@case('slow request, with a query', query='a=b')
@case('slow request, slowlog cannot be opened', gone=True)
@case('slow request, then terminated', extra={'request_terminate_timeout': '3s'}, ends=False)
def slow(scene, query='', gone=False, extra=None, ends=True):
    server = scene.prepare()
    slowlog = os.path.join(server.root, 'slow.log')
    server.pools[0].settings += [('slowlog', slowlog), ('request_slowlog_timeout', '1s'), *(extra or {}).items()]
    server.write_conf()
    scene.start()
    path = server.script('slow.php', '<?php\nfunction deep($n) {\n    if ($n) {\n        deep($n - 1);\n    }\n    while (!file_exists($_SERVER["GO"])) {\n'
                                     '        usleep(20000);\n        clearstatcache();\n    }\n}\ndeep(2);\necho "slow";\n')
    if gone:
        os.unlink(slowlog)
        os.mkdir(slowlog)
    connection = fcgi.Connection(server.pools[0].address, 60)
    scene.held.append(connection)
    connection.send_request(fcgi.script_params(path, SCRIPT_NAME='/slow.php', QUERY_STRING=query, GO=server.tmp + '/go'))
    scene.say('finished trace')
    if not ends:
        scene.say('execution timed out')
        if not server.is_ftm:
            scene.say(r'child \d+ started')
        scene.serves()
    trace = '' if gone else re.sub(r'\[<address>\] (usleep|file_exists|clearstatcache)\(\) <server>/www/slow.php:\d', '[<address>] <somewhere in the loop>',
                                   scene.normal(server._read(slowlog)))
    # Not every kernel lets php-fpm's child go on after its trace: only a terminated one is seen to its end.
    return (scene.logged() if ends else scene.stop()) + '-- slowlog\n' + trace


DYNAMIC = {'pm': 'dynamic', 'pm.max_children': 2, 'pm.start_servers': 1, 'pm.min_spare_servers': 1, 'pm.max_spare_servers': 1}


@case('pm.max_children reached, dynamic', DYNAMIC, 2)
@case('pm.max_children reached, ondemand', {'pm': 'ondemand', 'pm.max_children': 2, 'pm.process_idle_timeout': '1m'}, 3)
@case('pm.max_children reached, a request waits, ondemand', {'pm': 'ondemand', 'pm.max_children': 1, 'pm.process_idle_timeout': '1m'}, 2)
def children_reached(scene, settings, count):
    scene.start(pool=settings, serving=False)
    maximum = settings['pm.max_children']
    for n in range(count):
        scene.hold(expect=n < maximum)
    scene.say('reached (pm.)?max_children')
    scene.release()
    return ordered(scene.stop())


@case('seems busy')
def busy(scene):
    scene.start(pool={'pm': 'dynamic', 'pm.max_children': 100, 'pm.start_servers': 25, 'pm.min_spare_servers': 25, 'pm.max_spare_servers': 26}, serving=False)
    for _ in range(20):
        scene.hold()
    scene.say('seems busy')
    scene.release()
    text = scene.stop() if 'none' not in scene.answers() else 'an answer is missing'
    return '\n'.join(sorted({re.sub(r'spawning \d+ children, there are \d+ idle, and \d+ total', 'spawning <n> children, there are <n> idle, and <n> total', line)
                             for line in text.splitlines()}))


def ordered(text):
    """The lines of each kind once: how many children are started and ended, and when, is the pool manager's."""
    return '\n'.join(dict.fromkeys(text.splitlines()))


@case('process.max reached')
def process_max(scene):
    server = scene.start([Pool(children=3, settings={'pm': 'ondemand', 'pm.max_children': 3})], settings={'process.max': 1}, serving=False)
    scene.hold()
    before = server.mark()
    scene.hold(expect=False)
    scene.say('maximum number of processes', before)
    scene.release()
    return ordered(scene.stop())


# -- what scripts and PHP say --------------------------------------------------------------------------------------

ERRORS = {
    'warning': 'echo $undefined; echo 1 / 3;', 'fatal': 'undefined();', 'exception': 'throw new Exception("a\nb");', 'parse error': 'this is no PHP;',
    'deprecated': 'trigger_error("old", E_USER_DEPRECATED);', 'user error': 'trigger_error("bad", E_USER_ERROR);',
    'error_log()': 'error_log("said");', 'error_log() of two lines': 'error_log("one\ntwo");', 'error_log() of nothing': 'error_log("");',
    'error_log() with a line feed': 'error_log("ends\n");', 'error_log() to SAPI': 'error_log("sapi", 4);', 'error_log() to a file': 'error_log("x", 3, "/dev/stderr");',
    'error_log() with NUL': 'error_log("a\\0b\\x01\\xff\\tc");', 'error_log() twice': 'error_log("one"); error_log("two");',
    'memory': 'ini_set("memory_limit", "4M"); str_repeat("x", 9 << 20);',
    'max_execution_time': 'set_time_limit(1); while (true) { }',
    'php://stderr': 'file_put_contents("php://stderr", "to stderr\n");', 'php://stderr without a line feed': 'file_put_contents("php://stderr", "open end");',
    'php://stderr, two lines': 'file_put_contents("php://stderr", "one\ntwo\n");', 'php://stderr, empty lines': 'file_put_contents("php://stderr", "\n\na\n\n");',
    'php://stderr, NUL': 'file_put_contents("php://stderr", "a\\0b\\x01\\xff\n");', 'php://stderr in pieces': '$f = fopen("php://stderr", "w"); fwrite($f, "one "); fwrite($f, "two\n");',
    'php://stderr, then a message': 'file_put_contents("php://stderr", "whole\n"); error_log("message");',
    'php://stdout': 'file_put_contents("php://stdout", "to stdout\n");', 'stdout and stderr': 'file_put_contents("php://stdout", "out\n"); file_put_contents("php://stderr", "err\n");',
    'a program\'s stderr': 'system("echo program >&2");', 'fd 2 of a program': 'fclose(proc_open(["sh", "-c", "echo mine >&2; cat >&2"], [["pipe", "r"]], $p) ? $p[0] : null);',
    'long line': 'file_put_contents("php://stderr", str_repeat("x", 3000) . "\n");', 'line of 1024': 'file_put_contents("php://stderr", str_repeat("x", 1024) . "\n");',
    'long message': 'error_log(str_repeat("m", 3000));', 'long message of lines': 'error_log(implode("\n", array_fill(0, 30, str_repeat("m", 100))));',
    'log_errors off': 'ini_set("log_errors", 0); echo $undefined; error_log("still");', 'display_errors to stderr': 'ini_set("display_errors", "stderr"); ini_set("log_errors", 0); echo $undefined;',
    'error_log file of PHP': 'ini_set("error_log", "/dev/null"); error_log("nowhere");', 'ignored repeats': 'ini_set("ignore_repeated_errors", 1); for ($i = 0; $i < 3; $i++) { echo $undefined; }',
    'html_errors': 'ini_set("html_errors", 1); echo $undefined;', 'prepended': 'ini_set("error_prepend_string", "<b>"); echo $undefined;',
    'after the answer': 'fastcgi_finish_request(); error_log("late"); file_put_contents("php://stderr", "later\n");',
    'shutdown function': 'register_shutdown_function(function () { error_log("down"); }); undefined();',
}


MIXED = ('stdout and stderr', 'fd 2 of a program', 'after the answer', 'php://stderr, then a message')


def said(scene, names, **kwargs):
    """Each script's lines, one script after the other; a last message of our own shows that all before it has arrived."""
    server = scene.start(**kwargs)
    end = server.script('end.php', '<?php error_log("the end of " . $_GET["of"]);')
    caught = 'yes' in dict(server.pools[0].settings).get('catch_workers_output', '')
    result = []
    for number, name in enumerate(names):
        before = len(server._read(server.error_log))
        response = server.run(ERRORS[name])
        if caught:
            server.get(end, f'of={number}')
            scene.say(f'the end of {number}\\b')
            if name == 'fd 2 of a program':
                scene.say('mine')
            if 'stdout' in name:
                scene.say('into stdout')
        raw = ''.join(line for line in server._read(server.error_log)[before:].splitlines(True) if f'the end of {number}' not in line)
        text = scene.normal(raw) + ''.join(f'{letter} × {n}\n' for letter in 'xm' if (n := sum(map(len, re.findall(letter + '{30,}', raw)))))
        if name in MIXED:  # two ways into the log
            text = ''.join(sorted(text.splitlines(True)))
        result.append(f'== {name}: status {response.status}\n{text}STDERR {scene.normal(response.stderr.decode("utf-8", "backslashreplace"))}\n')
    scene.stop()
    return ''.join(result)


def said_one_by_one():
    together = [n for n in ERRORS if n != 'max_execution_time' and 'stdout' not in n]
    for name in ERRORS:
        CASES.append((f'{name}, caught', said, ([name],), {'pool': {'catch_workers_output': 'yes'}}))
    CASES.append(('all messages, not caught', said, (together,), {}))
    CASES.append(('all messages, caught without decoration', said, (together,),
                  {'pool': {'catch_workers_output': 'yes', 'decorate_workers_output': 'no'}}))
    LONG = ['long line', 'line of 1024', 'long message', 'long message of lines', 'php://stderr in pieces', 'fatal']
    for limit in (1024, 2048, 8192):
        for buffering in ('yes', 'no'):
            CASES.append((f'log_limit {limit}, log_buffering {buffering}', said, (LONG,),
                          {'pool': {'catch_workers_output': 'yes'}, 'settings': {'log_limit': limit, 'log_buffering': buffering}}))
    CASES.append(('log_limit 1024 without decoration', said, (LONG,),
                  {'pool': {'catch_workers_output': 'yes', 'decorate_workers_output': 'no'}, 'settings': {'log_limit': 1024}}))


said_one_by_one()

# -- requests ------------------------------------------------------------------------------------------------------

REQUESTS = {
    'other extension': ('text.txt', {}), 'no file': ('none.php', {}), 'no file of another extension': ('none.txt', {}), 'unreadable': ('closed.php', {}),
    'directory': ('', {}), 'no SCRIPT_FILENAME': ('hello.php', {'SCRIPT_FILENAME': None}), 'empty SCRIPT_FILENAME': ('hello.php', {'SCRIPT_FILENAME': ''}),
    'line feed in the path': ('a\nb.txt', {}),
    'PHP_VALUE that is unknown': ('hello.php', {'PHP_VALUE': 'no_such_thing=1'}), 'PHP_VALUE without key': ('hello.php', {'PHP_VALUE': '=1'}),
    'PHP_VALUE without value': ('hello.php', {'PHP_VALUE': 'memory_limit'}), 'PHP_VALUE with a section': ('hello.php', {'PHP_VALUE': '[section]\nmemory_limit=1'}),
    'PHP_VALUE with an array': ('hello.php', {'PHP_VALUE': 'a[]=1'}), 'PHP_VALUE that is refused': ('hello.php', {'PHP_VALUE': 'date.timezone=Mars'}),
    'PHP_VALUE that is no INI': ('hello.php', {'PHP_VALUE': 'a=(((\n}'}), 'PHP_ADMIN_VALUE that is unknown': ('hello.php', {'PHP_ADMIN_VALUE': 'no_such_thing=1'}),
    'PHP_ADMIN_VALUE of the system': ('hello.php', {'PHP_ADMIN_VALUE': 'disable_functions=strlen'}),
}


@case('requests that are refused, caught', pool={'catch_workers_output': 'yes'})
@case('requests that are refused')
def requests(scene, **kwargs):
    server = scene.start(**kwargs)
    server.script('text.txt', 'text')
    server.script('a\nb.txt', 'text')
    server.script('closed.php', '<?php echo 1;', mode=0o600)
    result = []
    for name, (script, params) in REQUESTS.items():
        before = len(server._read(server.error_log))
        response = server.get(os.path.join(server.docroot, script), **params)
        if kwargs:
            server.run(f'error_log("the end of {name}");')
            scene.say(f'the end of {name}"')
        text = ''.join(line for line in server._read(server.error_log)[before:].splitlines(True) if 'the end of' not in line)
        result.append(f'== {name}: status {response.status}\n{scene.normal(text)}'
                      f'STDERR {scene.normal(response.stderr.decode("utf-8", "backslashreplace"))}\n')
    return ''.join(result) + scene.stop()


@case('client that is not allowed, caught', pool={'catch_workers_output': 'yes'})
@case('client that is not allowed')
@case('no allowed client is an address', allowed='nobody, nowhere', pool={'catch_workers_output': 'yes'})
@case('one allowed client is no address', allowed='nobody, 127.0.0.1', pool={'catch_workers_output': 'yes'})
def allowed_clients(scene, allowed='192.0.2.1', pool=()):
    server = scene.start([Pool(children=1, listen='tcp', settings={**dict(pool), 'listen.allowed_clients': allowed})], serving=False)
    try:
        answer = server.get(os.path.join(server.docroot, 'hello.php')).text
    except (OSError, fcgi.FcgiError):
        answer = 'none'
    if pool and answer == 'none':
        scene.say('said into stderr|dropped')
    return '\n'.join(sorted(scene.stop().splitlines())) + '\nanswer: ' + answer
