"""The web servers on loopback before a FastCGI address, set up with the samples of etc/fronts."""

import os
import re
import shutil
import sys

import newest
import sites
from webserver import Setup, WebServer, sample

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = '/usr/lib/apache2/modules'


class Nginx(WebServer):
    binary = 'nginx'

    def listens(self):
        """What the samples say of ports, name and certificate, and what it is here."""
        tls = f'listen 127.0.0.1:{self.tls_port} ssl http2;'
        if self.setup.newest:
            tls = f'listen 127.0.0.1:{self.tls_port} ssl; http2 on; listen 127.0.0.1:{self.tls_port} quic reuseport; http3 on;'
        return [('listen 80;', f'listen 127.0.0.1:{self.port};'), ('server_name example.org;', 'server_name localhost;'),
                *([('listen 443 ssl http2;', tls), ('/etc/ssl/certs/example.org.pem', self.cert), ('/etc/ssl/private/example.org.key', self.key)] if self.setup.tls else [])]

    def loads(self):
        return ''

    def site(self):
        more = [('index index.php;', 'index index.php;\n' + sites.nginx(self.docroot, self.setup.keeps))] if self.setup.long else []
        return sample('nginx.conf', self.tags(*(['kept'] if self.setup.keeps else []), *(['headers'] if self.setup.full else [])), [
            ('127.0.0.1:9000', f'unix:{self.address}' if self.unix else self.target), ('/srv/www', self.docroot), *self.listens(), *more])

    def conf(self):
        shutil.copy(f'{newest.root() if self.setup.newest else ""}/etc/nginx/fastcgi_params', self.root)
        temporary = '\n'.join(f'  {name}_temp_path {self.root}/{name};' for name in ('fastcgi', 'proxy', 'uwsgi', 'scgi'))
        return f"""{self.loads()}user www-data;
daemon off;
worker_processes 1;
pid {self.root}/nginx.pid;
error_log {self.root}/error.log notice;
events {{ worker_connections 512; }}
http {{
  access_log off;
  types {{ text/html html; text/css css; }}
  client_body_temp_path {self.root}/body;
{temporary}
{self.site()}
}}
"""

    def options(self, path):
        return ['-p', self.root, '-c', path, '-e', self.root + '/error.log']


class NginxModule(Nginx):
    """With the module of packaging/nginx-module, which relays 103."""

    @classmethod
    def lacks(cls):
        return None if os.environ.get('FTM_NGINX_MODULE') else os.environ.get('FTM_NGINX_MODULE_MISSING', 'no module')

    def loads(self):
        module = os.path.join(self.root, 'module.so')
        shutil.copy(os.environ['FTM_NGINX_MODULE'], module)
        return f'load_module {module};\n'

    def site(self):
        param = 'fastcgi_param HTTP_PROXY "";'
        text = super().site()
        assert param in text
        return text.replace(param, f'{param} fastcgi_param FTM_EARLY_HINTS $ftm_early_hints if_not_empty; early_hints 1;')


class Apache(WebServer):
    binary = 'apache2'
    modules = ('mpm_event', 'authn_core', 'authn_file', 'auth_basic', 'authz_core', 'authz_host', 'authz_user', 'dir', 'env', 'mime', 'proxy', 'proxy_fcgi', 'rewrite', 'ssl', 'http2')

    def conf(self):
        installed = (newest.root() if self.setup.newest else '') + MODULES
        loads = ''.join(f'LoadModule {name}_module {MODULES}/mod_{name}.so\n' for name in self.modules if os.path.exists(f'{installed}/mod_{name}.so'))
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
{self.tls() if self.setup.tls else ''}
{sites.apache(self.docroot, self.local) if self.setup.long else ''}
{self.php()}
"""

    def tls(self):
        return f"""Listen 127.0.0.1:{self.tls_port}
Protocols h2 http/1.1
SSLSessionCache none
<VirtualHost 127.0.0.1:{self.tls_port}>
  SSLEngine on
  SSLCertificateFile {self.cert}
  SSLCertificateKeyFile {self.key}
