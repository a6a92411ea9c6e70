"""What the `run` of an application does: fetch its packages, go into a copy of the machine that has both web servers, test."""

import argparse
import os
import shutil
import subprocess
import sys

import vendor
from ftm import beside, runner
from ftm.server import PROJECT


def main(folder, doc, packages, options=()):
    """`options`: further ones that name a folder, pairs of a name and its help; $FTM_APP_NAME is a copy of it for the tests."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--binary', default=os.environ.get('FTM_BINARY') or os.path.join(PROJECT, 'build/release/php-ftm'))
    parser.add_argument('--requests', default=os.environ.get('FTM_APP_REQUESTS', '5000'), help='how many the 50 users send in all (5000)')
    for name, text in options:
        parser.add_argument('--' + name, metavar='PATH', default=os.environ.get('FTM_APP_' + name.upper(), ''), help=text)
    parser.add_argument('--list', action='store_true')
    parser.add_argument('patterns', nargs='*')
    given = parser.parse_args()
    if given.list or os.environ.get('FTM_IN_COPY'):
        return runner.main([folder], given.patterns, given.list)
    try:
        code, described = vendor.assembled(os.path.basename(folder), packages)
    except vendor.debian.Unavailable as problem:
        print(f'{packages[0]} cannot be had: {problem}')
        return 1
    print(described, flush=True)
    env = {'FTM_BINARY': os.path.abspath(given.binary), 'FTM_APP_REQUESTS': given.requests, 'FTM_APP_CODE': code}
    for name, _ in options:
        env['FTM_APP_' + name.upper()] = visible(name, getattr(given, name))
    os.environ.update(env)
    command = [sys.argv[0], *given.patterns]
    return beside.in_copy(['nginx', 'apache2'], command, env, without_copy=lambda: here(command))


def visible(name, path):
    """A copy of a folder where the copy of the machine sees it: in the cache."""
    if not path:
        return ''
    target = os.path.join(vendor.debian.CACHE, 'apps/given', name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(path, target, symlinks=True)
    return target


def here(command):
    """Where no copy of the machine can be made there is no Apache, and those tests are skipped."""
    done = subprocess.run([os.path.join(PROJECT, 'tests/support/need'), 'for an application behind nginx', 'nginx'])
    return done.returncode or subprocess.run([os.path.abspath(command[0]), *command[1:]], env={**os.environ, 'FTM_IN_COPY': '1'}).returncode
