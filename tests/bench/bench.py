"""The measurements of tests/bench/run: each a function of a Bench that adds rows to its table."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from statistics import median

from ftm import proc
from ftm.server import Pool, Server

MEASUREMENTS = {}
CHILDREN = 8
KINDS = ('fpm', 'ftm')
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICK = os.sysconf('SC_CLK_TCK')

PHP_INI = """\
memory_limit = 256M
opcache.enable = 1
opcache.memory_consumption = 128
opcache.jit = disable
opcache.jit_buffer_size = 0
"""

SCRIPTS = {
    'hello.php': "<?php echo 'hello world';",
    'sleep.php': '<?php usleep((int) $_SERVER["SLEEP_US"]); echo "slept";',
    'spin.php': '<?php $end = microtime(true) + $_SERVER["SLEEP_US"] / 1e6; while (microtime(true) < $end); echo "spun";',
    # A page that needs some 8 MB while it runs.
    # A page that is slow where opcache does not hold it.
    'compiled.php': '<?php ' + ''.join(f'function f{n}($x) {{ foreach ($x as $k => $v) yield $k + {n} => "$v {n}"; }} ' for n in range(1500)) + 'echo "compiled";',
    'reset.php': '<?php echo opcache_reset() ? "done" : "refused";',
    'memory.php': '<?php $rows = []; for ($i = 0; $i < 40000; $i++) $rows[] = [$i, str_repeat("x", 64)]; echo count($rows);',
}


def measurement(function):
    MEASUREMENTS[function.__name__] = function
    return function


# -- one server ----------------------------------------------------------------------------------------------------

class Subject:
    """One of the two servers, in one configuration."""

    def __init__(self, bench, kind, children, **settings):
        self.bench = bench
        self.kind = kind
        prefix = os.path.dirname(os.path.dirname(bench.options.stock)) if kind == 'fpm' else bench.runtime
        scan = os.path.join(prefix, 'etc/conf.d')
        if bench.options.modules == 'opcache':
            scan = os.path.join(bench.work, 'conf.d')
        pool = Pool(children=children, settings={'pm.status_path': '/status', 'listen.backlog': 4096, **settings})
        self.server = Server(pools=[pool], binary=bench.binaries[kind], php_ini=PHP_INI, docroot=bench.docroot,
                             env={'PHP_INI_SCAN_DIR': scan}, allow_root=os.geteuid() == 0)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *exception):
        return self.server.__exit__(*exception)

    @property
    def pids(self):
        return sorted(self.server.processes())

    def load_command(self, script, *arguments):
        return [self.bench.generator, '--json', *[str(a) for a in arguments], self.server.pool().address,
                os.path.join(self.bench.docroot, script)]

    def load(self, script, *arguments):
        """One bounded run of the load generator; its figures."""
        done = subprocess.run(self.load_command(script, *arguments), capture_output=True, text=True, timeout=700)
        return self.bench.figures(done, self.kind, script)

    def measured(self, script, *arguments):
        """The same, with the server's CPU time per request in microseconds."""
        before = cpu(self.pids)
        result = self.load(script, *arguments)
        after = cpu(self.pids)
        requests = max(result['requests'], 1)
        result['cpu_us'] = (after['total'] - before['total']) / requests * 1e6
        user, system = after['user'] - before['user'], after['system'] - before['system']
        result['user_us'] = result['cpu_us'] * user / max(user + system, 1e-9)
        result['system_us'] = result['cpu_us'] - result['user_us']
        return result


def cpu(pids):
    """CPU seconds of these processes and the children they have waited for.  The sum is exact (the kernel's clock of each
    process), the split into user and system time is the kernel's estimate."""
    user = system = total = 0.0
    for pid in pids:
        try:
            with open(f'/proc/{pid}/stat', 'rb') as f:
                data = f.read()
            own = time.clock_gettime(~pid << 3 | 2)
        except (OSError, ValueError):
            continue
        fields = data[data.rindex(b')') + 2:].split()
        utime, stime, cutime, cstime = (int(x) / TICK for x in fields[11:15])
        user += utime + cutime
        system += stime + cstime
        total += own + cutime + cstime
    return {'user': user, 'system': system, 'total': total}


