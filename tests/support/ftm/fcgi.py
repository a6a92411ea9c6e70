"""A byte-level FastCGI client.

Nothing here is clever on purpose: a test may build any record by hand, cut it anywhere, send it whenever it likes
and look at every record that comes back.  `request()` at the end is the comfortable way for everything else.
"""

import os
import select
import socket
import struct
import time

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, \
    UNKNOWN_TYPE = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = range(4)

TYPE_NAMES = {1: 'BEGIN_REQUEST', 2: 'ABORT_REQUEST', 3: 'END_REQUEST', 4: 'PARAMS', 5: 'STDIN', 6: 'STDOUT', 7: 'STDERR',
              8: 'DATA', 9: 'GET_VALUES', 10: 'GET_VALUES_RESULT', 11: 'UNKNOWN_TYPE'}

TIMEOUT = 120.0


class FcgiError(Exception):
    """The peer broke off or broke the protocol; `partial` holds the response as far as it came."""

    def __init__(self, text, partial=None):
        super().__init__(text)
        self.partial = partial


class Closed(FcgiError):
    """The peer closed the connection (or reset it) before the answer was complete."""


class Timeout(FcgiError):
    pass


def _bytes(value):
    return value if isinstance(value, (bytes, bytearray, memoryview)) else str(value).encode('utf-8', 'surrogateescape')


# -- building ------------------------------------------------------------------------------------------------------

def header(rtype, request_id, length, padding=0, version=1):
    return struct.pack('>BBHHBB', version, rtype, request_id, length, padding, 0)


def record(rtype, content=b'', request_id=1, padding=0, version=1):
    content = _bytes(content)
    if len(content) > 0xffff:
        raise ValueError('a record holds at most 65535 bytes')
    return header(rtype, request_id, len(content), padding, version) + content + b'\0' * padding


def stream(rtype, content, request_id=1, chunk=0xfff8, padding=0):
    """The records of a stream without the empty one that ends it."""
    content = memoryview(_bytes(content))
    return b''.join(record(rtype, content[i:i + chunk], request_id, padding) for i in range(0, len(content), chunk))


def begin(role=RESPONDER, flags=0, request_id=1):
    return record(BEGIN_REQUEST, struct.pack('>HB5x', role, flags), request_id)


def _length(n, long_form):
    return struct.pack('>I', n | 0x80000000) if n > 127 or long_form else struct.pack('B', n)


def pair(name, value, long_form=False):
    name, value = _bytes(name), _bytes(value)
    return _length(len(name), long_form) + _length(len(value), long_form) + name + value


def pairs(params):
    """`params` is a dict or, where order and repetition matter, a list of pairs."""
    return [pair(k, v) for k, v in (params.items() if isinstance(params, dict) else params)]


def params_records(params, request_id=1, chunk=0x8000, padding=0):
    """PARAMS records that never split a pair (php-fpm requires that) and the empty one that ends them."""
    out, current = [], b''
    for item in pairs(params):
        if current and len(current) + len(item) > chunk:
            out.append(record(PARAMS, current, request_id, padding))
            current = b''
        current += item
    if current:
        out.append(record(PARAMS, current, request_id, padding))
    out.append(record(PARAMS, b'', request_id))
    return b''.join(out)


def whole_request(params, body=b'', role=RESPONDER, flags=0, request_id=1, padding=0):
    return (begin(role, flags, request_id) + params_records(params, request_id, padding=padding) +
            stream(STDIN, body, request_id, padding=padding) + record(STDIN, b'', request_id))


def abort(request_id=1):
    return record(ABORT_REQUEST, b'', request_id)


def get_values(names):
    return record(GET_VALUES, b''.join(pairs([(n, '') for n in names])), 0)


def parse_pairs(data):
    result, pos = [], 0
    while pos < len(data):
        lengths = []
        for _ in range(2):
            n = data[pos]
            if n & 0x80:
                n = struct.unpack_from('>I', data, pos)[0] & 0x7fffffff
                pos += 4
            else:
                pos += 1
            lengths.append(n)
        name = data[pos:pos + lengths[0]]
        pos += lengths[0]
        value = data[pos:pos + lengths[1]]
        pos += lengths[1]
        result.append((name.decode('latin-1'), value.decode('latin-1')))
    return result


# -- reading -------------------------------------------------------------------------------------------------------

