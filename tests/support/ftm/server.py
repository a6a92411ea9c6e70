"""Starts php-fpm or php-ftm on a generated configuration and checks, at the end, that nothing of it is left.

    with Server(pools=[Pool(children=8)], modules=['opcache']) as server:
        script = server.script('hello.php', '<?php echo "hello";')
        print(server.get(script).text)

The binary comes from the argument, else from $FTM_BINARY.  Both kinds are driven alike; `server.is_ftm` tells them
apart where a test must.  On leaving the block the server gets SIGQUIT (then SIGTERM, then SIGKILL) and the block fails
with CheckFailed if the exit status is not the expected one, a process is left, a sanitizer has reported, or a line of
level ERROR or ALERT was logged that the test did not announce with `server.expect_log(regex)`.
"""

import glob
import grp
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import stat as stat_module
import subprocess
import sys
import tempfile
import time

from . import fcgi, proc
from .proc import PATIENCE, poll, time_scale

SANITIZER = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|UndefinedBehaviorSanitizer')
SUPPORT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.dirname(os.path.dirname(SUPPORT))
POOL_USER = os.environ.get('FTM_POOL_USER', 'www-data')

_server_number = 0


class StartError(Exception):
    """The binary did not come up; `.output` is all it said and `.code` its exit code, if it ended."""

    def __init__(self, text, output='', code=None):
        super().__init__(f'{text}\n{output}')
        self.output = output
        self.code = code


class CheckFailed(AssertionError):
    pass


# -- the binary ----------------------------------------------------------------------------------------------------

class Binary:
    """A php-fpm or php-ftm executable and where its loadable modules are."""

    def __init__(self, path):
        if not path:
            raise StartError('no binary: set FTM_BINARY or pass one')
        self.path = os.path.abspath(path)
        if not os.access(self.path, os.X_OK):
            raise StartError(f'{self.path} is not an executable')
        self.is_ftm = os.environ.get('FTM_KIND', 'ftm' if 'ftm' in os.path.basename(os.path.realpath(self.path)) else 'fpm') == 'ftm'
        self._modules = None
        self._extension_dir = None

    def run(self, *args, **kwargs):
        return subprocess.run([self.path, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=180 * time_scale(), **kwargs)

    @property
    def version(self):
        return re.search(r'PHP (\d+\.\d+\.\d+)', self.run('-n', '-v').stdout).group(1)

    @property
    def compiled_in(self):
        if self._modules is None:
            self._modules = {line.strip().lower() for line in self.run('-n', '-m').stdout.splitlines() if line.strip()}
        return self._modules

    @property
    def extension_dir(self):
        """$FTM_EXTENSION_DIR, else the directory of the runtime the binary was built with, else Debian's."""
        if self._extension_dir is None:
            found = os.environ.get('FTM_EXTENSION_DIR') if self.is_ftm else os.environ.get('FTM_STOCK_EXTENSION_DIR')
            if not found:
                up = os.path.dirname(self.path)
                roots = [os.path.join(up, 'runtime'), os.path.join(os.path.dirname(up), 'runtime')] if self.is_ftm else [os.path.dirname(up)]
                if self.path.startswith('/usr/'):
                    roots = []
                    short = self.version.rsplit('.', 1)[0]
                    info = self.run('-n', '-i').stdout
                    match = re.search(r'^extension_dir => (\S+)', info, re.M)
                    found = match.group(1) if match else f'/usr/lib/php/{short}'
                for root in roots:
                    hits = [path for depth in ('lib/php', 'lib/php/*', 'lib/php/*/*')
                            for path in glob.glob(os.path.join(os.path.realpath(root), depth, 'opcache.so'))]
                    if hits:
                        found = os.path.dirname(sorted(hits)[-1])
                        break
                if not found:
                    match = re.search(r'^extension_dir => (\S+)', self.run('-n', '-i').stdout, re.M)
                    found = match.group(1) if match else '/nonexistent'
            self._extension_dir = found
        return self._extension_dir

    def has(self, module):
        name = {'opcache': 'zend opcache'}.get(module, module)
        return name in self.compiled_in or os.path.exists(os.path.join(self.extension_dir, module + '.so'))

    def module_options(self, modules):
        """-d options that load the modules which are not compiled in."""
        options = []
        for module in modules:
            if {'opcache': 'zend opcache'}.get(module, module) in self.compiled_in:
                continue
            if not self.has(module):
                raise StartError(f'module {module} is neither compiled in nor in {self.extension_dir}')
            key = 'zend_extension' if module in ('opcache', 'xdebug') else 'extension'
            options += ['-d', f'{key}={module}.so']
        return ['-d', f'extension_dir={self.extension_dir}', *options] if options else []


_binaries = {}


def binary(path=None):
    path = path or os.environ.get('FTM_BINARY')
    if path not in _binaries:
        _binaries[path] = Binary(path)
    return _binaries[path]


# -- configuration -------------------------------------------------------------------------------------------------

_ports = {}      # those this process has given out, with what keeps other test processes from them


def free_port():
    """A port that nobody uses or is given: below those that the kernel chooses for clients, and marked as ours while this process lives."""
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f'\0ftm-port-{port}')
            for address in ('127.0.0.1', '0.0.0.0'):
                with socket.socket() as s:
                    s.bind((address, port))
        except OSError:
            mark.close()
            continue
        _ports[port] = mark
        return port
    raise OSError('no free port')