def memory(pids):
    """Bytes of these processes: anonymous memory of their own, and proportional set size."""
    anonymous = sum(proc.private_memory(pid) for pid in pids)
    pss = 0
    for pid in pids:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            pss += int(re.search(r'^Pss:\s*(\d+)', f.read(), re.M).group(1)) * 1024
    return {'anonymous': anonymous, 'pss': pss}


# -- the table -----------------------------------------------------------------------------------------------------

class Bench:
    def __init__(self, options, work, generator):
        self.options = options
        self.work = work
        self.generator = generator
        self.docroot = os.path.join(work, 'www')
        self.failed = 0
        self.runtime = self._runtime(options.binary)
        # Copies: a rebuild during the measurement must not change what is measured.
        self.binaries = {kind: os.path.join(work, name) for kind, name in (('fpm', 'php-fpm'), ('ftm', 'php-ftm'))}
        shutil.copy(options.stock, self.binaries['fpm'])
        shutil.copy(options.binary, self.binaries['ftm'])
        os.makedirs(self.docroot)
        for name, text in SCRIPTS.items():
            with open(os.path.join(self.docroot, name), 'w') as f:
                f.write(text)
        past = time.time() - 60  # opcache.file_update_protection
        for name in SCRIPTS:
            os.utime(os.path.join(self.docroot, name), (past, past))
        os.makedirs(os.path.join(work, 'conf.d'))
        with open(os.path.join(work, 'conf.d/opcache.ini'), 'w') as f:
            f.write('zend_extension=opcache.so\n')

    @staticmethod
    def _runtime(binary):
        """The runtime beside the binary: build/runtime for build/release/php-ftm."""
        build = os.path.dirname(os.path.dirname(os.path.abspath(binary)))
        if not os.path.isdir(os.path.join(build, "runtime")):
            build = os.path.join(ROOT, "build")
        return os.path.join(build, "runtime")

    def subject(self, kind, children=CHILDREN, **settings):
        return Subject(self, kind, children, **settings)

    def figures(self, done, kind, script):
        try:
            result = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise SystemExit(f'the load generator ended with {done.returncode} on {kind}, {script}: {done.stderr}') from None
        if result['failed'] or result['lost']:
            self.failed += result['failed'] + result['lost']
            print(f'    FAILED on {kind}, {script}: {result["failures"]}, {result["lost"]} connections lost')
        return result

    def heading(self, text, left='php-fpm', right='php-ftm'):
        print(f'\n{text:42}{left:>14}{right:>14}{"ratio":>8}  goal', flush=True)

    def row(self, name, fpm, ftm, ratio=None, goal=''):
        def text(value):
            return value if isinstance(value, str) else f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'
        print(f'  {name:40}{text(fpm):>14}{text(ftm):>14}{"" if ratio is None else f"{ratio:.2f}":>8}  {goal}', flush=True)

    def compare(self, subjects, script, *arguments):
        """Rounds A B A B …: {kind: [figures of each round]}, after a warm-up of both."""
        rounds = {kind: [] for kind in KINDS}
        for kind in KINDS:
            subjects[kind].load(script, '-n', 3000, *arguments)
        for number in range(self.options.rounds):
            for kind in KINDS if number % 2 == 0 else reversed(KINDS):
                rounds[kind].append(subjects[kind].measured(script, '-t', self.options.seconds, *arguments))
        return rounds

    def rows(self, rounds, goals):
        """The usual rows of a comparison; a ratio is php-ftm's figure divided by php-fpm's in the same round."""
        def show(name, key, goal_key=None):
            values = {kind: [r[key] for r in rounds[kind]] for kind in KINDS}
            ratio = median(b / a if a else 0.0 for a, b in zip(values['fpm'], values['ftm']))
            self.row(name, median(values['fpm']), median(values['ftm']), ratio, goals.get(goal_key, ''))
        show('CPU per request, µs', 'cpu_us', 'cpu')
        show('  of it user', 'user_us')
        show('  of it system', 'system_us')
        show('requests per second', 'rate', 'rate')
        show('latency p50, ms', 'p50_ms')
        show('latency p99, ms', 'p99_ms')
        show('latency max, ms', 'max_ms')

    def run(self, names):
        with open('/proc/loadavg') as f:
            load = f.read().split()[0]
        print(f'{os.cpu_count()} cores, load {load} at the start; {self.options.rounds} rounds of '
              f'{self.options.seconds:g} s, {CHILDREN} contexts or children, modules: {self.options.modules}')
        for name in names:
            MEASUREMENTS[name](self)
        print(f'\n{self.failed} failed requests')
        return self.failed


