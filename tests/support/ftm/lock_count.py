"""How often a server takes locks and wakes threads, counted by a preloaded library (tests/support/preload/count-locks.c)."""

import os
import struct

from .preload import folder, preload

NAMES = ('mutex', 'rwlock', 'spin lock', 'condition wake', 'semaphore post', 'futex wake', 'eventfd write')


class LockCount:
    """`env` is the environment of the server that is counted."""

    def __init__(self, test):
        self.path = os.path.join(folder(test), 'counters')
        with open(self.path, 'wb') as file:
            file.write(bytes(8 * len(NAMES)))
        os.chmod(self.path, 0o666)
        self.env = preload(test, 'count-locks', COUNT_FILE=self.path)

    def read(self):
        with open(self.path, 'rb') as file:
            return dict(zip(NAMES, struct.unpack(f'{len(NAMES)}Q', file.read()), strict=True))

    def during(self, action):
        """{name: how many more} of all processes of the server."""
        before = self.read()
        action()
        after = self.read()
        return {name: after[name] - before[name] for name in NAMES}
