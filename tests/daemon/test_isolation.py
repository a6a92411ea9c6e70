"""Two pools started by root with two users cannot read each other's files, sockets, memory or opcode cache."""

import os
import pwd
import unittest

from ftm import proc
from ftm.case import IS_ROOT, DaemonTest, Pool, ftm_only, needs_module
from ftm.server import user_exists

FIRST, SECOND = 'www-data', 'nobody'


@unittest.skipUnless(IS_ROOT and user_exists(FIRST), 'needs root and the user www-data')
class TwoUsers(DaemonTest):
    def setUp(self):
        group = 'nogroup'
        self.server = self.serve([
            Pool('first', user=FIRST, settings={'listen.owner': FIRST, 'listen.group': FIRST, 'listen.mode': '0600', 'env[SECRET]': 'of-first', 'php_value[user_agent]': 'first', 'php_admin_value[docref_root]': '/first/'}),
            Pool('second', user=SECOND, group=group, settings={'listen.owner': SECOND, 'listen.group': group, 'listen.mode': '0600', 'env[SECRET]': 'of-second'}),
        ], modules=['opcache', *(['posix'] if self.posix() else [])], start=False)
        self.private = {}
        for name, user in (('first', FIRST), ('second', SECOND)):
            path = self.server.file(f'{name}/secret.php', f'<?php return "secret of {name}";', 0o600)
            folder = os.path.dirname(path)
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            os.chmod(folder, 0o700)
            self.private[name] = path
            page = os.path.join(folder, 'page.php')
            with open(page, 'w') as f:
                f.write('<?php echo include __DIR__ . "/secret.php";')
            os.chown(page, entry.pw_uid, entry.pw_gid)
        self.server.start()

    def posix(self):
        from ftm.server import binary
        return binary().has('posix')

    def test_each_runs_as_its_user(self):
        for name, user in (('first', FIRST), ('second', SECOND)):
            pids = self.poll(lambda: self.server.workers(name))
            entry = pwd.getpwnam(user)
            for pid in pids:
                self.assertEqual(proc.status_field(pid, 'Uid').split(), [str(entry.pw_uid)] * 4)
                self.assertNotIn('0', proc.status_field(pid, 'Gid').split())
                self.assertNotIn('0', (proc.status_field(pid, 'Groups') or '').split())
            script = self.server.script('who.php', '<?php echo getenv("USER"), " ", getenv("HOME"), " ", getenv("SECRET");')
            self.assertBody(self.server.get(script, pool=name), f'{user} {entry.pw_dir} of-{name}')

    def test_environments_and_ini_stay_apart(self):
        script = self.server.script('ini.php', '<?php echo ini_get("user_agent"), "|", getenv("SECRET"), "|", $_SERVER["SECRET"];')
        self.assertBody(self.server.get(script, pool='first'), 'first|of-first|of-first')
        self.assertBody(self.server.get(script, pool='second'), '|of-second|of-second')

    @ftm_only('the optimizer writes php_admin_values into the opcode cache that all pools of php-fpm share')
    def test_admin_values_stay_apart(self):
        script = self.server.script('admin.php', '<?php echo ini_get("docref_root"), ".";')
        self.assertBody(self.server.get(script, pool='first'), '/first/.')
        self.assertBody(self.server.get(script, pool='second'), '.')

    def test_files(self):
        read = self.server.script('read.php', '<?php $x = @file_get_contents($_GET["f"]); echo $x === false ? "denied" : $x;')
        for mine, other in (('first', 'second'), ('second', 'first')):
            self.assertBody(self.server.get(os.path.join(self.server.docroot, mine, 'page.php'), pool=mine), f'secret of {mine}')
            self.assertBody(self.server.get(read, query='f=' + self.private[other], pool=mine), 'denied')
            self.assertBody(self.server.get(read, query='f=' + self.private[mine], pool=mine), f'<?php return "secret of {mine}";')
            self.assertIn(self.server.get(os.path.join(self.server.docroot, other, 'page.php'), pool=mine).status, (403, 404))

    def test_sockets(self):
        connect = self.server.script('connect.php', '<?php echo @stream_socket_client("unix://" . $_GET["s"], $no, $text) ? "connected" : $text;')
        for mine, other in (('first', 'second'), ('second', 'first')):
            self.assertBody(self.server.get(connect, query='s=' + self.server.pool(mine).address, pool=mine), 'connected')
            self.assertBody(self.server.get(connect, query='s=' + self.server.pool(other).address, pool=mine), 'Permission denied')
        for name, user in (('first', FIRST), ('second', SECOND)):
            status = os.stat(self.server.pool(name).address)
            self.assertEqual((status.st_mode & 0o777, status.st_uid), (0o600, pwd.getpwnam(user).pw_uid))

    def test_cannot_signal_or_trace_each_other_or_the_master(self):
        if not self.posix():
            self.skipTest('no posix extension')
        script = self.server.script('signal.php', '<?php echo posix_kill((int) $_GET["pid"], 0) ? "may" : "may not", " ", @file_get_contents("/proc/$_GET[pid]/environ") === false ? "denied" : "read",'
                                    ' " ", @file_get_contents("/proc/$_GET[pid]/maps") ? "read" : "denied";')
        for mine, other in (('first', 'second'), ('second', 'first')):
            for pid in [*self.poll(lambda: self.server.workers(other)), *self.server.hosts(other), self.server.pid]:
                self.assertBody(self.server.get(script, query=f'pid={pid}', pool=mine), 'may not denied denied')

    def test_descriptors_of_the_other_pool_are_not_inherited(self):
        for mine, other in (('first', 'second'), ('second', 'first')):
            inodes = set()
            with open('/proc/net/unix') as f:
                for line in f:
                    if line.rstrip().endswith(self.server.pool(other).address):
                        inodes.add(line.split()[6])
            self.assertTrue(inodes)
            for pid in self.poll(lambda: self.server.workers(mine)):
                held = {t[8:-1] for t in proc.descriptors(pid).values() if t.startswith('socket:[')}
                self.assertFalse(held & inodes, f'{pid} of {mine} holds the listener of {other}')

    @needs_module('opcache')
    @ftm_only('php-fpm shares one opcode cache between its pools')
    def test_opcode_caches_are_apart(self):
        status = self.server.script('status.php', '<?php echo json_encode(array_keys(opcache_get_status()["scripts"] ?? []));')
        for name in ('first', 'second'):
            self.assertBody(self.server.get(os.path.join(self.server.docroot, name, 'page.php'), pool=name), f'secret of {name}')
        for mine, other in (('first', 'second'), ('second', 'first')):
            text = self.server.get(status, pool=mine).text.replace('\\/', '/')
            self.assertIn(self.private[mine], text)
            self.assertNotIn(self.private[other], text)
        script = self.server.script('compile.php', '<?php echo @opcache_is_script_cached($_GET["f"]) ? "cached" : "not cached";')
        self.assertBody(self.server.get(script, query='f=' + self.private['second'], pool='first'), 'not cached')
