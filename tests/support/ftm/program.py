"""A server program that a test starts in a directory of its own, waits for, and ends with all that it has started."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

from . import proc
from .proc import poll
from .server import free_port


class Program:
    """A subclass gives a `title`, arguments(), which may write files into self.root, and answered() if more than an open port counts."""

    title = 'the program'
    patience = 15                       # seconds until it answers

    port = None
    process = None
    env = None

    def arguments(self):
        raise NotImplementedError

    def launch(self, output):
        return subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.root, start_new_session=True, env=self.env)

    def answered(self):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix=f'ftm-{type(self).__name__.lower()}-{os.getpid()}-', dir='/tmp')
        os.chmod(self.root, 0o755)
        self.port = self.port or free_port()
        try:
            with open(os.path.join(self.root, 'output.log'), 'ab') as output:
                self.process = self.launch(output)
            poll(self._answers, self.patience, lambda: f'{self.title} does not answer:\n{self.log()}')
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'{self.title} ended with {self.process.returncode}:\n{self.log()}')
        return self.answered()

    def log(self):
        text = ''
        for name in ('output.log', 'error.log'):
            path = os.path.join(self.root, name)
            if os.path.exists(path):
                with open(path, errors='replace') as file:
                    text += file.read()
        return text

    def __exit__(self, *_):
        if self.process:
            self._end()
        if not os.environ.get('FTM_KEEP'):
            shutil.rmtree(self.root, ignore_errors=True)

    def _end(self):
        known = [self.process.pid, *proc.descendants(self.process.pid)]
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        for pid in known:
            stat = proc.stat(pid)
            if stat and stat.state not in 'ZX' and stat.session == self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait(60)
