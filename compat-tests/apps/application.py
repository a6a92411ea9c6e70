"""An application on php-ftm: its files in a temporary directory, the pool file from etc/, a web server in front.

The pools: one is the example of etc/pool.d with nothing changed but paths and what the test asks for; `classic` is the
same without its worker lines.
"""

import atexit
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

from ftm.front import Front
from ftm.server import POOL_USER, PROJECT, Pool, free_port

sys.path.append(os.path.join(PROJECT, 'compat-tests/fronts'))

import fronts  # noqa: E402

MODULES = ['opcache', 'ctype', 'curl', 'dom', 'fileinfo', 'iconv', 'intl', 'mbstring', 'pdo', 'phar', 'posix', 'simplexml', 'tokenizer', 'xml', 'xmlreader', 'xmlwriter']
INI = {'opcache.enable': '1', 'opcache.validate_timestamps': '0', 'memory_limit': '128M', 'upload_max_filesize': '8M', 'post_max_size': '8M', 'max_execution_time': '30',
       'session.save_path': None}


class Application:
    """A copy of `folder` with the libraries in $FTM_APP_CODE; `writable` are the folders that the pool's user may write."""

    def __init__(self, folder, writable):
        self.root = tempfile.mkdtemp(prefix=f'ftm-app-{os.getpid()}-', dir='/tmp')
        atexit.register(self.remove)
        os.chmod(self.root, 0o755)
        self.dir = os.path.join(self.root, 'app')
        shutil.copytree(folder, self.dir)
        subprocess.run(['cp', '-a', '--reflink=auto', os.environ['FTM_APP_CODE'] + '/.', self.dir], check=True)
        os.chmod(self.dir, 0o755)
        self.writable = [os.path.join(self.dir, name) for name in writable]
        for path in self.writable:
            os.makedirs(path, exist_ok=True)

    def remove(self):
        if not os.environ.get('FTM_KEEP'):
            shutil.rmtree(self.root, ignore_errors=True)

    @property
    def public(self):
        return os.path.join(self.dir, 'public')

    def give_away(self):
        if os.geteuid() != 0:
            return
        user = pwd.getpwnam(POOL_USER)
        for top in self.writable:
            for path, _, names in os.walk(top):
                os.chown(path, user.pw_uid, user.pw_gid)
                for name in names:
                    os.chown(os.path.join(path, name), user.pw_uid, user.pw_gid)


def example_pool(example, app, worker=True, **changes):
    """A Pool of etc/pool.d/`example`.conf.example.  Changed or further directives: dots are written as __, and what stands
    in brackets is given in a dict: worker__num=1, env={'APP_DEBUG': '1'}."""
    settings = {}
    with open(os.path.join(PROJECT, f'etc/pool.d/{example}.conf.example'), encoding='utf-8') as file:
        for line in file:
            line = line.strip()
            if line and line[0] not in ';[':
                key, _, value = line.partition('=')
                settings[key.strip()] = value.strip().replace(f'/srv/{example}', app.dir)
    for key in ('user', 'group', 'listen', 'listen.owner', 'listen.group'):     # the harness's own
        settings.pop(key)
    for key, value in changes.items():
        if isinstance(value, dict):
            settings.update({f'{key}[{name}]': text for name, text in value.items()})
        else:
            settings[key.replace('__', '.')] = str(value)
    if not worker:
        settings = {key: value for key, value in settings.items() if not key.startswith('worker.')}
    return Pool(example if worker else 'classic', settings=settings)


def nginx(address, app):
    """As Symfony's and Laravel's manuals set it up: what is no file goes to the front controller."""
    return Front(address, app.public, keep=True, try_files='$uri /index.php$is_args$args')


class Apache(fronts.Apache):
    """As the manuals set it up for php-fpm: FallbackResource and SetHandler."""

    def php(self):
        return f'<Directory {self.docroot}>\n  FallbackResource /index.php\n</Directory>\n' + super().php()


def has_apache():
    return fronts.Setup('apache', Apache).absence() is None


class ApacheFront(Apache):
    def __init__(self, address, app):
        super().__init__(fronts.Setup('apache', Apache), address, app.public, free_port())

    def browser(self, keep=False, **kwargs):
        from ftm.http import Browser
        return Browser('127.0.0.1', self.port, keep=keep, **kwargs)


FRONTS = {'nginx': nginx, 'apache': ApacheFront}
