"""A MariaDB server of one's own: a data folder anywhere, a Unix socket, no network."""

import os
import pwd
import shutil
import subprocess
import time

TOOLS = ['/usr/sbin', '/usr/bin', '/usr/libexec', '/usr/local/sbin', '/usr/local/bin']


def tool(*names):
    for name in names:
        for folder in TOOLS:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                return path
    raise FileNotFoundError(names[0] + ' is not installed (package mariadb-server-core)')


def owner():
    """Root may not run it; then it is mysql, or whoever runs the pools where only the program is installed."""
    if os.geteuid() != 0:
        return None
    for name in ('mysql', os.environ.get('FTM_POOL_USER', 'www-data'), 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError('no user to run MariaDB as')


class MariaDb:
    OPTIONS = ['--no-defaults', '--skip-networking', '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=16M', '--innodb-flush-log-at-trx-commit=0',
               '--innodb-doublewrite=0', '--skip-log-bin', '--performance-schema=OFF', '--character-set-server=utf8mb4', '--collation-server=utf8mb4_unicode_ci']

    def __init__(self, data, socket):
        self.data, self.socket = data, socket       # the socket's folder is made, and its own: the server must write there
        self.process = None
        self.log = data + '.log'

    def create(self):
        """A new, empty data folder with a user for this test."""
        user = owner()
        os.makedirs(self.data, exist_ok=True)
        if user:
            os.chown(self.data, user.pw_uid, user.pw_gid)
        done = subprocess.run([tool('mariadb-install-db', 'mysql_install_db'), '--no-defaults', '--datadir=' + self.data, '--skip-test-db', '--auth-root-authentication-method=socket',
                               '--innodb-log-file-size=16M', *(['--user=' + user.pw_name] if user else [])], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError('mariadb-install-db: ' + done.stdout[-1000:] + done.stderr[-1000:])
        return self

    def restore(self, template):
        """The data folder becomes a copy of another one whose server is stopped."""
        shutil.rmtree(self.data, ignore_errors=True)
        subprocess.run(['cp', '-a', '--reflink=auto', '--sparse=always', template, self.data], check=True)
        return self

    def start(self, init=''):
        folder = os.path.dirname(self.socket)
        os.makedirs(folder, exist_ok=True)
        if owner():
            os.chown(folder, owner().pw_uid, owner().pw_gid)
        arguments = [tool('mariadbd', 'mysqld'), *self.OPTIONS, '--datadir=' + self.data, '--socket=' + self.socket, '--pid-file=' + self.socket + '.pid']
        if owner():
            arguments.append('--user=' + owner().pw_name)
        if init:
            path = self.data + '.sql'
            with open(path, 'w') as f:
                f.write(init)
            os.chmod(path, 0o644)
            arguments.append('--init-file=' + path)
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            with open(self.log, errors='replace') as f:
                text = f.read()
            if self.process.poll() is not None:
                raise RuntimeError('mariadbd ended: ' + text[-2000:])
            if 'ready for connections' in text and os.path.exists(self.socket):
                return self
            time.sleep(0.05)
        self.stop()
        raise RuntimeError('mariadbd is not ready: ' + text[-2000:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(300)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None
        if os.path.exists(self.log):
            os.unlink(self.log)

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        self.stop()
