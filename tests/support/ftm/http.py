"""A small HTTP/1.1 client for what comes through a front: cookies, forms and uploads, no more."""

import http.client
import http.cookies
import time
import urllib.parse


class Answer:
    def __init__(self, status, headers, body, elapsed):
        self.status, self.headers, self.body, self.elapsed = status, headers, body, elapsed

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def __repr__(self):
        return f'<Answer {self.status} {len(self.body)} bytes {self.body[:100]!r}>'


class Browser:
    """Keeps cookies.  Every request uses a connection of its own unless keep=True.  Redirects are not followed."""

    def __init__(self, host, port, keep=False, timeout=60, name=None):
        self.host, self.port, self.keep, self.timeout = host, port, keep, timeout
        self.name = name or f'{host}:{port}'
        self.cookies = {}
        self._connection = None

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def request(self, method, path, body=None, headers=()):
        headers = {'Host': self.name, 'User-Agent': 'ftm-test', 'Accept': '*/*', **dict(headers)}
        if self.cookies:
            headers['Cookie'] = '; '.join(f'{k}={v}' for k, v in self.cookies.items())
        if not self.keep:
            headers['Connection'] = 'close'
        started = time.monotonic()
        connection = self._connection or http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            connection.close()
            self._connection = None
            raise
        if self.keep and not response.will_close:
            self._connection = connection
        else:
            connection.close()
            self._connection = None
        for key, value in response.getheaders():
            if key.lower() == 'set-cookie':
                for morsel in http.cookies.SimpleCookie(value).values():
                    if morsel['max-age'] == '0' or morsel.value in ('', ' ', 'deleted'):
                        self.cookies.pop(morsel.key, None)
                    else:
                        self.cookies[morsel.key] = morsel.coded_value
        return Answer(response.status, response.getheaders(), data, time.monotonic() - started)

    def get(self, path, **headers):
        return self.request('GET', path, headers=headers)

    def post(self, path, fields, headers=()):
        body = urllib.parse.urlencode(fields).encode()
        return self.request('POST', path, body, {'Content-Type': 'application/x-www-form-urlencoded', **dict(headers)})

    def upload(self, path, fields, files, headers=(), boundary='----ftm-boundary-7d1c'):
        body, content_type = multipart(fields, files, boundary)
        return self.request('POST', path, body, {'Content-Type': content_type, **dict(headers)})


def multipart(fields, files, boundary='----ftm-boundary-7d1c'):
    """fields: pairs of name and text; files: tuples of name, file name, content type, bytes."""
    out = []
    for name, value in (fields.items() if isinstance(fields, dict) else fields):
        out.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + str(value).encode() + b'\r\n')
    for name, filename, content_type, data in files:
        out.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                   f'Content-Type: {content_type}\r\n\r\n'.encode() + data + b'\r\n')
    out.append(f'--{boundary}--\r\n'.encode())
    return b''.join(out), f'multipart/form-data; boundary={boundary}'
