"""Web servers on loopback before a FastCGI address, each in a temporary directory of its own.

A Setup is one way to connect one of them: `keeps` says that it uses a connection for several requests, `misses` names the
features of table.py that it does not have, `stock_fails` those that php-fpm cannot serve behind it, and what of the body the
script sees in php-ftm.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import sites
from ftm import proc
from ftm.front import PARAMS
from ftm.proc import poll
from ftm.server import POOL_USER

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = '/usr/lib/apache2/modules'


class Setup:
    def __init__(self, name, make, transport='unix', keeps=False, misses=(), variant=None, stock_fails=None, long=False):
        self.name, self.make, self.transport, self.keeps, self.misses, self.variant = name, make, transport, keeps, set(misses), variant
        self.stock_fails, self.long = dict(stock_fails or {}), long

    def __repr__(self):
        return self.name


class WebServer:
    """`address`: a Unix path or (host, port) of the FastCGI server."""

    binary = None

    def __init__(self, setup, address, docroot, port):
        self.setup, self.address, self.docroot, self.port = setup, address, docroot, port
        self.process = None

    @classmethod
    def installed(cls):
        return shutil.which(cls.binary, path='/usr/sbin:/usr/bin')

    @property
    def unix(self):
        return isinstance(self.address, str)

    @property
    def target(self):
        return self.address if self.unix else '%s:%d' % self.address

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix='ftm-front-', dir='/tmp')
        os.chmod(self.root, 0o755)
        shutil.chown(self.root, POOL_USER, POOL_USER)
        path = os.path.join(self.root, 'front.conf')
        with open(path, 'w') as file:
            file.write(self.conf())
        with open(os.path.join(self.root, 'output.log'), 'ab') as output:
            self.process = subprocess.Popen(self.command(path), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.root, start_new_session=True,
                                            env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': self.root, 'LANG': 'C'})
        try:
            poll(self._answers, 15, lambda: f'{self.setup} does not answer:\n{self.log()}')
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'{self.setup} ended with {self.process.returncode}:\n{self.log()}')
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    def log(self):
        text = ''
        for name in ('output.log', 'error.log'):
            path = os.path.join(self.root, name)
            if os.path.exists(path):
                with open(path, errors='replace') as file:
                    text += file.read()
        return text

    def __exit__(self, *_):
        known = [self.process.pid, *proc.descendants(self.process.pid)]
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        for pid in known:
            if proc.alive(pid) and proc.stat(pid).session == self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait(60)
        if not os.environ.get('FTM_KEEP'):
            shutil.rmtree(self.root, ignore_errors=True)


class Nginx(WebServer):
    binary = 'nginx'

    def conf(self):
        server = f'unix:{self.address}' if self.unix else self.target
        temporary = '\n'.join(f'  {name}_temp_path {self.root}/{name};' for name in ('fastcgi', 'proxy', 'uwsgi', 'scgi'))
        return f"""user www-data;
daemon off;
worker_processes 1;
pid {self.root}/nginx.pid;
error_log {self.root}/error.log notice;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {self.root}/body;
{temporary}
  client_max_body_size 0;
  upstream php {{ server {server}; {'keepalive 8;' if self.setup.keeps else ''} }}
  server {{
    listen 127.0.0.1:{self.port};
    server_name localhost;
    root {self.docroot};
    index index.php;
    location ~ ^/(ping|status)$ {{ {PARAMS} fastcgi_pass php; }}
    {sites.nginx(self.docroot, self.setup.keeps) if self.setup.long else ''}
    location ~ [^/]\\.php(/|$) {{
      fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
      set $path_info $fastcgi_path_info;
      {PARAMS}
      fastcgi_param PATH_INFO $path_info;
      fastcgi_param HTTP_PROXY "";
      fastcgi_pass php;
      fastcgi_keep_conn {'on' if self.setup.keeps else 'off'};
    }}
  }}
}}
"""

    def command(self, path):
        return [self.installed(), '-p', self.root, '-c', path, '-e', self.root + '/error.log']


class Apache(WebServer):
    binary = 'apache2'
    modules = ('mpm_event', 'authn_core', 'authn_file', 'auth_basic', 'authz_core', 'authz_user', 'dir', 'env', 'mime', 'proxy', 'proxy_fcgi', 'rewrite')

    def conf(self):
        loads = ''.join(f'LoadModule {name}_module {MODULES}/mod_{name}.so\n' for name in self.modules if os.path.exists(f'{MODULES}/mod_{name}.so'))
        return f"""ServerRoot {self.root}
