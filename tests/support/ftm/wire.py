"""HTTP/1.1 as bytes on a socket, for what a well-behaved client library would not send or does not show."""

import socket

from .proc import time_scale


class Reply:
    def __init__(self, version, status, reason, headers, body=b'', interim=()):
        self.version, self.status, self.reason, self.headers, self.body = version, status, reason, headers, body
        self.interim = list(interim)    # of 1xx: (status, headers)

    def header(self, name, default=None):
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        return ', '.join(found) if found else default

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    def __repr__(self):
        return f'<Reply {self.status} {self.headers} {self.body[:200]!r}>'


class Closed(AssertionError):
    pass


class Wire:
    """One connection to a Unix path or a (host, port)."""

    def __init__(self, address, timeout=120):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout * time_scale())
        self.socket.connect(address)
        self.rest = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode('latin-1'))
        return self

    def request(self, method='GET', target='/', headers=(), body=None, version='HTTP/1.1', host='localhost'):
        lines = [f'{method} {target} {version}']
        if host is not None:
            lines.append(f'Host: {host}')
        lines += [f'{k}: {v}' for k, v in (headers.items() if isinstance(headers, dict) else headers)]
        if body is not None:
            lines.append(f'Content-Length: {len(body)}')
        self.send(('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1') + (body or b''))
        return self

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(f'closed after {self.rest[:300]!r}')
        self.rest += data

    def line(self):
        while b'\r\n' not in self.rest:
            self._more()
        line, _, self.rest = self.rest.partition(b'\r\n')
        return line.decode('latin-1')

    def exactly(self, size):
        parts, have = [self.rest], len(self.rest)
        self.rest = b''
        while have < size:
            part = self.socket.recv(1 << 20)
            if not part:
                raise Closed(f'closed after {have} of {size} bytes')
            parts.append(part)
            have += len(part)
        data = b''.join(parts)
        self.rest = data[size:]
        return data[:size]

    def head(self):
        version, status, reason = (self.line() + '  ').split(' ', 2)
        headers = []
        for line in iter(self.line, ''):
            name, colon, value = line.partition(': ')
            assert colon, line
            headers.append((name, value))
        return Reply(version, int(status), reason.strip(), headers)

    def reply(self, head=False):
        """The next answer; interim ones are noted in it."""
        interim = []
        while True:
            reply = self.head()
            if reply.status >= 200:
                break
            interim.append((reply.status, reply.headers))
        reply.interim = interim
        if head or reply.status in (204, 304):
            return reply
        if reply.header('Transfer-Encoding') == 'chunked':
            parts = []
            while size := int(self.line(), 16):
                parts.append(self.exactly(size))
                assert self.line() == ''
            reply.body = b''.join(parts)
            assert self.line() == ''
        elif reply.header('Content-Length') is not None:
            reply.body = self.exactly(int(reply.header('Content-Length')))
        else:
            reply.body = self.until_closed()
        return reply

    def get(self, target='/', headers=(), **kwargs):
        return self.request('GET', target, headers, **kwargs).reply()

    def until_closed(self):
        """What is left, up to the end of the connection."""
        try:
            while True:
                self._more()
        except (Closed, ConnectionResetError):
            data, self.rest = self.rest, b''
            return data

    def is_closed(self):
        """Waits for the end of the connection; nothing may come before it."""
        return self.until_closed() == b''
