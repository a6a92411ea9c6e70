"""The newest suite's nginx, with or without the module, and clients that see every byte of its answers."""

import atexit
import functools
import os
import re
import shutil
import socket
import subprocess
import tempfile

from ftm.front import PARAMS, Front
from ftm.proc import PATIENCE, time_scale
from ftm.server import POOL_USER, free_port

MODULE = os.environ.get('FTM_NGINX_MODULE', '')
LINE = 'fastcgi_param FTM_EARLY_HINTS $ftm_early_hints if_not_empty;'
CACHE = '''fastcgi_cache php; fastcgi_cache_key $request_method$request_uri; fastcgi_cache_valid 200 404 10m;
           add_header X-Cache $upstream_cache_status always;'''


@functools.cache
def certificate():
    """The lines for a server with TLS."""
    folder = tempfile.mkdtemp(prefix='ftm-cert-', dir='/tmp')
    atexit.register(shutil.rmtree, folder)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                    '-keyout', folder + '/key', '-out', folder + '/cert'], check=True, capture_output=True)
    return f'ssl_certificate {folder}/cert; ssl_certificate_key {folder}/key;'


def script(name):
    """What a location needs that runs one script, whatever was asked for."""
    return PARAMS.replace('$document_root$fastcgi_script_name', '$document_root/' + name, 1) + LINE + ' fastcgi_pass php; '


class Relay(Front):
    """`addresses`: the servers of the upstream.  `location`: further lines of the location.  LINE is not in it when the
    module is not loaded."""

    def __init__(self, addresses, docroot='/nonexistent', module=True, line=None, hints='early_hints 1;', location='', http='', server='', upstream='', keep=False, target='php'):
        super().__init__(addresses, docroot, keep)
        self.module, self.line = module, line if line is not None else LINE if module else ''
        self.hints, self.location, self.http, self.server, self.upstream, self.target = hints, location, http, server, upstream, target

    def conf(self):
        names = [f'unix:{a}' if isinstance(a, str) else '%s:%d' % a for a in self.address]
        servers = ' '.join(f'server {name} {"max_fails=0" if len(names) > 1 else ""};' for name in names)
        dirs = '\n'.join(f'  {name}_temp_path {self.root}/{name};' for name in ('fastcgi', 'proxy', 'uwsgi', 'scgi'))
        self.tls_port = free_port()
        return f"""{f'load_module {MODULE};' if self.module and MODULE else ''}
{f'user {POOL_USER};' if os.geteuid() == 0 else ''}
daemon off;
worker_processes 1;
pid {self.root}/nginx.pid;
error_log {self.root}/error.log {os.environ.get('FTM_NGINX_LOG', 'info')};
events {{ worker_connections 512; }}
http {{
  log_format plain '$request_uri $status $upstream_status';
  access_log {self.root}/access.log plain;
  client_body_temp_path {self.root}/body;
{dirs}
  client_max_body_size 0;
  fastcgi_cache_path {self.root}/cache levels=1 keys_zone=php:1m;
  {self.http}
  upstream php {{ {servers} {self.upstream} {'keepalive 8;' if self.keep else ''} }}
  server {{
    listen 127.0.0.1:{self.port};
    listen 127.0.0.1:{self.tls_port} ssl;
    {certificate()}
    http2 on;
    server_name localhost;
    root {self.docroot};
    {self.hints}
    {self.server}
    location / {{
      {PARAMS}
      {self.line}
      fastcgi_pass {self.target};
      fastcgi_keep_conn {'on' if self.keep else 'off'};
      {self.location}
    }}
  }}
}}
"""

    def get(self, path='/', **kwargs):
        """Status codes of all header blocks, the blocks, and the body behind the last."""
        return parse(self.exchange(path, **kwargs))

    def exchange(self, path='/', version='HTTP/1.1', method='GET', body=b'', headers='', until=None):
        """All bytes that come until nginx closes the connection; with `until`, those up to it and the open socket."""
        s = socket.create_connection(('127.0.0.1', self.port), PATIENCE * time_scale())
        length = f'Content-Length: {len(body)}\r\n' if body or method == 'POST' else ''
        s.sendall(f'{method} {path} {version}\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n'.encode() + body)
        data = bytearray()
        while until is None or until not in data:
            try:
                more = s.recv(1 << 20)
            except TimeoutError:
                more = b'<timeout>'
            data += more
            if not more or more == b'<timeout>':
                break
        if until is not None:
            return bytes(data), s
        s.close()
        return bytes(data)

    def log_file(self, name='access.log'):
        with open(os.path.join(self.root, name), errors='replace') as file:
            return file.read()

    def http_2(self, *paths, options=()):
        """What curl shows of all of them over one HTTP/2 connection."""
        urls = [f'https://127.0.0.1:{self.tls_port}{path}' for path in paths]
        done = subprocess.run(['curl', '-sSk', '--http2', '-i', '-m', str(PATIENCE * time_scale()), *options, *urls], capture_output=True)
        if done.returncode:
            raise AssertionError(f'curl: {done.stderr.decode()} {done.stdout[:2000]!r}')
        return done.stdout


def parse(data):
    blocks = []
    while True:
        head, separator, data = data.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        match = re.fullmatch(r'HTTP/(?:1\.[01]|2) (\d{3})( .*)?', lines[0])
        if not match or not separator:
            raise AssertionError(f'not a header block: {head[:1000]!r}')
        blocks.append((int(match.group(1)), lines[1:]))
        if not 100 <= blocks[-1][0] < 200:
            return [status for status, _ in blocks], [[line.lower() for line in rest] for _, rest in blocks], unchunked(data, blocks[-1][1])


def unchunked(data, headers):
    if not any(h.lower() == 'transfer-encoding: chunked' for h in headers):
        return data
    out, at = [], 0
    while True:
        end = data.find(b'\r\n', at)
        if end < 0:
            raise AssertionError('the body is cut off')
        size = int(data[at:end], 16)
        if not size:
            return b''.join(out)
        out.append(data[end + 2:end + 2 + size])
        at = end + 4 + size
