"""A way to set up a web server before php-ftm, and what all of them share: the samples of etc/fronts, a certificate, a port.

A Setup is one way to connect one of them: `keeps` says that it uses a connection for several requests, `misses` names the
features of table.py that it does not have, `stock_fails` those that php-fpm cannot serve behind it, and what of the body the
script sees in php-ftm. `full`: the sample as it is, not only what it needs; `newest`: the server of newest.py; `tls`: on a
second port with HTTP/2, and HTTP/3 where it has that.
"""

import os
import re
import shutil
import subprocess
import tempfile

import newest
from ftm.program import Program
from ftm.server import POOL_USER, PROJECT, free_port


class Setup:
    def __init__(self, name, make, transport='unix', keeps=False, misses=(), variant=None, stock_fails=None, long=False, full=False, newest=False, tls=False):
        self.name, self.make, self.transport, self.keeps, self.misses, self.variant = name, make, transport, keeps, set(misses), variant
        self.stock_fails, self.long, self.full, self.newest, self.tls = dict(stock_fails or {}), long, full, newest, tls

    def __repr__(self):
        return self.name

    def program(self):
        """The command that runs it, without arguments; None if it is not there."""
        if self.newest:
            return newest.program(self.make.binary)
        found = shutil.which(self.make.binary, path='/usr/sbin:/usr/bin')
        return found and [found]

    def version(self):
        out = subprocess.run([*self.program(), 'version' if self.make.binary == 'caddy' else '-v'], capture_output=True, text=True, check=False)
        return next((word.strip('(),') for word in (out.stdout + out.stderr).replace('/', ' ').split() if word[0].isdigit() and '.' in word), '?')

    def absence(self):
        """Why it cannot run, or None."""
        if self.newest and newest.missing():
            return newest.missing()
        if self.make.lacks():
            return self.make.lacks()
        return None if self.program() else f'{"the newest suite" if self.newest else "this release"} has no {self.make.binary}'


def sample(name, tags, replace):
    """The file of etc/fronts with only those tagged lines, and with what an administrator would change in it."""
    with open(os.path.join(PROJECT, 'etc/fronts', name), encoding='utf-8') as file:
        lines = [line for line in file if (tag := re.search(r'# \[(\w+)\]', line)) is None or tag[1] in tags]
    text = ''.join(lines)
    for old, new in replace:
        assert old in text, f'etc/fronts/{name} has no {old}'
        text = text.replace(old, new)
    return text


def certificate():
    """A self-signed certificate for localhost: the paths of certificate, key and both in one file."""
    if not certificate.made:
        folder = tempfile.mkdtemp(prefix='ftm-tls-', dir='/tmp')
        os.chmod(folder, 0o755)
        cert, key, both = (os.path.join(folder, name) for name in ('cert.pem', 'key.pem', 'both.pem'))
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost',
                        '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], check=True, capture_output=True)
        with open(both, 'w') as file:
            for path in (cert, key):
                with open(path) as part:
                    file.write(part.read())
        for path in (cert, key, both):
            os.chmod(path, 0o644)
        certificate.made = cert, key, both
    return certificate.made


certificate.made = None


class WebServer(Program):
    """`address`: a Unix path or (host, port) of the FastCGI server."""

    binary = None
    env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/tmp', 'LANG': 'C'}

    @classmethod
    def lacks(cls):
        """Why it cannot run though the program may be there, or None."""
        return None

    def __init__(self, setup, address, docroot, port):
        self.setup, self.address, self.docroot, self.port = setup, address, docroot, port
        self.title = str(setup)
        self.tls_port = free_port() if setup.tls else None
        if setup.tls:
            self.cert, self.key, self.both = certificate()

    @property
    def unix(self):
        return isinstance(self.address, str)

    @property
    def target(self):
        return self.address if self.unix else '%s:%d' % self.address

    def tags(self, *wanted):
        """The tagged lines of the sample that this setup has."""
        return {*wanted, *(['tls'] if self.setup.tls else [])}

    def arguments(self):
        shutil.chown(self.root, POOL_USER, POOL_USER)
        path = os.path.join(self.root, 'front.conf')
        with open(path, 'w') as file:
            file.write(self.conf())
        return [*self.setup.program(), *self.options(path)]