class Both:
    """Both servers, started, in one configuration."""

    def __init__(self, bench, children=CHILDREN):
        self.subjects = {kind: bench.subject(kind, children) for kind in KINDS}

    def __enter__(self):
        started = []
        try:
            for kind in KINDS:
                self.subjects[kind].__enter__()
                started.append(kind)
        except BaseException:
            for kind in started:
                self.subjects[kind].__exit__(*sys.exc_info())
            raise
        return self.subjects

    def __exit__(self, *exception):
        for subject in self.subjects.values():
            subject.__exit__(*exception)


# -- the measurements ----------------------------------------------------------------------------------------------

@measurement
def new(bench):
    """hello world, 8 clients, a new connection for each request"""
    bench.heading('hello world, new connections')
    with Both(bench) as subjects:
        bench.rows(bench.compare(subjects, 'hello.php', '-e', 'hello world'), {'cpu': '<= 0.65', 'rate': '>= 1.3'})


@measurement
def kept(bench):
    """hello world, 8 kept connections"""
    bench.heading('hello world, 8 kept connections')
    with Both(bench) as subjects:
        bench.rows(bench.compare(subjects, 'hello.php', '-k', '-e', 'hello world'), {'cpu': '<= 0.6', 'rate': '>= 1.35'})


class Web(Subject):
    """php-ftm through http.listen."""

    def __init__(self, bench, children):
        self.address = os.path.join(bench.work, 'web.sock')
        super().__init__(bench, 'ftm', children, **{'http.listen': self.address, 'http.root': bench.docroot, 'listen.mode': '0666'})

    def load_command(self, script, *arguments):
        return [self.bench.generator, '--json', '--web', *[str(a) for a in arguments], self.address, os.path.join(self.bench.docroot, script)]


@measurement
def http(bench):
    """hello world, 8 kept connections, over HTTP beside FastCGI; both php-ftm"""
    bench.heading('hello world, 8 kept connections', left='FastCGI', right='HTTP')
    with Subject(bench, 'ftm', CHILDREN) as fastcgi, Web(bench, CHILDREN) as web:
        bench.rows(bench.compare({'fpm': fastcgi, 'ftm': web}, 'hello.php', '-k', '-e', 'hello world'), {})


