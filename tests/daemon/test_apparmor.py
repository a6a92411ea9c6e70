"""apparmor_hat, with libapparmor replaced: this proves who asks for which profile and when, not what a kernel makes of it."""

import errno
import os
import pwd

from ftm.case import DaemonTest, Pool, is_ftm, root_only
from ftm.preload import folder, preload
from ftm.server import POOL_USER


class ApparmorHat(DaemonTest):
    def changes(self, path):
        try:
            with open(path) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    @root_only
    def test_whoever_runs_scripts_has_changed_its_profile_before(self):
        path = os.path.join(folder(self), 'changes')
        server = self.serve([Pool('www', children=3, settings={'apparmor_hat': 'hat'}), Pool('plain', children=3)], env=preload(self, 'apparmor', FAKE_APPARMOR=path))
        self.assertEqual(server.run('echo "served";').text, 'served')
        processes = len(server.workers())
        uid = pwd.getpwnam(POOL_USER).pw_uid
        # As the pool's user, and while there is one thread: those that it starts are under the same profile.
        self.poll(lambda: len(self.changes(path)) == processes)
        self.assertEqual(set(self.changes(path)), {f'confined//hat uid {uid} threads 1'})
        self.assertEqual(processes, 1 if is_ftm() else 3)

    def test_refused(self):
        path = os.path.join(folder(self), 'changes')
        server = self.serve([Pool(settings=[('apparmor_hat', 'hat')])], start=False, env=preload(self, 'apparmor', FAKE_APPARMOR=path, FAKE_APPARMOR_ERROR=errno.EACCES))
        self.fails(server, r'ERROR: \[pool www\] failed to change to new confinement \(confined//hat\)\. Please check if "/proc/\*/attr/current" is read and writeable and '
                           r'"change_profile -> confined//\*" is allowed\.: Permission denied \(13\)')

    def test_kernel_without_it(self):
        if os.path.exists('/sys/module/apparmor'):
            self.skipTest('this kernel has AppArmor')
        server = self.serve([Pool(settings=[('apparmor_hat', 'hat')])], start=False)
        self.fails(server, r'ERROR: \[pool www\] failed to query apparmor confinement\. Please check if "/proc/\*/attr/current" is read and writeable\.: .* \(\d+\)')

    def fails(self, server, line):
        server.pool().settings += [('catch_workers_output', 'yes')] if not is_ftm() else []
        server.write_conf()
        server.expect_log('confinement', 'failed to initialize')
        server.start(wait=False)
        server.wait_for(line, 10)
        server.wait_for(r'ERROR: \[pool www\] child failed to initialize', 10)
        server.wait_for(r'child \d+ exited with code 70 ', 10)