class Pool:
    """One [section].  `listen` is 'unix' (a socket in the server's directory), 'tcp' (a free port) or a literal value.
    `settings` are further directives: a dict, or pairs where order matters.  A value of None removes a default."""

    def __init__(self, name='www', listen='unix', children=4, user=None, group=None, settings=()):
        self.name = name
        self.listen = listen
        self.children = children
        self.user = user
        self.group = group
        self.settings = list(settings.items()) if isinstance(settings, dict) else list(settings)
        self.address = None

    def bind_to(self, root):
        if self.listen == 'unix':
            self.address = os.path.join(root, self.name + '.sock')
            self.listen = self.address
        elif self.listen == 'tcp':
            self.address = ('127.0.0.1', free_port())
            self.listen = '%s:%d' % self.address
        elif self.address is None:
            host, colon, port = self.listen.rpartition(':')
            self.address = (host, int(port)) if colon and not self.listen.startswith('/') else self.listen

    def text(self):
        lines = [('listen', self.listen), ('pm', 'static'), ('pm.max_children', self.children)]
        if isinstance(self.address, str):
            lines.append(('listen.mode', '0666'))
        if os.geteuid() == 0:
            lines += [('user', self.user or POOL_USER), ('group', self.group or self.user or POOL_USER)]
        keys = {k for k, _ in self.settings}
        lines = [(k, v) for k, v in lines if k not in keys] + [(k, v) for k, v in self.settings if v is not None]
        return f'[{self.name}]\n' + ''.join(f'{k} = {v}\n' for k, v in lines)


# -- a running server ----------------------------------------------------------------------------------------------

