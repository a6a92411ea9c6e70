"""Web servers that speak HTTP/1.1 to php-ftm (http.listen) instead of FastCGI, set up with the samples of etc/fronts."""

import functools
import os
import subprocess
import tempfile

from fronts import Apache, Caddy, HAProxy, Lighttpd, Nginx
from webserver import Setup, sample

LISTEN = '127.0.0.1:8080'


@functools.cache
def acts():
    """Whether this php-ftm has the listener, or only knows the directive."""
    with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
        file.write('[global]\nerror_log = /dev/null\n[www]\nlisten = 127.0.0.1:0\nuser = www-data\npm = static\npm.max_children = 1\nhttp.listen = 127.0.0.1:1\nhttp.root = /tmp\n')
        file.flush()
        done = subprocess.run([os.environ['FTM_BINARY'], '-n', '-tt', '-y', file.name], capture_output=True, text=True, check=False)
    return 'test is successful' in done.stdout + done.stderr and "'http.listen' is checked but has no effect" not in done.stdout + done.stderr


class Proxy(Setup):
    """Behind it is a pool with http.listen; `pool` has further settings of that."""

    def __init__(self, name, make, pool=(), **options):
        super().__init__(name, make, 'http', full=True, tls=True, **options)
        self.pool = list(pool)

    def absence(self):
        return super().absence() or (None if acts() else 'http.listen does not act yet')


class NginxProxy(Nginx):
    def site(self):
        return sample('nginx-http.conf', self.tags(*(['early_hints'] if self.setup.newest else [])), [(LISTEN, self.target), *self.listens()])


class ApacheProxy(Apache):
    modules = (*Apache.modules, 'proxy_http', 'headers')

    def php(self):
        return f'<Directory {self.docroot}>\n  Require all granted\n</Directory>\n' + sample('apache-http.conf', (), [(LISTEN, self.target)])


class LighttpdProxy(Lighttpd):
    def site(self):
        return sample('lighttpd-http.conf', (), [('"host" => "127.0.0.1", "port" => 8080', f'"host" => "{self.address[0]}", "port" => {self.address[1]}')])


class HAProxyProxy(HAProxy):
    def site(self):
        return sample('haproxy-http.cfg', self.tags(), [(LISTEN, self.target), *self.listens()])


class CaddyProxy(Caddy):
    def site(self, listens):
        return sample('Caddyfile-http', (), [('example.org {', listens), (LISTEN, self.target)])


RELAYS = [('early_hints', 'on')]
PROXIES = {
    # 1.22 takes an interim answer for the final one: by default it gets none.
    'nginx proxy_pass': Proxy('nginx-http', NginxProxy),
    'Apache mod_proxy_http': Proxy('apache-http', ApacheProxy, pool=RELAYS),
    'lighttpd mod_proxy': Proxy('lighttpd-http', LighttpdProxy, pool=RELAYS),
    'HAProxy http': Proxy('haproxy-http', HAProxyProxy, pool=RELAYS),
    'Caddy reverse_proxy': Proxy('caddy-http', CaddyProxy, pool=RELAYS),
    'nginx proxy_pass, newest': Proxy('nginx-http-newest', NginxProxy, newest=True, pool=RELAYS),
}
