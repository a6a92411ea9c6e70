"""What systemd would do with one service unit of Type=notify, without systemd.

The unit file and its drop-ins are read from where systemd reads them.  The service gets systemd's environment, limits,
working directory and mask; its output goes into a socket, as into the journal; READY and MAINPID are taken from the main
process only (NotifyAccess=main); a stop signals every process of the service (KillMode=control-group).
"""

import glob
import os
import resource
import shlex
import signal
import socket
import struct
import subprocess
import threading

from ftm import proc
from ftm.proc import poll, time_scale

NOTIFY_SOCKET = '/run/systemd/notify'
ENVIRONMENT = {'LANG': 'C.UTF-8', 'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'}
LISTS = {'Environment', 'ExecStart', 'ExecStartPre', 'ExecStartPost', 'ExecReload', 'ExecStop', 'ExecStopPost'}
GOOD_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}


class UnitFailed(AssertionError):
    pass


class Unit:
    def __init__(self, name, say=lambda text: None):
        self.name, self.say = name, say
        self.main = None
        self.process = None
        self.messages = []
        self.journal = ''
        self.sessions = set()

    # the file

    def path(self):
        return next(p for p in (f'{place}/{self.name}.service' for place in ('/etc/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system')) if os.path.exists(p))

    def drop_in_folder(self):
        return f'/etc/systemd/system/{self.name}.service.d'

    def directives(self):
        """{name: value, or list of values} of section [Service]; an empty assignment forgets what a list had."""
        result = {}
        for path in [self.path(), *sorted(glob.glob(self.drop_in_folder() + '/*.conf'))]:
            section = None
            with open(path) as file:
                for line in file.read().replace('\\\n', ' ').splitlines():
                    line = line.strip()
                    if not line or line[0] in '#;':
                        continue
                    if line[0] == '[':
                        section = line
                    elif section == '[Service]':
                        key, _, value = (part.strip() for part in line.partition('='))
                        if key not in LISTS:
                            result[key] = value
                        elif value:
                            result.setdefault(key, []).append(value)
                        else:
                            result[key] = []
        return result

    # starting

    def start(self, timeout=30):
        assert self.process is None, 'already started'
        self.unit = self.directives()
        if self.unit.get('Type') != 'notify':
            raise UnitFailed(f'{self.name} is of type {self.unit.get("Type")}: this knows notify only')
        unknown = set(self.unit) - LISTS - {'Type', 'Restart'}
        if unknown:
            raise UnitFailed(f'{self.name} has directives that are not followed here: {", ".join(sorted(unknown))}')
        proc.become_subreaper()
        self.messages, self.journal = [], ''
        self.environment = dict(ENVIRONMENT, NOTIFY_SOCKET=NOTIFY_SOCKET, INVOCATION_ID='0' * 32)
        for line in self.unit.get('Environment', []):
            for word in shlex.split(line):
                key, _, value = word.partition('=')
                self.environment[key] = value
        self._listen()
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._read_journal, args=(ours,), daemon=True).start()
        for line in self.unit.get('ExecStartPre', []):
            self._run(line)
        line, = self.unit['ExecStart']
        self.say(f'start {self.name}: {line}')

        hard = min(524288, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

        def limits():
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.umask(0o022)
        self.process = subprocess.Popen(shlex.split(line), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd='/',
                                        env=self.environment, start_new_session=True, preexec_fn=limits)
        theirs.close()
        self.main = self.process.pid
        self.sessions = {self.main}
        try:
            poll(lambda: self._gone() or any('READY=1' in m for m in self.messages), timeout, lambda: f'no READY=1 from {self.name}: {self.messages}')
        except AssertionError:
            self.kill()
            raise
        if self._gone():
            code, self.process = self.process.returncode, None
            raise UnitFailed(f'{self.name} ended with {code}:\n{self.journal}')
        self._run_all('ExecStartPost')

    def _listen(self):
        os.makedirs(os.path.dirname(NOTIFY_SOCKET), exist_ok=True)
        if os.path.exists(NOTIFY_SOCKET):
            os.unlink(NOTIFY_SOCKET)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(NOTIFY_SOCKET)
        os.chmod(NOTIFY_SOCKET, 0o777)
        threading.Thread(target=self._read_notify, args=(self.notify,), daemon=True).start()

    def _read_notify(self, listener):
        while True:
            try:
                data, ancillary, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(12))
            except OSError:
                return
            if not data:
                return
            pid = next(struct.unpack('iii', value[:12])[0] for _, kind, value in ancillary if kind == socket.SCM_CREDENTIALS)
            lines = data.decode(errors='replace').splitlines()
            if pid != self.main:
                self.journal += f'notification of pid {pid} is not of the main process {self.main}: {lines}\n'
                continue
            for line in lines:
                if line.startswith('MAINPID='):
                    self.main = int(line[8:])
            self.messages.append(lines)

    def _read_journal(self, end):
        with end:
            while True:
                try:
                    data = end.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                self.journal += data.decode(errors='replace')

    # commands

    def _run(self, line):
        ignore = line.startswith('-')
        words = shlex.split(line.lstrip('-'))
        words = [w.replace('$MAINPID', str(self.main)) for w in words]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd='/', timeout=600,
                              env=dict(self.environment, **({'MAINPID': str(self.main)} if self.main else {})))
        self.say(f'  {" ".join(words)}' + (f': {done.returncode}' if done.returncode else ''))
        if done.returncode and not ignore:
            raise UnitFailed(f'{line}: {done.returncode} {done.stdout}{done.stderr}')
        return done

    def _run_all(self, key):
        for line in self.unit.get(key, []):
            self._run(line)

    def processes(self):
        """The living processes of the service: systemd would ask the control group."""
        everyone = [s for s in proc.everyone() if s.state not in 'ZX']
        mine = {s.pid for s in everyone if s.session in self.sessions}
        grew = True
        while grew:
            more = {s.pid for s in everyone if s.ppid in mine} - mine
            grew = bool(more)
            mine |= more
        self.sessions |= {s.session for s in everyone if s.pid in mine}
        return sorted(mine)

    def titles(self):
        return sorted(proc.title(pid) for pid in self.processes())

    def active(self):
        return self.process is not None and not self._gone()

    def _gone(self):
        self.reap()
        return self.process.poll() is not None

    def reap(self):
        """What has lost its parent comes to us, as to systemd."""
        for s in list(proc.everyone()):
            if s.state == 'Z' and s.ppid == os.getpid() and (self.process is None or s.pid != self.process.pid):
                try:
                    os.waitpid(s.pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def reload(self):
        self.say(f'reload {self.name}')
        self._run_all('ExecReload')

    def stop(self, timeout=30):
        """Stops as `systemctl stop` does; fails if the service did not end by itself or ended badly."""
        self.say(f'stop {self.name}: SIGTERM to {len(self.processes())} processes')
        self._run_all('ExecStop')
        for pid in [self.main, *(p for p in self.processes() if p != self.main)]:
            self._signal(pid, signal.SIGTERM)
        try:
            poll(lambda: self._gone() and not self.processes(), timeout, lambda: f'{self.name} did not end on SIGTERM: {self.titles()}')
        finally:
            code = self.process.poll()
            self.kill()
        self._run_all('ExecStopPost')
        if code != 0 and not (code is not None and code < 0 and signal.Signals(-code) in GOOD_SIGNALS):
            raise UnitFailed(f'{self.name}: main process ended with {code}')
        return code

    def main_process_died(self, timeout=10):
        """What follows when the main process is gone unasked: the others are ended, then, with Restart=, all begins anew."""
        poll(self._gone, timeout, 'the main process ended')
        code = self.process.returncode
        self.say(f'main process ended with {code}, SIGTERM to {len(self.processes())} others')
        for pid in self.processes():
            self._signal(pid, signal.SIGTERM)
        try:
            poll(lambda: not self.processes(), timeout, lambda: f'left: {self.titles()}')
        finally:
            self.kill()
        self._run_all('ExecStopPost')
        return code

    def kill(self):
        """SIGKILL for what is left of it."""
        for _ in range(200):
            left = self.processes()
            if not left:
                break
            for pid in left:
                self._signal(pid, signal.SIGKILL)
            self.reap()
            if self.process is not None:
                self.process.poll()
        if self.process is not None:
            self.process.wait(10 * time_scale())
            self.process = None
            self.notify.close()

    @staticmethod
    def _signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