class Server:
    READY = r'NOTICE: ready to handle connections'

    def __init__(self, pools=None, binary=None, settings=None, ini=None, modules=(), args=(), daemonize=False,
                 force_stderr=True, wrapper=(), env=None, conf_text=None, php_ini=None, docroot=None, exit_code=0, root=None,
                 allow_root=False):
        self.binary = globals()['binary'](binary) if not isinstance(binary, Binary) else binary
        self.is_ftm = self.binary.is_ftm
        self.pools = pools if pools is not None else [Pool()]
        self.settings = dict(settings or {})
        self.ini = dict(ini or {})
        self.modules = list(modules)
        self.args = list(args)
        self.daemonize = daemonize
        self.force_stderr = force_stderr
        self.wrapper = list(wrapper)
        self.extra_env = dict(env or {})
        self.conf_text = conf_text
        self.php_ini = php_ini
        self.exit_code = exit_code
        self.allow_root = allow_root
        self.root = root
        self.own_root = root is None
        self.docroot = docroot
        self.process = None
        self.code = None
        self.stopped = False
        self._expected_log = []
        self._sessions = set()
        self._known = {}
        self._master_pid = None
        self._prepared = False
        self._last_output = None

    # files

    def prepare(self):
        """Makes the directory and the configuration; called by start(), or before it by a test that changes them."""
        global _server_number
        if self._prepared:
            return self
        self._prepared = True
        proc.become_subreaper()
        if self.root is None:
            _server_number += 1
            self.root = tempfile.mkdtemp(prefix=f'ftm-{os.getpid()}-{_server_number}-', dir='/tmp')
        os.chmod(self.root, 0o755)
        self.docroot = self.docroot or os.path.join(self.root, 'www')
        self.tmp = os.path.join(self.root, 'tmp')
        self.reports = os.path.join(self.root, 'sanitizer')
        for path, mode in ((self.docroot, 0o755), (self.tmp, 0o1777), (self.reports, 0o1777)):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
        self.conf = os.path.join(self.root, 'php-fpm.conf')
        self.pid_file = self.settings.get('pid') or os.path.join(self.root, 'php-fpm.pid')
        self.error_log = self.settings.get('error_log') or os.path.join(self.root, 'error.log')
        self.output = os.path.join(self.root, 'output.log')
        for pool in self.pools:
            pool.bind_to(self.root)
        self.write_conf()
        return self

    def write_conf(self):
        if self.conf_text is not None:
            text = self.conf_text.replace('{root}', self.root)
        else:
            settings = {'pid': self.pid_file, 'error_log': self.error_log, 'daemonize': 'yes' if self.daemonize else 'no',
                        **self.settings}
            text = '[global]\n' + ''.join(f'{k} = {v}\n' for k, v in settings.items() if v is not None)
            text += ''.join('\n' + pool.text() for pool in self.pools)
        with open(self.conf, 'w') as f:
            f.write(text)

    def file(self, name, content='', mode=0o644):
        """Writes a file under the document root and returns its path."""
        self.prepare()
        path = os.path.join(self.docroot, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    script = file

    # starting

    def command(self):
        ini = {'sys_temp_dir': self.tmp, 'session.save_path': self.tmp, 'upload_tmp_dir': self.tmp, 'date.timezone': 'UTC',
               'display_errors': '0', 'log_errors': '1', 'html_errors': '0', **self.ini}
        if 'opcache' in self.modules:
            ini.setdefault('opcache.file_update_protection', '0')      # files written by the test itself are cached at once
        options = self.binary.module_options(self.modules)
        for key, value in ini.items():
            if value is not None:
                options += ['-d', f'{key}={value}']
        if self.php_ini is not None:
            path = os.path.join(self.root, 'php.ini')
            with open(path, 'w') as f:
                f.write(self.php_ini)
            options = ['-c', path, *options]
        else:
            options = ['-n', *options]
        mode = ['-D'] if self.daemonize else ['-F', '-O'] if self.force_stderr else ['-F']
        if self.allow_root:
            mode.append('-R')
        return [*self.wrapper, self.binary.path, *mode, '-y', self.conf, *options, *self.args]

    def environment(self):
        env = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/nonexistent', 'LANG': 'C.UTF-8', 'TZ': 'UTC'}
        if self.php_ini is not None:
            env['PHP_INI_SCAN_DIR'] = ''
        defaults = {'ASAN_OPTIONS': 'detect_leaks=0', 'UBSAN_OPTIONS': 'print_stacktrace=1', 'TSAN_OPTIONS': ''}
        if self.is_ftm and os.environ.get('FTM_SANITIZER'):
            for key, default in defaults.items():
                given = os.environ.get(key, default)
                env[key] = ':'.join(x for x in (given, f'log_path={self.reports}/report') if x)
        env.update(self.extra_env)
        return {k: v for k, v in env.items() if v is not None}

    def start(self, wait=True, timeout=2 * PATIENCE):
        self.prepare()
        with open(self.output, 'ab') as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.root, env=self.environment(),
                start_new_session=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        self._sessions.add(self.process.pid)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=2 * PATIENCE):
        deadline = time.monotonic() + timeout * time_scale()
        while True:
            if self.daemonize:
                code = self.process.poll()
                if code is not None and code != 0:
                    self._give_up(code)
                if code == 0 and re.search(self.READY, self.log_text()):
                    self._note(self.pid)
                    return
            else:
                if re.search(self.READY, self.log_text()):
                    self._note(self.process.pid)
                    return
                if self.process.poll() is not None:
                    self._give_up(self.process.returncode)
            if time.monotonic() > deadline:
                output = self.all_output()
                self.kill_all()
                self.cleanup()
                raise StartError('not ready in time', output)
            time.sleep(0.01)

    def _give_up(self, code):
        output = self.all_output()
        self.stopped = True
        self.kill_all()
        self.cleanup()
        raise StartError(f'{self.binary.path} ended with exit code {code}', output, code)

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            try:
                self.stop(check=False)
            finally:
                if kind is not StartError:
                    sys.stderr.write(self.tail())

    def tail(self, lines=40):
        text = self.all_output().splitlines()
        return f'--- last {min(lines, len(text))} of {len(text)} lines of {self.binary.path}\n' + '\n'.join(text[-lines:]) + '\n'

    # processes

    @property
    def pid(self):
        """The master.  A daemon's comes from its pid file, because stock php-fpm changes it on reload."""
        if not self.daemonize:
            return self.process.pid
        try:
            with open(self.pid_file) as f:
                self._master_pid = int(f.read())
        except (FileNotFoundError, ValueError):
            pass
        return self._master_pid

    def _note(self, pid):
        s = proc.stat(pid) if pid else None
        if s:
            self._sessions.add(s.session)

    def processes(self):
        """Every living process of this server, the master included."""
        result = {}
        pid = self.pid
        tree = set(proc.descendants(pid)) | {pid} if pid else set()
        for s in proc.everyone():
            mine = s.session in self._sessions or s.pid in tree or self._known.get(s.pid) == s.start
            if mine and s.state not in 'ZX' and s.pid != os.getpid():
                result[s.pid] = s
                self._known[s.pid] = s.start
        return result

    def titled(self, title):
        """Pids of this server whose title is exactly `title`."""
        return sorted(pid for pid in self.processes() if proc.title(pid) == title)

    def workers(self, pool='www'):
        """The processes that run the pool's scripts: php-fpm's children, php-ftm's engines."""
        return self.titled(f'php-fpm: pool {pool}')

    def hosts(self, pool='www'):
        return self.titled(f'php-fpm: pool host {pool}')

    def kill(self, number):
        os.kill(self.pid, number)

    # log

    def _read(self, path):
        try:
            with open(path, 'r', encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def log_text(self):
        return self._read(self.output if self.force_stderr and not self.daemonize else self.error_log)

    def log(self):
        return self.log_text().splitlines()

    def mark(self):
        """A position in the log to give to wait_for() as `since`."""
        return len(self.log_text())

    def wait_for(self, regex, timeout=PATIENCE, since=0, count=1):
        """Waits until the regular expression has matched `count` lines after `since`; returns the last match."""
        def look():
            matches = list(re.finditer(regex, self.log_text()[since:], re.M))
            return matches[count - 1] if len(matches) >= count else None
        return poll(look, timeout, lambda: f'/{regex}/ × {count} in the log:\n{self.log_text()[since:][-4000:]}')

    def expect_log(self, *regexes):
        """ERROR and ALERT lines that match one of these do not fail the test."""
        self._expected_log += regexes

    def sanitizer_reports(self):
        texts = [self._read(path) for path in sorted(glob.glob(os.path.join(self.reports, 'report*')))] if self.root else []
        texts += [t for t in (self._read(self.output), self._read(self.error_log)) if SANITIZER.search(t)]
        return [t for t in texts if t.strip()]

    def all_output(self):
        if self._last_output is not None:
            return self._last_output
        text = self._read(self.output)
        if os.path.exists(self.error_log):
            text += self._read(self.error_log)
        for report in self.sanitizer_reports():
            if report not in text:
                text += report
        return text

    # requests

    def pool(self, name=None):
        return self.pools[0] if name is None else next(p for p in self.pools if p.name == name)

    def accepts(self, pool=None):
        """For servers that do not say when they are ready; a socket's file is there before anybody listens."""
        try:
            fcgi.Connection(self.pool(pool).address).close()
            return True
        except OSError:
            return False

    def connect(self, pool=None, timeout=fcgi.TIMEOUT):
        return fcgi.Connection(self.pool(pool).address, max(timeout, fcgi.TIMEOUT) * time_scale())

    def get(self, script, query='', pool=None, timeout=fcgi.TIMEOUT, **params):
        return fcgi.request(self.pool(pool).address, fcgi.script_params(script, QUERY_STRING=query, **params), timeout=timeout * time_scale())

    def post(self, script, body, pool=None, timeout=fcgi.TIMEOUT, **params):
        body = body if isinstance(body, bytes) else body.encode()
        return fcgi.request(self.pool(pool).address, fcgi.post_params(script, body, **params), body, timeout=timeout * time_scale())

    def run(self, php, query='', pool=None, timeout=fcgi.TIMEOUT, **params):
        """Runs a piece of PHP as a script of its own."""
        self._snippet = getattr(self, '_snippet', 0) + 1
        script = self.script(f'snippet-{self._snippet}.php', php if php.startswith('<?php') else '<?php ' + php)
        return self.get(script, query, pool, timeout, **params)

    def ping(self, pool=None, path='/ping', timeout=fcgi.TIMEOUT):
        return self.get(os.path.join(self.docroot, 'none.php'), pool=pool, timeout=timeout, SCRIPT_NAME=path, REQUEST_URI=path)

    # stopping

    def _reap(self):
        """Daemons' zombies are ours (see become_subreaper); returns the exit status of the master if it was among them."""
        for pid in {*self._known, self._master_pid}:
            if pid is None or pid == self.process.pid:
                continue
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            if done and pid == self._master_pid:
                self.code = os.waitstatus_to_exitcode(status)

    def ended(self):
        if self.daemonize:
            self._reap()
            # A zombie whose other threads are still ending cannot be waited for yet.
            return self._master_pid is None or self.code is not None or proc.stat(self._master_pid) is None
        if self.process.poll() is not None:
            self.code = self.process.returncode
            return True
        return False

    def wait_ended(self, timeout=PATIENCE):
        self.processes()
        poll(self.ended, timeout, lambda: f'{self.binary.path} did not end:\n{self.tail()}')
        return self.code

    def stop(self, number=signal.SIGQUIT, timeout=PATIENCE, check=True):
        """Ends the server and checks what it leaves.  Safe to call twice."""
        if self.stopped or self.process is None:
            return self.code
        self.stopped = True
        problems = []
        self.pid
        self.processes()
        escalation = [number] + [s for s in (signal.SIGTERM, signal.SIGKILL) if s != number]
        try:
            for step, sig in enumerate(escalation):
                if self.ended():
                    break
                if step:
                    problems.append(f'did not end on {signal.Signals(escalation[step - 1]).name} within {timeout * time_scale():g} s')
                try:
                    os.kill(self.pid, sig)
                except ProcessLookupError:
                    pass
                deadline = time.monotonic() + timeout * time_scale()
                while not self.ended() and time.monotonic() < deadline:
                    time.sleep(0.01)
            if self.code != self.exit_code:
                problems.append(f'exit code {self.code}, expected {self.exit_code}')
            problems += self._leftovers()
            reports = self.sanitizer_reports()
            if reports:
                problems.append('sanitizer report:\n' + '\n'.join(r[:6000] for r in reports[:3]))
            unexpected = [line for line in self.all_output().splitlines()
                          if re.match(r'\[\d\d-\w{3}-\d{4} [\d:.]+\] (ERROR|ALERT): ', line)
                          and not any(re.search(r, line) for r in self._expected_log)]
            if unexpected:
                problems.append('unexpected in the log:\n' + '\n'.join(unexpected[:20]))
            if check and problems:
                raise CheckFailed('after the test: ' + '; '.join(problems) + '\n' + self.tail())
        finally:
            self.cleanup(keep=bool(problems))
        return self.code

    def _leftovers(self):
        def left():
            self._reap()
            alive = []
            for pid, start in list(self._known.items()):
                s = proc.stat(pid)
                if s and s.start == start and s.state not in 'ZX':
                    alive.append(pid)
            alive += [s.pid for s in proc.everyone() if s.session in self._sessions and s.state not in 'ZX' and s.pid not in alive]
            return alive
        deadline = time.monotonic() + PATIENCE * time_scale()
        while left() and time.monotonic() < deadline:
            time.sleep(0.02)
        remaining = left()
        if not remaining:
            return []
        text = 'processes left: ' + ', '.join(f'{pid} ({proc.title(pid)})' for pid in remaining)
        self.kill_all()
        return [text]

    def kill_all(self):
        """SIGKILL for every process of this server, by its pid."""
        self.stopped = True
        for _ in range(20):
            pids = [pid for pid in self.processes() if pid != os.getpid()]
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
            if self.process.poll() is not None:
                self.code = self.process.returncode
            self._reap()

    def cleanup(self, keep=False):
        if not self.own_root or self.root is None:
            return
        self._last_output = self.all_output()
        wanted = os.environ.get('FTM_KEEP', '')
        if wanted == 'all' or (wanted and keep):
            sys.stderr.write(f'kept: {self.root}\n')
        else:
            shutil.rmtree(self.root, ignore_errors=True)


def user_exists(name):
    try:
        pwd.getpwnam(name)
        grp.getgrnam(name)
        return True
    except KeyError:
        return False


def is_socket(path):
    try:
        return stat_module.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
