"""Debian's phpX.Y-fpm as it is installed, and php-ftm in its place and back."""

import os
import re
import shlex
import subprocess
import time

from ftm import proc

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
VERSION = os.environ.get('FTM_DEBIAN_PHP', '8.4')
NAME = f'php{VERSION}-fpm'
BINARY = f'/usr/sbin/php-fpm{VERSION}'
FTM = os.path.realpath(os.environ.get('FTM_BINARY', os.path.join(PROJECT, 'build/release/php-ftm')))
FOLDER = f'/etc/php/{VERSION}/fpm'
CONF = FOLDER + '/php-fpm.conf'
SOCKET = f'/run/php/php{VERSION}-fpm.sock'
PID_FILE = f'/run/php/php{VERSION}-fpm.pid'
LOG = f'/var/log/php{VERSION}-fpm.log'

EXTRA = FOLDER + '/pool.d/zz-ftm.conf'

BEGAN = time.monotonic()


def say(text):
    """The transcript."""
    print(f'     {time.monotonic() - BEGAN:6.2f} {text}', flush=True)


def run(*command, check=True, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, **kwargs)
    say('$ ' + ' '.join(command) + (f': {done.returncode}' if done.returncode else ''))
    if check and done.returncode:
        raise AssertionError(f'{" ".join(command)}: {done.returncode}\n{done.stdout}{done.stderr}')
    return done


def configure(text):
    """One more file in pool.d, as an administrator adds it; the package's own stay as they are."""
    with open(EXTRA, 'w') as file:
        file.write(text)
    for line in text.splitlines():
        say(f'  {EXTRA} | {line}')


def same_version():
    """True where the machine's PHP is the one that php-ftm has (Debian 13)."""
    return run(FTM, '-n', '-v').stdout.startswith(f'PHP {VERSION}.')


def readme_commands(first):
    """The block of README.md that begins so, for this version, without its last line, the reload."""
    with open(os.path.join(PROJECT, 'README.md')) as file:
        block = re.search(rf'^    {first}.*\n(?:    .*\n)*', file.read(), re.M)
    if not block:
        raise AssertionError(f'README.md has no block that begins with `{first}`')
    *lines, reload = block.group(0).replace('/path/to/php-ftm', FTM).replace('php-fpm8.4', f'php-fpm{VERSION}').replace('php8.4-fpm', NAME).splitlines()
    if reload.strip() != f'systemctl reload {NAME}':
        raise AssertionError(f'README.md ends the block with {reload}')
    return [shlex.split(line) for line in lines]


def divert():
    """php-ftm in the place of the binary, as README.md says."""
    for command in readme_commands('dpkg-divert'):
        run(*command)


def diverted():
    return 'diversion of' in subprocess.run(['dpkg-divert', '--list', BINARY], capture_output=True, text=True).stdout


def undivert():
    if diverted():
        for command in readme_commands('rm '):
            run(*command)


def unchanged():
    """Whatever of the package is not as it was unpacked."""
    return run('dpkg', '--verify', NAME).stdout


def readme_drop_in():
    """The text that README.md lets one type into `systemctl edit phpX.Y-fpm`."""
    with open(os.path.join(PROJECT, 'README.md')) as file:
        text = file.read()
    block = re.search(rf'^    systemctl edit {re.escape(NAME)}\n((?:        .*\n)+)', text, re.M)
    if not block:
        raise AssertionError(f'README.md has no `systemctl edit {NAME}`')
    return re.sub(r'^ {8}', '', block.group(1), flags=re.M).replace('/path/to/php-ftm', FTM)


def php_ini_assignments():
    """{name: text} of what the package's php.ini sets."""
    with open(FOLDER + '/php.ini') as file:
        return dict(re.findall(r'^([\w.]+)[ \t]*=[ \t]*"?([^";\n]*?)"?[ \t]*$', file.read(), re.M))


def log():
    try:
        with open(LOG, errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def exe(pid):
    """The executable of a process, as a path; php-ftm's copy and Debian's own are told apart by their content's size."""
    return os.stat(f'/proc/{pid}/exe').st_size


def is_ftm(pid):
    return exe(pid) == os.stat(FTM).st_size


def titles():
    return sorted(t for t in (proc.title(s.pid) for s in proc.everyone() if s.state not in 'ZX') if t.startswith('php-fpm: '))
