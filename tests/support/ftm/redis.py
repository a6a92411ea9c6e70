"""A Redis server on loopback, in memory only, for as long as a test runs."""

import os
import socket

from .program import Program

# Debian's redis-tools has the server's program under the name of one of its tools; it does what its name says.
PROGRAM = next((path for path in ('/usr/bin/redis-server', '/usr/bin/redis-check-rdb', '/usr/local/bin/redis-server') if os.access(path, os.X_OK)), None)


class Redis(Program):
    title = 'Redis'

    def arguments(self):
        program = os.path.join(self.root, 'redis-server')
        os.symlink(PROGRAM, program)
        return [program, '--bind', '127.0.0.1', '--port', str(self.port), '--save', '', '--appendonly', 'no', '--dir', self.root]

    def answered(self):
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