class Record:
    __slots__ = ('version', 'type', 'request_id', 'content', 'padding')

    def __init__(self, version, rtype, request_id, content, padding):
        self.version, self.type, self.request_id, self.content, self.padding = version, rtype, request_id, content, padding

    def __repr__(self):
        text = bytes(self.content[:40])
        return f'<{TYPE_NAMES.get(self.type, self.type)} id={self.request_id} len={len(self.content)} pad={self.padding} {text!r}>'


class Response:
    """What one request brought back.  `raw` is the STDOUT stream untouched, the rest is parsed from it."""

    def __init__(self, request_id=1):
        self.request_id = request_id
        self.raw = b''
        self.stderr = b''
        self.app_status = None
        self.protocol_status = None
        self.end_content = None
        self.records = []
        self.elapsed = None
        self._out = []
        self._err = []

    def add(self, rec):
        self.records.append((rec.type, len(rec.content), rec.padding))
        if rec.type == STDOUT:
            self._out.append(rec.content)
        elif rec.type == STDERR:
            self._err.append(rec.content)
        elif rec.type == END_REQUEST:
            if len(rec.content) != 8:
                raise FcgiError(f'END_REQUEST of {len(rec.content)} bytes', self)
            self.app_status, self.protocol_status = struct.unpack_from('>IB', rec.content)
            self.end_content = bytes(rec.content)
        else:
            raise FcgiError(f'unexpected {rec!r} in a response', self)
        return rec.type == END_REQUEST

    def finish(self):
        self.raw = b''.join(self._out)
        self.stderr = b''.join(self._err)
        return self

    @property
    def complete(self):
        return self.protocol_status is not None

    def _split(self):
        head, found, body = self.raw.partition(b'\r\n\r\n')
        return (head, body) if found else (b'', self.raw)

    @property
    def headers(self):
        """All header lines in order, as pairs, without Status."""
        return [(n, v) for n, v in self.header_lines if n.lower() != 'status']

    @property
    def header_lines(self):
        result = []
        for line in self._split()[0].decode('latin-1').split('\r\n'):
            if line:
                name, _, value = line.partition(':')
                result.append((name, value.strip()))
        return result

    @property
    def body(self):
        return self._split()[1]

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    @property
    def status(self):
        for name, value in self.header_lines:
            if name.lower() == 'status':
                return int(value.split()[0])
        return 200 if self.raw else None

    def header(self, name, default=None):
        for key, value in self.header_lines:
            if key.lower() == name.lower():
                return value
        return default

    def __repr__(self):
        return f'<Response {self.status} {self.body[:120]!r} stderr={self.stderr[:120]!r} protocol={self.protocol_status}>'