</VirtualHost>
"""

    @property
    def local(self):
        return f'unix:{self.address}|fcgi://localhost' if self.unix else f'fcgi://{self.target}'

    def php(self):
        """The sample, or one of the other ways that Apache's manual and php's wiki show."""
        local = self.local
        text = sample('apache.conf', (), [('fcgi://127.0.0.1:9000', local), ('/srv/www', self.docroot)])
        block, handler = (re.search(pattern, text, re.S)[0] for pattern in (r'<Proxy .*</Proxy>\n', r'<FilesMatch .*</FilesMatch>\n'))
        pages = f'ProxyPass /ping {local}/ping\nProxyPass /status {local}/status\n' if not self.unix else ''
        if self.setup.variant == 'match':
            reuse = ' enablereuse=on max=8' if self.setup.keeps else ''
            where = f'{local}{self.docroot}/' if self.unix else f'{local}{self.docroot}/$1'
            return text.replace(block, '').replace(handler, pages + f'ProxyPassMatch "^/(.*\\.php(/.*)?)$" "{where}"{reuse}\n')
        if not self.setup.keeps:
            text = text.replace(block, '').replace(f'{local}/"', f'{local}"')
        return pages + text + ('ProxyFCGIBackendType GENERIC\n' if self.setup.variant == 'generic' else '')

    def options(self, path):
        return ['-f', path, '-DFOREGROUND']


class ApacheFcgid(Apache):
    """mod_fcgid starts its programs itself and has no directive for a server that runs already; the program here is a
    relay, which passes the bytes of each connection on."""

    modules = ('mpm_event', 'authz_core', 'dir', 'env', 'mime', 'fcgid', 'rewrite', 'ssl', 'http2')

    def php(self):
        relay = os.path.join(self.root, 'relay')
        with open(relay, 'w') as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} {HERE}/relay.py {self.target}\n')
        os.chmod(relay, 0o755)
        return f"""<Directory {self.docroot}>
  Require all granted
  CGIPassAuth On
  DirectoryIndex index.php
</Directory>
FcgidIPCDir {self.root}
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

    def site(self):
        where = f'"socket" => "{self.address}"' if self.unix else f'"host" => "{self.address[0]}", "port" => {self.address[1]}'
        return sample('lighttpd.conf', ('hints', 'stream') if self.setup.full else (), [('"host" => "127.0.0.1", "port" => 9000', where)])

    def conf(self):
        tls = f"""server.modules += ( "mod_openssl" )
$SERVER["socket"] == "127.0.0.1:{self.tls_port}" {{ ssl.engine = "enable" ssl.pemfile = "{self.both}" }}
""" if self.setup.tls else ''
        return f"""server.modules = ( "mod_access" )
server.document-root = "{self.docroot}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "{self.root}/error.log"
server.upload-dirs = ( "/tmp" )
server.feature-flags = ( "server.h2proto" => "enable", "server.h2c" => "enable" )
mimetype.assign = ( ".css" => "text/css", ".html" => "text/html" )
{tls}
{self.site()}
"""

    def options(self, path):
        return ['-D', '-f', path]


class HAProxy(WebServer):
    binary = 'haproxy'

    def listens(self):
        """What the samples say of ports and certificate, and what it is here."""
        listen, alpn = 'bind :443 ssl crt /etc/haproxy/example.org.pem', ' alpn h2,http/1.1'
        here = f'bind 127.0.0.1:{self.tls_port} ssl crt {self.both}{alpn}' if self.setup.tls else ''
        if here and self.setup.newest:
            here += f'\n  bind quic4@127.0.0.1:{self.tls_port} ssl crt {self.both} alpn h3'
        return [('bind :80', f'bind 127.0.0.1:{self.port}'), *([(listen + alpn, here)] if here else [])]

    def site(self):
        keep = [] if self.setup.keeps else [('http-reuse always', 'http-reuse never'), ('option keep-conn', 'no option keep-conn')]
        mpxs = self.setup.variant == 'mpxs' or self.setup.full
        return sample('haproxy.cfg', self.tags(*(['mpxs'] if mpxs else []), *(['authorization'] if self.setup.full else [])), [
            ('127.0.0.1:9000', f'unix@{self.address}' if self.unix else self.target), ('/srv/www', self.docroot), *self.listens(), *keep])

    def conf(self):
        # One thread: each has its own connections.
        return f"""global
  log stderr format raw local0 warning
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
{self.site()}
"""

    def options(self, path):
        return ['-db', '-f', path]


class Caddy(WebServer):
    binary = 'caddy'

    def site(self, listens):
        server = f'unix/{self.address}' if self.unix else self.target
        return sample('Caddyfile', (), [('example.org {', listens), ('/srv/www', self.docroot), ('127.0.0.1:9000', server)])

    def conf(self):
        listens = [f'http://127.0.0.1:{self.port}, http://localhost:{self.port} {{\n\tbind 127.0.0.1']
        if self.setup.tls:
            listens.append(f'https://localhost:{self.tls_port} {{\n\tbind 127.0.0.1\n\ttls {self.cert} {self.key}')
        return f"""{{
  admin off
  auto_https off
  storage file_system {self.root}/storage
}}
""" + '\n'.join(self.site(text) for text in listens)

    def options(self, path):
        return ['run', '--config', path, '--adapter', 'caddyfile']


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
