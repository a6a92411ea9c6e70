"""Small libraries that a test preloads into a server, to bring about what the machine does not: tests/support/preload/*.c."""

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


def preload(test, name, **env):
    """Environment of a server with that library; skips the test where it cannot be."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None or sanitized():
        test.skipTest('no C compiler, or a sanitizer that wants to be loaded first')
    library = os.path.join(folder(test), name + '.so')
    subprocess.run([compiler, '-shared', '-fPIC', '-o', library, os.path.join(SUPPORT, 'preload', name + '.c'), '-ldl'], check=True)
    os.chmod(library, 0o755)
    return {'LD_PRELOAD': library, **{key: str(value) for key, value in env.items()}}