class Connection:
    """One connection to a FastCGI server.  `address` is a path (Unix) or a (host, port) pair (TCP)."""

    def __init__(self, address, timeout=TIMEOUT, connect=True):
        self.address = address
        self.timeout = timeout
        self.sock = None
        self._buffer = bytearray()
        self._eof = None
        if connect:
            self.connect()

    def connect(self):
        if isinstance(self.address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ':' in self.address[0] else socket.AF_INET
            self.sock = socket.socket(family, socket.SOCK_STREAM)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self.address)
        except OSError:
            self.sock.close()
            raise
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def reset(self):
        """Close with a reset (TCP), or just close (Unix)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close()

    # sending

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(f'while sending: {error}') from error
        except (socket.timeout, TimeoutError) as error:
            raise Timeout('while sending') from error

    def send_slowly(self, data, chunk=1, pause=0.0):
        """One write per `chunk` bytes; on TCP each is a segment of its own because Nagle is off."""
        for i in range(0, len(data), chunk):
            self.send(data[i:i + chunk])
            if pause:
                time.sleep(pause)

    def send_request(self, params, body=b'', keep=False, request_id=1, role=RESPONDER, padding=0):
        self.send(whole_request(params, body, role, KEEP_CONN if keep else 0, request_id, padding))

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    # receiving

    def _fill(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Timeout('no answer in time')
        self.sock.settimeout(remaining)
        try:
            data = self.sock.recv(262144)
        except (socket.timeout, TimeoutError) as error:
            raise Timeout('no answer in time') from error
        except ConnectionResetError:
            self._eof = 'connection reset'
            return False
        if not data:
            self._eof = self._eof or 'connection closed'
            return False
        self._buffer += data
        return True

    def read_record(self, timeout=None):
        """The next record, or None when the peer closed between two records."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        buf = self._buffer
        while len(buf) < 8:
            if not self._fill(deadline):
                if buf:
                    raise Closed(f'{self._eof} inside a record header')
                return None
        version, rtype, request_id, length, padding, _ = struct.unpack_from('>BBHHBB', buf)
        total = 8 + length + padding
        while len(buf) < total:
            if not self._fill(deadline):
                raise Closed(f'{self._eof} inside a record')
        content = bytes(buf[8:8 + length])
        del buf[:total]
        return Record(version, rtype, request_id, content, padding)

    def read_response(self, request_id=1, timeout=None, sink=None):
        """Reads until END_REQUEST.  `sink(record)` sees each record as it comes."""
        response = Response(request_id)
        started = time.monotonic()
        deadline = started + (self.timeout if timeout is None else timeout)
        while True:
            try:
                rec = self.read_record(max(0.0, deadline - time.monotonic()))
            except FcgiError as error:
                error.partial = response.finish()
                raise
            if rec is None:
                raise Closed(f'{self._eof} before END_REQUEST', response.finish())
            if rec.request_id != request_id:
                raise FcgiError(f'answer for request {rec.request_id}, expected {request_id}: {rec!r}', response.finish())
            if sink:
                sink(rec)
            if response.add(rec):
                response.elapsed = time.monotonic() - started
                return response.finish()

    def wait_closed(self, timeout=None):
        """True when the peer closes (or resets) within the time without sending anything more."""
        try:
            return self.read_record(timeout) is None
        except Timeout:
            return False
        except Closed:
            return True

    def readable(self, timeout=0.0):
        return bool(self._buffer) or bool(select.select([self.sock], [], [], timeout)[0])

    # comfort

    def request(self, params, body=b'', keep=True, request_id=1, timeout=None):
        started = time.monotonic()
        try:
            self.send_request(params, body, keep, request_id)
        except Closed as error:
            # The answer may be there all the same (a server may answer before it has read everything).
            try:
                return self.read_response(request_id, timeout)
            except Closed as second:
                raise Closed(str(error), second.partial) from error
        response = self.read_response(request_id, timeout)
        response.elapsed = time.monotonic() - started
        return response


def script_params(script, **extra):
    """The parameters nginx sends for a script, enough for PHP to run it.  Keyword arguments add or replace; None removes."""
    name = '/' + os.path.basename(script)
    params = {
        'QUERY_STRING': '', 'REQUEST_METHOD': 'GET', 'CONTENT_TYPE': '', 'CONTENT_LENGTH': '',
        'SCRIPT_NAME': name, 'REQUEST_URI': name, 'DOCUMENT_URI': name,
        'DOCUMENT_ROOT': os.path.dirname(script), 'SERVER_PROTOCOL': 'HTTP/1.1', 'REQUEST_SCHEME': 'http',
        'GATEWAY_INTERFACE': 'CGI/1.1', 'SERVER_SOFTWARE': 'nginx/1.22.1', 'REMOTE_ADDR': '127.0.0.1',
        'REMOTE_PORT': '40000', 'SERVER_ADDR': '127.0.0.1', 'SERVER_PORT': '80', 'SERVER_NAME': 'localhost',
        'REDIRECT_STATUS': '200', 'SCRIPT_FILENAME': script, 'HTTP_HOST': 'localhost',
    }
    for key, value in extra.items():
        if value is None:
            params.pop(key, None)
        else:
            params[key] = value
    if params.get('QUERY_STRING') and 'REQUEST_URI' not in extra and 'REQUEST_URI' in params:
        params['REQUEST_URI'] += '?' + params['QUERY_STRING']
    return params


def post_params(script, body, content_type='application/octet-stream', **extra):
    extra = {'REQUEST_METHOD': 'POST', 'CONTENT_TYPE': content_type, 'CONTENT_LENGTH': str(len(body)), **extra}
    return script_params(script, **extra)


def request(address, params, body=b'', timeout=TIMEOUT, keep=False, padding=0):
    """One request on a connection of its own."""
    started = time.monotonic()
    with Connection(address, timeout) as connection:
        try:
            connection.send_request(params, body, keep, padding=padding)
        except Closed:
            pass
        response = connection.read_response(timeout=timeout)
        response.elapsed = time.monotonic() - started
        return response