@measurement
def starving(bench):
    """hello world, 64 kept connections on 8 contexts: who is served?"""
    bench.heading('hello world, 64 kept connections on 8')
    with Both(bench) as subjects:
        arguments = ('-k', '-c', 64, '-e', 'hello world')
        rounds = {kind: [subjects[kind].measured('hello.php', '-t', bench.options.seconds, *arguments)
                         for _ in range(max(bench.options.rounds // 2, 1))] for kind in KINDS}

    def worst(key, kind, choose=max):
        return choose(r[key] for r in rounds[kind])
    bench.row('connections never served', *[worst('never_served', kind) for kind in KINDS], goal='0')
    bench.row('requests of the least served', *[worst('served_min', kind, min) for kind in KINDS])
    bench.row('requests of the median connection', *[median(r['served_median'] for r in rounds[kind]) for kind in KINDS])
    bench.row('longest wait (answered or not), ms',
              *[max(worst('max_ms', kind), worst('oldest_unanswered_ms', kind)) for kind in KINDS], goal='<= 100')
    bench.row('p99 / p50', *[median(r['p99_ms'] / r['p50_ms'] for r in rounds[kind]) for kind in KINDS], goal='<= 5')
    bench.row('CPU per request, µs', *[median(r['cpu_us'] for r in rounds[kind]) for kind in KINDS])


@measurement
def memory64(bench):
    """memory of 64 contexts or children, 4 of them in use"""
    bench.heading('64 contexts, 4 in use')
    count = 1000 if bench.options.quick else 4000
    at_start, after, later = {}, {}, {}
    for kind in KINDS:
        with bench.subject(kind, 64) as subject:
            at_start[kind] = memory(subject.pids)
            subject.load('memory.php', '-c', 4, '-n', count, '-e', '40000')
            after[kind] = memory(subject.pids)
            time.sleep(2)
            later[kind] = memory(subject.pids)
    for name, figures, goal in (('at start', at_start, ''), ('after the load', after, ''), ('2 s later', later, '<= 0.3')):
        for key, what in (('anonymous', 'RssAnon'), ('pss', 'PSS')):
            values = [figures[kind][key] / 1e6 for kind in KINDS]
            bench.row(f'{what} {name}, MB', *values, values[1] / values[0], goal if key == 'pss' else '')


@measurement
def idle(bench):
    """10,000 idle kept connections to php-ftm: memory of each, effect on the others"""
    count = 2000 if bench.options.quick else 10_000
    bench.heading(f'{count:,} idle kept connections')
    arguments = ('hello.php', '-k', '-t', bench.options.seconds, '-e', 'hello world')
    with bench.subject('ftm') as subject:
        subject.load('hello.php', '-k', '-n', 3000)
        without = [subject.measured(*arguments) for _ in range(3)]
        before = memory(subject.pids)
        holder = subprocess.Popen(subject.load_command('hello.php', '--hold', '-c', count), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            said = holder.stdout.readline()
            held = int(said.split()[1]) if said.startswith('holding') else 0
            holding = memory(subject.pids)
            beside = [subject.measured(*arguments) for _ in range(3)]
        finally:
            output, errors = holder.communicate('')
        bench.figures(subprocess.CompletedProcess([], holder.returncode, output, errors), 'ftm', 'idle')
    each = (holding['anonymous'] - before['anonymous']) / max(held, 1)
    bench.row('connections held', '-', held)
    bench.row('RssAnon of each, bytes', '-', each, goal='<= 4096')
    for name, key in (('p50 of 8 others without, ms', 'p50_ms'), ('p99 of 8 others without, ms', 'p99_ms'),
                      ('CPU per request without, µs', 'cpu_us')):
        bench.row(name, '-', median(r[key] for r in without))
        bench.row(name.replace('without', 'beside them'), '-', median(r[key] for r in beside),
                  goal='no effect' if key == 'p99_ms' else '')


@measurement
def status(bench):
    """status page while every context is busy (sleeping, then computing)"""
    bench.heading('status page with every context busy')
    for script, what in (('sleep.php', 'waiting'), ('spin.php', 'computing')):
        slowest, half = {}, {}
        for kind in KINDS:
            with bench.subject(kind) as subject:
                subject.load(script, '-n', CHILDREN, '-p', 'SLEEP_US=1000')
                busy = subprocess.Popen(subject.load_command(script, '-n', CHILDREN, '-p', 'SLEEP_US=1500000'),
                                        stdout=subprocess.DEVNULL)
                try:
                    time.sleep(0.3)
                    result = subject.load('hello.php', '-c', 1, '-i', 10, '-t', 1, '--any-body',
                                          '-p', 'SCRIPT_NAME=/status', '-p', 'REQUEST_URI=/status')
                finally:
                    busy.wait()
            none = result['requests'] == 0
            slowest[kind] = f'> {result["oldest_unanswered_ms"]:.0f}' if none else result['max_ms']
            half[kind] = '-' if none else result['p50_ms']
        bench.row(f'contexts {what}: p50, ms', half['fpm'], half['ftm'])
        bench.row(f'contexts {what}: slowest, ms', slowest['fpm'], slowest['ftm'], goal='< 5')


@measurement
def restarts(bench):
    """pages while opcache_reset() is called twice a second, beside undisturbed and uncached ones"""
    bench.heading('opcache_reset() every 0.5 s, a page of 1,500 functions, 4 clients')
    length = max(4 * bench.options.seconds, 4)
    figures = {}
    for kind in KINDS:
        with bench.subject(kind) as subject:
            subject.load('compiled.php', '-n', 200)
            cached = subject.load('compiled.php', '-c', 4, '-t', length, '-e', 'compiled')
            uncached = subject.load('compiled.php', '-c', 4, '-t', bench.options.seconds, '-e', 'compiled', '-p', 'PHP_VALUE=opcache.enable=0')
            load = subprocess.Popen(subject.load_command('compiled.php', '-c', 4, '-t', length, '-e', 'compiled'),
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while load.poll() is None:
                subject.load('reset.php', '-n', 1, '-c', 1, '--any-body')
                time.sleep(0.5)
            output, errors = load.communicate()
            reset = bench.figures(subprocess.CompletedProcess([], load.returncode, output, errors), kind, 'compiled.php')
            figures[kind] = {'undisturbed': cached, 'uncached': uncached, 'with resets': reset}
    for what in ('undisturbed', 'with resets', 'uncached'):
        for name, key in (('p50, ms', 'p50_ms'), ('p99, ms', 'p99_ms'), ('slowest, ms', 'max_ms')):
            bench.row(f'{what}: {name}', *[figures[kind][what][key] for kind in KINDS])
    kept = [figures[kind]['with resets']['requests'] / figures[kind]['undisturbed']['requests'] for kind in KINDS]
    bench.row('requests with resets / undisturbed', *[f'{share:.2f}' for share in kept])


@measurement
def syscalls(bench):
    """system calls per request by name, under strace"""
    if shutil.which('strace') is None:
        print('\nsystem calls: strace is not installed')
        return
    count = 1000 if bench.options.quick else 4000
    for title, arguments in (('new connections', ()), ('8 kept connections', ('-k',))):
        bench.heading(f'system calls per request, {title}')
        with Both(bench) as subjects:
            calls = {kind: traced_calls(bench, subjects[kind], count, arguments) for kind in KINDS}
        names = sorted({name for kind in KINDS for name, n in calls[kind].items() if n >= 0.005},
                       key=lambda name: -max(calls[kind].get(name, 0) for kind in KINDS))
        for name in names:
            bench.row(name, *[f'{calls[kind].get(name, 0):.2f}' for kind in KINDS])
        totals = [sum(calls[kind].values()) for kind in KINDS]
        bench.row('all', *[f'{total:.2f}' for total in totals], totals[1] / totals[0])


def traced_calls(bench, subject, count, arguments):
    """{name: calls per request} of one bounded run.  strace slows the server down, and a slow one has more contexts at
    work at once; what a request itself calls is exact."""
    subject.load('hello.php', '-n', 500, *arguments)
    output = os.path.join(bench.work, 'strace')
    pids = [option for pid in subject.pids for option in ('-p', str(pid))]
    tracer = subprocess.Popen(['strace', '-f', '-c', '-o', output, *pids], stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        if tracer.poll() is not None:
            raise SystemExit(f'strace: {tracer.stderr.read()}')
        result = subject.load('hello.php', '-n', count, *arguments)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
    with open(output) as f:
        table = re.findall(r'^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$', f.read(), re.M)
    return {name: int(calls) / result['requests'] for calls, name in table if name != 'total'}
