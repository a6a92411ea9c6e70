"""Small libraries that a test has a server load, to bring about what the machine does not: tests/support/preload/*.c."""

import os
import shutil
import subprocess
import tempfile

from .case import sanitized
from .server import SUPPORT


def folder(test):
    """For files that any user may write; removed with the test."""
    path = tempfile.mkdtemp(prefix='ftm-preload-')
    test.addCleanup(shutil.rmtree, path, ignore_errors=True)
    os.chmod(path, 0o777)
    return path


def library(test, name):
    """Path of the built tests/support/preload/NAME.c; skips the test where there is no compiler."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        test.skipTest('no C compiler')
    path = os.path.join(folder(test), name + '.so')
    subprocess.run([compiler, '-shared', '-fPIC', '-o', path, os.path.join(SUPPORT, 'preload', name + '.c'), '-ldl'], check=True)
    os.chmod(path, 0o755)
    return path


def preload(test, name, **env):
    """Environment of a server with that library; skips the test where it cannot be."""
    if sanitized():
        test.skipTest('a sanitizer wants to be loaded first')
    return {'LD_PRELOAD': library(test, name), **{key: str(value) for key, value in env.items()}}
