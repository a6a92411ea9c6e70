"""unittest.TestCase with a server and the marks that say where a test can run."""

import os
import unittest

from . import server as server_module
from .proc import PATIENCE, poll
from .server import Pool, Server, binary

IS_ROOT = os.geteuid() == 0


def is_ftm():
    return bool(os.environ.get('FTM_BINARY')) and binary().is_ftm


def sanitized():
    return bool(os.environ.get('FTM_SANITIZER'))


def sanitizer_threads():
    """ThreadSanitizer has a thread of its own in the processes it watches."""
    return 1 if os.environ.get('FTM_SANITIZER') == 'tsan' else 0


def signals_reach_loops(test):
    """ThreadSanitizer holds a signal back until the thread makes a system call: a loop in PHP never sees it."""
    return unittest.skipIf(os.environ.get('FTM_SANITIZER') == 'tsan', 'no signal reaches a loop under ThreadSanitizer')(test)


def ftm_only(reason):
    """Stock php-fpm behaves differently, by design of one of the two; the reason is shown when it is skipped."""
    def mark(test):
        return unittest.skipUnless(is_ftm(), f'php-ftm only: {reason}')(test)
    return mark


def stock_only(reason):
    def mark(test):
        return unittest.skipIf(is_ftm(), f'stock php-fpm only: {reason}')(test)
    return mark


def root_only(test):
    return unittest.skipUnless(IS_ROOT, 'needs root')(test)


def needs_module(*names):
    """Skips where the module is neither compiled in nor loadable (Debian's own php-fpm without the package)."""
    def mark(test):
        missing = [n for n in names if os.environ.get('FTM_BINARY') and not binary().has(n)]
        return unittest.skipIf(missing, 'module missing: ' + ', '.join(missing))(test)
    return mark


def time_limit(seconds):
    """A longer limit than the runner's for one test, before FTM_TIME_SCALE."""
    def mark(test):
        test.time_limit = seconds
        return test
    return mark


class DaemonTest(unittest.TestCase):
    """`self.serve(...)` starts a server that is stopped and checked when the test ends."""

    maxDiff = 4000

    def serve(self, pools=None, start=True, **kwargs):
        server = Server(pools=pools, **kwargs)
        if server.is_ftm:
            # Longer than any test waits: an engine that is to have ended has not just run out of its time.
            for pool in server.pools:
                if 'pm.drain_timeout' not in dict(pool.settings):
                    pool.settings.append(('pm.drain_timeout', '600s'))
        self.addCleanup(self._finish, server)
        server.prepare()
        return server.start() if start else server

    def _finish(self, server):
        failed = self._failed()
        if failed:
            tail = server.tail() if server.process is not None and server.own_root else ''
            try:
                server.stop(check=False)
            finally:
                self._attach(tail or server.tail())
        else:
            server.stop()

    def _failed(self):
        return not getattr(self._outcome, 'success', True)

    def _attach(self, text):
        self.logs = getattr(self, 'logs', '') + text

    def poll(self, condition, timeout=PATIENCE, what=None, interval=0.01):
        return poll(condition, timeout, what, interval)

    def assertBody(self, response, expected):
        self.assertEqual(response.text, expected, repr(response))

    def pool(self, *args, **kwargs):
        return Pool(*args, **kwargs)


__all__ = ['DaemonTest', 'Pool', 'Server', 'ftm_only', 'stock_only', 'root_only', 'needs_module', 'time_limit', 'is_ftm', 'sanitized', 'sanitizer_threads', 'signals_reach_loops',
           'IS_ROOT', 'server_module']
