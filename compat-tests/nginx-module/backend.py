"""A FastCGI application that sends exactly the bytes a test gives it, in exactly the pieces it gives them."""

import array
import fcntl
import os
import socket
import struct
import tempfile
import termios
import threading
import time

from ftm import fcgi
from ftm.proc import PATIENCE, time_scale


def block(status, *headers):
    """A header block as CGI has it."""
    return ''.join(line + '\r\n' for line in (f'Status: {status}', *headers, '')).encode()


def stdout(content, padding=0):
    return fcgi.record(fcgi.STDOUT, content, padding=padding)


def stderr(content, padding=0):
    return fcgi.record(fcgi.STDERR, content, padding=padding)


END = fcgi.record(fcgi.STDOUT) + fcgi.record(fcgi.END_REQUEST, bytes(8))


class Backend:
    """`answer(n, params, body)` gives the pieces for the n-th request (from 0).  A piece leaves when the front has read the one
    before it.  Whoever asked for it keeps the connection, but after a None among the pieces it is closed at once.
    """

    def __init__(self, answer):
        self.answer = answer
        self.requests = []              # (params, body) of each request
        self.problems = []

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='ftm-backend-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.address = os.path.join(self.dir, 'sock')
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        os.chmod(self.address, 0o666)
        self.listener.listen(64)
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.address)
        os.rmdir(self.dir)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(PATIENCE * time_scale())
        with connection:
            try:
                while self._one(connection):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
            except Exception as problem:  # a thread's own would be lost
                self.problems.append(repr(problem))

    def _one(self, connection):
        flags, params, body, data = 0, b'', b'', b''
        while True:
            while len(data) < 8 or len(data) < 8 + sum(struct.unpack_from('>HB', data, 4)):
                more = connection.recv(65536)
                if not more:
                    return False
                data += more
            length, padding = struct.unpack_from('>HB', data, 4)
            kind, content, data = data[1], data[8:8 + length], data[8 + length + padding:]
            if kind == fcgi.BEGIN_REQUEST:
                flags = content[2]
            elif kind == fcgi.PARAMS:
                params += content
            elif kind == fcgi.STDIN and content:
                body += content
            elif kind == fcgi.STDIN:
                break
        with self.lock:
            n = len(self.requests)
            self.requests.append((dict(fcgi.parse_pairs(params)), body))
        for piece in self.answer(n, *self.requests[n]):
            if piece is None:
                return False
            connection.sendall(piece)
            self._until_read(connection)
        return bool(flags & fcgi.KEEP_CONN)

    def _until_read(self, connection):
        left, deadline = array.array('i', [1]), time.monotonic() + PATIENCE * time_scale()
        while True:
            fcntl.ioctl(connection, termios.TIOCOUTQ, left)
            if not left[0]:
                return
            if time.monotonic() > deadline:
                raise TimeoutError('the front does not read')
            time.sleep(0.0001)
