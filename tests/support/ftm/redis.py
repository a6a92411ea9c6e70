"""A Redis server on loopback, in memory only, for as long as a test runs."""

import os
import shutil
import socket
import subprocess
import tempfile

from .proc import poll
from .server import free_port

# Debian's redis-tools has the server's program under the name of one of its tools; it does what its name says.
PROGRAM = next((path for path in ('/usr/bin/redis-server', '/usr/bin/redis-check-rdb', '/usr/local/bin/redis-server') if os.access(path, os.X_OK)), None)


class Redis:
    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix=f'ftm-redis-{os.getpid()}-', dir='/tmp')
        self.port = free_port()
        program = os.path.join(self.root, 'redis-server')
        os.symlink(PROGRAM, program)
        self.log = os.path.join(self.root, 'output.log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen([program, '--bind', '127.0.0.1', '--port', str(self.port), '--save', '', '--appendonly', 'no', '--dir', self.root],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            poll(self._answers, 15, lambda: 'Redis does not answer:\n' + open(self.log, errors='replace').read())
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError('Redis ended:\n' + open(self.log, errors='replace').read())
        try:
            return self.command('PING') == 'PONG'
        except OSError:
            return False

    def command(self, *words):
        """One command; text of a simple or bulk answer, a number, or a list of texts."""
        with socket.create_connection(('127.0.0.1', self.port), 60) as connection:
            connection.sendall(f'*{len(words)}\r\n'.encode() + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in (str(word).encode() for word in words)))
            with connection.makefile('rb') as answers:
                return self._read(answers)

    def _read(self, answers):
        line = answers.readline().decode().rstrip('\r\n')
        if not line:
            raise OSError('no answer')
        kind, rest = line[0], line[1:]
        if kind == '-':
            raise AssertionError('Redis: ' + rest)
        if kind == ':':
            return int(rest)
        if kind == '$':
            return None if rest == '-1' else answers.read(int(rest) + 2)[:-2].decode('utf-8', 'replace')
        if kind == '*':
            return [self._read(answers) for _ in range(int(rest))]
        return rest

    def clients(self):
        """Connections of others than the one that asks."""
        return len(self.command('CLIENT', 'LIST').splitlines()) - 1

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)
