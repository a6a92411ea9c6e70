"""What compat-tests that run in a copy of the machine share: options, the copy, both servers side by side."""

import argparse
import os
import sys

from .server import PROJECT, Binary, Server

SKIPPED = '0 passed, 0 failed, 1 skipped'


def main(folder, doc, packages, fetch=dict):
    """Runs the folder's test_*.py inside a copy of the machine that has the packages; returns the exit code.  `fetch` is called
    before, on the machine with its network, and returns further environment variables."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--stock', default=os.environ.get('FTM_STOCK') or os.path.join(PROJECT, 'build/stock/sbin/php-fpm'))
    parser.add_argument('--binary', default=os.environ.get('FTM_BINARY') or os.path.join(PROJECT, 'build/release/php-ftm'))
    parser.add_argument('--list', action='store_true')
    parser.add_argument('patterns', nargs='*')
    options = parser.parse_args()
    os.environ['FTM_BINARY'], os.environ['FTM_STOCK'] = os.path.abspath(options.binary), os.path.abspath(options.stock)
    if not options.list and not os.environ.get('FTM_IN_COPY'):
        return in_copy(packages, sys.argv, fetch())
    from . import runner
    return runner.main([folder], options.patterns, options.list)


def in_copy(packages, command, env=(), without_copy=None):
    """Runs the command inside a copy of the machine; without_copy() where none can be made, else that is a skip."""
    names = {**{n: os.environ[n] for n in ('FTM_BINARY', 'FTM_STOCK', 'FTM_KEEP', 'FTM_TIME_SCALE') if n in os.environ}, **dict(env)}
    helper = os.path.join(PROJECT, 'tests/support/in-copy')
    sys.stdout.flush()
    code = os.spawnv(os.P_WAIT, helper, [helper, *packages, '--', 'env', *(f'{k}={v}' for k, v in names.items()), os.path.abspath(command[0]), *command[1:]])
    if code == 75 and without_copy:
        return without_copy()
    if code == 75:
        print(f'skip: no copy of this machine can be made\n{SKIPPED}')
        return 0
    return code


def servers(pools, **kwargs):
    """Stock php-fpm and php-ftm, started, of the same configuration; `pools` makes new ones at each call."""
    both = {}
    try:
        for name, path in (('php-fpm', os.environ['FTM_STOCK']), ('php-ftm', os.environ['FTM_BINARY'])):
            both[name] = Server(pools(), binary=Binary(path), **kwargs).start()
    except BaseException:
        for server in both.values():
            server.kill_all()
        raise
    return both
