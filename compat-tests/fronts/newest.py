"""The web servers of Debian's newest suite, unpacked into the cache with the libraries they need, run by chroot.

fetch() is for the machine, the rest for the copy of it (tests/support/in-copy): there the unpacked packages get /tmp, the
devices and the users of the copy, and nothing of that is written to the cache.
"""

import functools
import os
import shutil
import subprocess

import debian
from ftm.server import PROJECT

SUITES = ['sid', 'forky']
PACKAGES = ['nginx', 'apache2-bin', 'lighttpd', 'lighttpd-mod-openssl', 'haproxy', 'caddy', 'curl', 'base-files', 'media-types']
# What only the scripts of installation need.
KEPT = r'(?!libperl|libpam|libsystemd-shared|systemd|debconf|perl|passwd|base-passwd|adduser|login|procps|mount|init-system).*'


def fetch():
    """What the copy must know, as environment variables."""
    try:
        root, suite, versions = debian.unpack('fronts', PACKAGES, KEPT, SUITES, to_run=True)
        return {'FTM_NEWEST': root, 'FTM_NEWEST_SUITE': suite, **module(suite, versions['nginx'])}
    except debian.Unavailable as problem:
        return {'FTM_NEWEST_MISSING': f'the newest servers cannot be had: {problem}'}


def module(suite, version):
    """nginx's module that relays 103 over FastCGI, built for the unpacked nginx, which may be a day older than the archive's."""
    build = os.path.join(PROJECT, 'packaging/nginx-module/build')
    if not os.path.exists(build):
        return {'FTM_NGINX_MODULE_MISSING': 'there is no packaging/nginx-module'}
    done = subprocess.run([build, '--suite', suite, '--version', version], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        return {'FTM_NGINX_MODULE_MISSING': ' '.join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])}
    return {'FTM_NGINX_MODULE': os.path.realpath(os.path.join(PROJECT, 'build/nginx-module/ngx_http_ftm_early_hints_module.so'))}


def missing():
    return None if os.environ.get('FTM_NEWEST') else os.environ.get('FTM_NEWEST_MISSING', 'run this through compat-tests/fronts/run')


@functools.cache
def mounted(lower, at):
    """`lower`, with the copy's /tmp, /dev, /proc and users, at a directory below /run, which is in memory."""
    upper, work = at + '.up', at + '.work'
    for path in (at, upper, work, f'{upper}/etc'):
        os.makedirs(path, exist_ok=True)
    for name in ('passwd', 'group', 'hosts', 'resolv.conf', 'nsswitch.conf', 'mime.types'):
        if os.path.exists(f'/etc/{name}'):
            shutil.copy(f'/etc/{name}', f'{upper}/etc/{name}')
    subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir={lower},upperdir={upper},workdir={work}', at], check=True)
    for part in ('/tmp', '/dev', '/proc'):
        os.makedirs(at + part, exist_ok=True)
        subprocess.run(['mount', '--rbind', part, at + part], check=True)
    return at


def root():
    return mounted(os.environ['FTM_NEWEST'], '/run/ftm-newest')


def program(name):
    """The command that runs a program of it; None if it has none."""
    if missing():
        return None
    for folder in ('/usr/sbin', '/usr/bin'):
        if os.path.exists(root() + folder + '/' + name):
            return ['chroot', root(), f'{folder}/{name}']
    return None