ServerName localhost
Listen 127.0.0.1:{self.port}
PidFile {self.root}/apache.pid
ErrorLog {self.root}/error.log
DefaultRuntimeDir {self.root}
{loads}
User www-data
Group www-data
StartServers 1
ServerLimit 2
TypesConfig /etc/mime.types
DocumentRoot {self.docroot}
<Directory {self.docroot}>
  Require all granted
  CGIPassAuth On
  DirectoryIndex index.php
</Directory>
{sites.apache(self.docroot, self.local) if self.setup.long else ''}
{self.php()}
"""

    @property
    def local(self):
        return f'unix:{self.address}|fcgi://localhost' if self.unix else f'fcgi://{self.target}'

    def php(self):
        """One of the ways that Apache's manual and php's wiki show."""
        local = self.local
        pages = f'ProxyPass /ping {local}/ping\nProxyPass /status {local}/status\n' if not self.unix else ''
        reuse = ' enablereuse=on max=8' if self.setup.keeps else ''
        reuse += ' flushpackets=on' if self.setup.variant == 'flush' else ''
        if self.setup.variant == 'match':
            if self.unix:
                return f'ProxyPassMatch "^/(.*\\.php(/.*)?)$" "unix:{self.address}|fcgi://localhost{self.docroot}/"{reuse}\n'
            return pages + f'ProxyPassMatch "^/(.*\\.php(/.*)?)$" "fcgi://{self.target}{self.docroot}/$1"{reuse}\n'
        generic = 'ProxyFCGIBackendType GENERIC\n' if self.setup.variant == 'generic' else ''
        proxy = f'<Proxy "{local if not self.unix else "fcgi://localhost"}">\n  ProxySet{reuse}\n</Proxy>\n' if reuse else ''
        if reuse and self.unix:
            proxy = f'<Proxy "unix:{self.address}|fcgi://localhost/">\n  ProxySet{reuse}\n</Proxy>\n'
        return f'{generic}{pages}{proxy}<FilesMatch "\\.php$">\n  SetHandler "proxy:{local}{"/" if reuse else ""}"\n</FilesMatch>\n'

    def command(self, path):
        return [self.installed(), '-f', path, '-DFOREGROUND']


class ApacheFcgid(Apache):
    """mod_fcgid starts its programs itself and has no directive for a server that runs already; the program here is a
    relay, which passes the bytes of each connection on."""

    modules = ('mpm_event', 'authz_core', 'dir', 'env', 'mime', 'fcgid', 'rewrite')

    def php(self):
        relay = os.path.join(self.root, 'relay')
        with open(relay, 'w') as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} {HERE}/relay.py {self.target}\n')
        os.chmod(relay, 0o755)
        return f"""FcgidIPCDir {self.root}
FcgidProcessTableFile {self.root}/shm
FcgidMaxRequestLen 100000000
FcgidMaxProcesses 4
FcgidWrapper {relay} .php
<FilesMatch "\\.php$">
  SetHandler fcgid-script
  Options +ExecCGI
