"""What a user types first: the quickstart, and the progress that its scripts show."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from ftm import proc
from ftm.case import DaemonTest, ftm_only, sanitized
from ftm.server import PROJECT, binary, free_port


@ftm_only('the quickstart is of this project')
@unittest.skipIf(sanitized(), 'no concern of sanitizers')
@unittest.skipUnless(shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin') and shutil.which('curl'), 'needs nginx and curl')
class Quickstart(DaemonTest):
    """In a copy of packaging/, so that what it writes and stops is not a quickstart of the person who tests."""

    def setUp(self):
        proc.become_subreaper()             # and reap nothing for now, like the first process of some containers
        self.addCleanup(self.reap)
        self.root = tempfile.mkdtemp(prefix='ftm-quickstart-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.root, True)
        os.chmod(self.root, 0o755)
        shutil.copytree(os.path.join(PROJECT, 'packaging'), os.path.join(self.root, 'packaging'))
        self.port = free_port()
        self.addCleanup(self.quickstart, 'stop')

    def quickstart(self, *arguments, port=None):
        env = {**os.environ, 'PHP_FTM_PORT': str(port or self.port), 'PHP_FTM_BINARY': binary().path,
               'PHP_FTM_CACHE': os.path.join(self.root, 'cache')}
        return subprocess.run([os.path.join(self.root, 'packaging', 'quickstart'), *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=env, timeout=600 * proc.time_scale())

    def reap(self):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def processes(self):
        """Those whose command line names our directory: nginx and php-ftm."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', errors='replace') as f:
                    if os.path.join(self.root, 'build') in f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def page(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f'http://127.0.0.1:{self.port}/', timeout=20) as answer:
            return answer.read().decode()

    def test_start_again_and_stop(self):
        first = self.quickstart()
        self.assertEqual(first.returncode, 0, first.stdout + first.stderr)
        self.assertIn('the demo page answers a request, a form and an upload', first.stdout)
        self.assertIn(f'http://127.0.0.1:{self.port}/', first.stdout)
        self.assertIn('<td>fpm-fcgi</td>', self.page())
        before = set(self.processes())
        again = self.quickstart()
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn('stopped what an earlier run had started', again.stdout)
        self.assertIn('<td>fpm-fcgi</td>', self.page())
        self.poll(lambda: not before & set(self.processes()), what='the first ones are gone')
        for words in ('stopped', 'nothing was running'):
            result = self.quickstart('stop')
            self.assertEqual((result.returncode, result.stdout.split('] ')[-1].strip()), (0, words), result.stderr)
            self.poll(lambda: not self.processes(), 10, 'nothing is left')

    def test_port_in_use_is_one_line(self):
        with socket.create_server(('127.0.0.1', self.port)):
            result = self.quickstart()
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, rf'\A[^\n]*port {self.port} on 127\.0\.0\.1 is in use[^\n]*\n\Z')
        self.poll(lambda: not self.processes(), what='nothing is left')

    def test_wrong_port_is_one_line(self):
        for port in ('abc', '0', '70000'):
            result = self.quickstart(port=port)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)


@ftm_only('the scripts are of this project')
class Steps(DaemonTest):
    """`step` of packaging/lib.sh, which shows elapsed time while something long runs."""

    def script(self, line):
        path = os.path.join(tempfile.mkdtemp(prefix='ftm-step-', dir='/tmp'), 'script')
        self.addCleanup(shutil.rmtree, os.path.dirname(path), True)
        with open(path, 'w') as f:
            f.write(f'#!/bin/bash\nset -euo pipefail\nsource {PROJECT}/packaging/lib.sh\n{line}\n')
        os.chmod(path, 0o755)
        return path

    def without_package(self, said):
        """The one line of a script that needs a package, where apt-get update says this and ends well."""
        script = self.script('need_packages "for a test" no-such-package')
        place = os.path.dirname(script)
        for name, text in (('apt-get', f'echo "{said}"'), ('apt-cache', 'exit 1'), ('sudo', 'exec "$@"')):
            with open(os.path.join(place, name), 'w') as f:
                f.write(f'#!/bin/sh\n{text}\n')
            os.chmod(f.name, 0o755)
        result = subprocess.run([script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
                                env={**os.environ, 'PATH': place + ':' + os.environ['PATH'], 'PHP_FTM_CACHE': place})
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)
        return result.stderr

    def test_missing_package_source_is_one_line(self):
        self.assertIn('no package source of this machine offers no-such-package', self.without_package('Hit:1 a mirror'))
        self.assertIn('the package sources cannot be reached', self.without_package(
            "W: Failed to fetch http://mirror/InRelease  Temporary failure resolving 'mirror'"))

    def read(self, terminal, until, timeout=60):
        text, end = '', time.monotonic() + timeout * proc.time_scale()
        while not re.search(until, text):
            left = end - time.monotonic()
            self.assertGreater(left, 0, f'{until!r} in {text!r}')
            if select.select([terminal], [], [], left)[0]:
                text += os.read(terminal, 4096).decode('utf-8', 'replace')
        return text

    def test_interrupted_step_goes_quiet(self):
        script = self.script('step "a long step" "${0%/*}/log" sleep 100')
        pid, terminal = pty.fork()
        if pid == 0:
            # Whoever runs the tests in the background may ignore them, and no shell changes that.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.execv('/bin/bash', ['bash', '--norc', '--noediting', '-i'])
        try:
            os.write(terminal, f'PS1=; {script}; echo st""opped\n'.encode())
            self.read(terminal, r'… \d+ s')
            os.write(terminal, b'\x03')
            self.read(terminal, r'\^C')
            os.write(terminal, b"\necho st''opped\n")
            self.read(terminal, r'stopped\r')
            self.poll(lambda: not self.runs(script), 10, 'no part of the script runs on')
        finally:
            for other in self.runs(script):
                os.kill(other, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)

    def runs(self, script):
        return [int(pid) for pid in filter(str.isdigit, os.listdir('/proc')) if script in self.command_line(pid)]

    def command_line(self, pid):
        try:
            with open(f'/proc/{pid}/cmdline', errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    def test_reader_of_the_output_does_not_wait_for_a_pause(self):
        script = self.script('step "a short step" "${0%/*}/log" true')
        began = time.monotonic()
        result = subprocess.run([script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        self.assertIn('a short step', result.stdout)
        self.assertLess(time.monotonic() - began, 15 * proc.time_scale(), 'it pauses for 30 s')
