"""Processes as a test sees them: everything comes from /proc."""

import ctypes
import errno
import os
import re
import time

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Daemons started by a test become its children when their parent exits, so it can wait for them and miss none."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl(PR_SET_CHILD_SUBREAPER)')


def time_scale():
    """Deadlines are multiplied by this; sanitizer presets set it."""
    return float(os.environ.get('FTM_TIME_SCALE', '1'))


# What a server does by itself may take this long on a machine that does other things at the same time. It is no
# measurement: who waits for something that must be quick holds up what else would bring it about.
PATIENCE = 60


def poll(condition, timeout=PATIENCE, what=None, interval=0.01):
    """Calls `condition` until it returns something true and returns that; AssertionError after `timeout` seconds."""
    timeout = max(timeout, PATIENCE)
    deadline = time.monotonic() + timeout * time_scale()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f'not within {timeout * time_scale():g} s: {text or condition}')
        time.sleep(interval)


class Stat:
    __slots__ = ('pid', 'state', 'ppid', 'pgrp', 'session', 'threads', 'start', 'utime', 'stime')

    def __init__(self, pid):
        with open(f'/proc/{pid}/stat', 'rb') as f:
            data = f.read()
        fields = data[data.rindex(b')') + 2:].split()
        self.pid = pid
        self.state = fields[0].decode()
        self.ppid, self.pgrp, self.session = (int(x) for x in fields[1:4])
        self.utime, self.stime = int(fields[11]), int(fields[12])
        self.threads = int(fields[17])
        self.start = int(fields[19])


def stat(pid):
    try:
        return Stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    s = stat(pid)
    return s is not None and s.state not in 'ZX'


def everyone():
    for name in os.listdir('/proc'):
        if name.isdigit():
            s = stat(int(name))
            if s is not None:
                yield s


def children(pid):
    return [s.pid for s in everyone() if s.ppid == pid and s.state not in 'ZX']


def descendants(pid):
    by_parent = {}
    for s in everyone():
        if s.state not in 'ZX':
            by_parent.setdefault(s.ppid, []).append(s.pid)
    result, todo = [], [pid]
    while todo:
        for child in by_parent.get(todo.pop(), []):
            result.append(child)
            todo.append(child)
    return result


def title(pid):
    """The process title as ps shows it."""
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return f.read().rstrip(b'\0 ').replace(b'\0', b' ').decode('utf-8', 'replace')
    except (FileNotFoundError, ProcessLookupError):
        return ''


def status_field(pid, name):
    """A line of /proc/PID/status; sizes in bytes, everything else as text."""
    try:
        with open(f'/proc/{pid}/status') as f:
            match = re.search(rf'^{name}:\s*(.*)$', f.read(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not match:
        return None
    value = match.group(1)
    return int(value[:-3]) * 1024 if value.endswith(' kB') else value


def private_memory(pid):
    """RssAnon in bytes: what the process has for itself, without the shared cache."""
    return status_field(pid, 'RssAnon') or 0


def descriptors(pid):
    """{number: what it is} of a process's open descriptors."""
    result = {}
    try:
        names = os.listdir(f'/proc/{pid}/fd')
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return result
        raise
    for name in names:
        try:
            result[int(name)] = os.readlink(f'/proc/{pid}/fd/{name}')
        except OSError:
            pass
    return result


def thread_count(pid):
    s = stat(pid)
    return s.threads if s else 0