</FilesMatch>
"""


class Lighttpd(WebServer):
    binary = 'lighttpd'

    def conf(self):
        where = f'"socket" => "{self.address}"' if self.unix else f'"host" => "{self.address[0]}", "port" => {self.address[1]}'
        hints = self.setup.variant == 'hints'
        return f"""server.modules = ( "mod_access", {'"mod_setenv", ' if hints else ''}"mod_fastcgi" )
{'setenv.add-environment = ( "FTM_EARLY_HINTS" => "1" )' if hints else ''}
{'server.stream-response-body = 1' if hints else ''}
{'server.feature-flags = ( "server.h2proto" => "enable", "server.h2c" => "enable" )' if hints else ''}
server.document-root = "{self.docroot}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "{self.root}/error.log"
server.upload-dirs = ( "/tmp" )
fastcgi.server = (
  ".php" => (( {where} )),
  "/ping" => (( {where}, "check-local" => "disable" )),
  "/status" => (( {where}, "check-local" => "disable" )),
)
"""

    def command(self, path):
        return [self.installed(), '-D', '-f', path]


class HAProxy(WebServer):
    binary = 'haproxy'

    def conf(self):
        keep = 'option keep-conn' if self.setup.keeps else 'no option keep-conn'
        server = f'unix@{self.address}' if self.unix else self.target
        # One thread: each has its own connections.
        return f"""global
  log stderr format raw local0 warning
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend web
  bind 127.0.0.1:{self.port}
  default_backend php
backend php
  use-fcgi-app php
  {'http-reuse always' if self.setup.keeps else 'http-reuse never'}
  server one {server} proto fcgi
fcgi-app php
  docroot {self.docroot}
  path-info ^(/.+\\.php)(/.*)?$
  {keep}
  {'option get-values' if self.setup.variant == 'mpxs' else ''}
  {'option mpxs-conns' if self.setup.variant == 'mpxs' else ''}
"""

    def command(self, path):
        return [self.installed(), '-db', '-f', path]


class Caddy(WebServer):
    binary = 'caddy'

    def conf(self):
        server = f'unix/{self.address}' if self.unix else self.target
        return f"""{{
  admin off
  auto_https off
  storage file_system {self.root}/storage
}}
http://127.0.0.1:{self.port}, http://localhost:{self.port} {{
  bind 127.0.0.1
  root * {self.docroot}
  php_fastcgi {server} {{
    try_files {{path}} =404
  }}
}}
"""

    def command(self, path):
        return [self.installed(), 'run', '--config', path, '--adapter', 'caddyfile']


SETUPS = [
    Setup('nginx-unix', Nginx, long=True),
    Setup('nginx-tcp', Nginx, 'tcp', long=True),
    Setup('nginx-tcp-keep', Nginx, 'tcp', keeps=True, long=True),
    Setup('apache-SetHandler-unix', Apache, misses=['pages'], long=True),
    Setup('apache-SetHandler-tcp', Apache, 'tcp', long=True),
    # Without CONTENT_LENGTH php-fpm answers before the body is there, and takes what follows for the next request.
    Setup('apache-SetHandler-tcp-reuse', Apache, 'tcp', keeps=True, stock_fails={'chunked': 'nothing'}, long=True),
    Setup('apache-SetHandler-GENERIC', Apache, 'tcp', variant='generic', long=True),
    Setup('apache-ProxyPassMatch-unix', Apache, variant='match', misses=['pages'], long=True),
    Setup('apache-ProxyPassMatch-tcp', Apache, 'tcp', variant='match', long=True),
    Setup('apache-ProxyPassMatch-tcp-reuse', Apache, 'tcp', variant='match', keeps=True, stock_fails={'chunked': 'nothing'}, long=True),
    Setup('apache-mod_fcgid', ApacheFcgid, misses=['pages']),
    Setup('lighttpd-unix', Lighttpd),
    Setup('lighttpd-tcp', Lighttpd, 'tcp'),
    # HAProxy refuses chunked bodies, and 2.6 ends itself over a header block that does not come at once.
    Setup('haproxy-unix', HAProxy, misses=['chunked', 'large headers']),
    Setup('haproxy-tcp', HAProxy, 'tcp', misses=['chunked', 'large headers']),
    Setup('haproxy-tcp-keep', HAProxy, 'tcp', keeps=True, misses=['chunked', 'large headers']),
    # CONTENT_LENGTH=-1.
    Setup('caddy-unix', Caddy, misses=['pages'], stock_fails={'chunked': 'whole'}),
    Setup('caddy-tcp', Caddy, 'tcp', misses=['pages'], stock_fails={'chunked': 'whole'}),
]
