"""The package's unit, helpers and configuration with php-ftm in the place of its binary, and back."""

import os
import re
import signal
import stat
import subprocess
import threading
import time
import unittest

import package
from ftm import proc
from ftm.http import Browser
from ftm.proc import poll
from package import run, say
from site_walk import PAGES, Site, Visitors, www_data
from unit import Unit

NO_SOCKET = re.compile(r'connect\(\) to unix:\S+ failed')


class SwapTest(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.site = Site()

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        say(f'-- {self._testMethodName}')
        self.unit = Unit(package.NAME, say)
        self.addCleanup(self._as_it_was)
        run('systemd-tmpfiles', '--create', f'/usr/lib/tmpfiles.d/{package.NAME}.conf')

    def _as_it_was(self):
        if not self._outcome.success:
            self.logs = f'journal:\n{self.unit.journal}\n{package.LOG}:\n{package.log()[-4000:]}\nnginx:\n{self.site.error_log()[-2000:]}\n' + '\n'.join(package.titles())
        self.unit.kill()
        package.undivert()
        self.drop_in(None)
        for path in (package.EXTRA, package.LOG, *(f'{package.LOG}.{n}' for n in (1, 2))):
            if os.path.exists(path):
                os.unlink(path)

    def drop_in(self, text):
        """As `systemctl edit` stores it; None reverts."""
        path = self.unit.drop_in_folder() + '/override.conf'
        if text is None:
            if os.path.exists(path):
                os.unlink(path)
                say('systemctl revert')
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        for line in text.splitlines():
            say(f'  | {line}')

    def name_the_places(self):
        """On Debian 12 the binary's own places are those of another version: the environment names the package's."""
        if not package.same_version():
            self.drop_in(f'[Service]\nEnvironment=PHPRC={package.FOLDER} PHP_INI_SCAN_DIR={package.FOLDER}/conf.d\n')

    def start(self, ftm):
        self.unit.start()
        self.assertEqual(package.is_ftm(self.unit.main), ftm, 'the binary that was meant')
        self.assertIn(f'php-fpm: master process ({package.CONF})', self.unit.titles())
        mode = os.stat(package.SOCKET)
        self.assertEqual((stat.S_IMODE(mode.st_mode), mode.st_uid, mode.st_gid), (0o660, www_data().pw_uid, www_data().pw_gid))
        with open(package.PID_FILE) as file:
            self.assertEqual(file.read(), str(self.unit.main))

    def stop(self):
        self.unit.stop()
        self.assertFalse(os.path.exists(package.SOCKET), 'socket removed')
        self.assertFalse(os.path.exists(package.PID_FILE), 'pid file removed')
        self.assertEqual(package.titles(), [])

    def ready(self, count):
        """Waits until the log has said `count` times that it is ready."""
        poll(lambda: package.log().count('NOTICE: ready to handle connections') >= count, 15, lambda: f'{count} times ready in\n{package.log()}')

    def reload(self, count):
        self.unit.reload()
        self.ready(count)

    def unexpected(self, *allowed):
        return [line for line in package.log().splitlines() if re.search(r'\] (WARNING|ERROR|ALERT): ', line) and not any(re.search(a, line) for a in allowed)]

    def compare_walks(self, walk, reference):
        self.assertEqual(list(walk), list(reference))
        for step in reference:
            self.assertEqual(walk[step], reference[step], step)

    def check_facts(self, ours, theirs):
        """What PHP sees of the package's configuration."""
        for key in ('sapi', 'user', 'group', 'loaded', 'scanned', 'cwd', 'umask', 'opcache', 'temporary', 'zend'):
            self.assertEqual(ours[key], theirs[key], key)
        self.assertEqual(sorted({**ours['env'], **{k: '' for k in ('NOTIFY_SOCKET', 'INVOCATION_ID')}}), sorted({**theirs['env'], **{k: '' for k in ('NOTIFY_SOCKET', 'INVOCATION_ID')}}), 'environment')
        self.assertLessEqual({m.lower() for m in theirs['modules']}, {m.lower() for m in ours['modules']}, 'modules of conf.d')
        names = set(theirs['ini']) if package.same_version() else set(package.php_ini_assignments())
        self.assertGreater(len(names), 50)
        differs = {n: (theirs['ini'][n], ours['ini'].get(n)) for n in sorted(names) if n in theirs['ini'] and theirs['ini'][n] != ours['ini'].get(n)}
        # Another build of PHP, and docs/COMPATIBILITY.md: opcache restarts as a new generation.
        for name in ('extension_dir', 'zend.signal_check', 'opcache.force_restart_timeout'):
            differs.pop(name, None)
        self.assertEqual(differs, {})

    # the tests

    def test_a_stock_as_the_unit_says(self):
        """The baseline, and that unit.py is a fair systemd: nothing of php-ftm here."""
        self.start(ftm=False)
        self.assertEqual(self.site.walk()['front page'][0], 200)
        self.reload(2)
        self.assertEqual(self.site.walk()['front page again'][2], [])
        self.stop()
        self.assertEqual(package.unchanged(), '')

    def test_b_readme_recipe(self):
        """README, "Swap it for php-fpm": the lines as they stand there."""
        self.start(ftm=False)
        walk, facts = self.site.walk(), self.site.facts()
        self.stop()
        self.drop_in(package.readme_drop_in())
        self.start(ftm=True)
        self.compare_walks(self.site.walk(), walk)
        self.check_facts(self.site.facts(), facts)
        self.reload(3)
        self.compare_walks(self.site.walk(), walk)
        self.stop()
        self.drop_in(None)
        self.start(ftm=False)
        self.compare_walks(self.site.walk(), walk)
        self.stop()
        self.assertEqual(package.unchanged(), '')

    def test_c_diverted_binary(self):
        """The same unit, another file in /usr/sbin; also what administrators call by hand."""
        self.name_the_places()
        self.start(ftm=False)
        walk, facts = self.site.walk(), self.site.facts()
        self.stop()
        version = run(package.BINARY, '-v').stdout
        package.divert()
        ours = run(package.BINARY, '-v').stdout
        self.assertRegex(ours, r'^PHP \d+\.\d+\.\d+')
        self.assertEqual(ours.split()[0], version.split()[0])
        checked = run(package.BINARY, '-t', '--fpm-config', package.CONF)
        self.assertIn(f'configuration file {package.CONF} test is successful', checked.stderr)
        self.start(ftm=True)
        self.compare_walks(self.site.walk(), walk)
        self.check_facts(self.site.facts(), facts)
        self.stop()
        self.assertEqual(self.unexpected(), [], 'warnings')

    def test_d_package_upgrade_under_a_diversion(self):
        """The package is unpacked again while php-ftm runs in its place: php-ftm stays."""
        cache = os.environ.get('PHP_FTM_CACHE', '') + '/debs'
        version = run('dpkg-query', '-W', '-f', '${Version}', package.NAME).stdout.replace(':', '%3a')
        debs = [os.path.join(cache, p) for p in os.listdir(cache) if p.startswith(f'{package.NAME}_{version}_')]
        self.name_the_places()
        package.divert()
        self.start(ftm=True)
        with Visitors(self.site) as visitors:
            visitors.more()
            run('dpkg', '--install', debs[0], env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'})
            visitors.more()
        self.assertEqual(visitors.bad, [])
        self.assertTrue(package.is_ftm(self.unit.main))
        self.reload(2)
        self.assertTrue(package.is_ftm(self.unit.main), 'still php-ftm after the reload')
        self.stop()

    def test_e_reload_under_load(self):
        self.name_the_places()
        package.divert()
        self.start(ftm=True)
        main = self.unit.main
        with Visitors(self.site) as visitors:
            for count in range(2, 7):
                visitors.more()
                self.reload(count)
            visitors.more()
        say(f'{visitors.good} requests during 5 reloads, {len(visitors.bad)} failed')
        self.assertEqual(visitors.bad, [])
        self.assertEqual(self.unit.main, main)
        self.stop()

    def test_f_hangup_reloads_as_debian_patched_it(self):
        self.name_the_places()
        for ftm in (False, True):
            if ftm:
                package.divert()
            self.start(ftm)
            before = package.log().count('NOTICE: ready to handle connections')
            os.kill(self.unit.main, signal.SIGHUP)
            self.ready(before + 1)
            self.assertEqual(self.site.browser().get('/').status, 200)
            self.stop()

    def test_g_stock_becomes_ftm_and_stock_again_without_closing_its_socket(self):
        """The binary is replaced on disk while the service runs, then `systemctl reload`; nobody finds the socket gone."""
        self.name_the_places()
        self.start(ftm=False)
        main, inode = self.unit.main, os.stat(package.SOCKET).st_ino
        complaints = len(NO_SOCKET.findall(self.site.error_log()))
        with Visitors(self.site) as visitors:
            visitors.more()
            package.divert()
            self.reload(2)
            poll(lambda: package.is_ftm(main), 5, 'the new binary')
            self.assertIn(f'using inherited socket fd=', package.log())
            visitors.more()
            aborted = len(visitors.bad)
            flag = self.site.flag('slow')
            slow = subprocess.Popen(['/usr/bin/python3', '-c', 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())',
                                     f'http://127.0.0.1:8080/slow.php?s=3&flag={flag}'], stdout=subprocess.PIPE, text=True)
            poll(lambda: os.path.exists(flag), 5, 'the slow page runs')
            package.undivert()
            self.reload(3)
            poll(lambda: not package.is_ftm(main), 5, 'the old binary')
            visitors.more()
            self.assertEqual(slow.communicate(timeout=120)[0], 'slow 3\n', 'what ran in php-ftm ends well in spite of the swap back')
            poll(lambda: not any('pool host' in t for t in package.titles()), 15, lambda: f'hosts left: {package.titles()}')
            visitors.more()
        say(f'{visitors.good} requests, {len(visitors.bad)} failed: {aborted} when php-fpm reloaded into php-ftm, {len(visitors.bad) - aborted} when php-ftm reloaded into php-fpm')
        # php-fpm ends running requests when it reloads (process_control_timeout is 0); php-ftm does not.
        self.assertLessEqual(aborted, 4, visitors.bad)
        self.assertEqual(visitors.bad[aborted:], [])
        for line in package.log().splitlines():
            say('  log: ' + line)
        # A child of php-fpm ends when accept() finds nothing: a socket left non-blocking would end them all the time.
        ended = re.findall(r'child \d+ exited', package.log().rpartition('reloading: execvp')[2])
        self.assertEqual(ended, [])
        self.assertEqual(self.unit.main, main)
        self.assertEqual(os.stat(package.SOCKET).st_ino, inode, 'the very same socket')
        self.assertEqual(len(NO_SOCKET.findall(self.site.error_log())), complaints, 'nginx always found it')
        self.stop()

    def test_h_log_rotation(self):
        """logrotate with the package's file, whose helper finds the pid in the package's php-fpm.conf."""
        self.name_the_places()
        package.configure('[www]\ncatch_workers_output = yes\n')
        rotated = {}
        for ftm in (False, True):
            if ftm:
                package.divert()
            self.start(ftm)
            workers = {pid for pid in self.unit.processes()}
            self.assertEqual(self.site.browser().get('/complain.php?n=1').text, 'complained')
            poll(lambda: 'complaint 1' in package.log(), 5, lambda: package.log())
            run('logrotate', '--force', '--state', '/run/logrotate.state', f'/etc/logrotate.d/{package.NAME}')
            poll(lambda: 'error log file re-opened' in package.log(), 5, lambda: f'new log: {package.log()}')
            self.assertEqual(self.site.browser().get('/complain.php?n=2').text, 'complained')
            poll(lambda: 'complaint 2' in package.log(), 5, lambda: f'new log: {package.log()}')
            with open(package.LOG + '.1') as file:
                old = file.read()
            self.assertIn('complaint 1', old)
            self.assertNotIn('complaint 2', old)
            self.assertNotIn('complaint 1', package.log())
            self.assertEqual({pid for pid in self.unit.processes()} & workers, workers, 'nobody was restarted')
            poll(lambda: not any(package.LOG + '.1' in proc.descriptors(pid).values() for pid in self.unit.processes()), what='nobody has the old file')
            mode = os.stat(package.LOG)
            rotated[ftm] = (oct(mode.st_mode), mode.st_uid, mode.st_gid, re.sub(r'^\[.*?\] |pid \d+|child \d+', '', package.log(), flags=re.M))
            self.stop()
            for path in (package.LOG, package.LOG + '.1'):
                os.unlink(path)
        self.assertEqual(rotated[True], rotated[False])

    def test_i_stop_with_a_running_request(self):
        """systemd signals all processes at once: the master logs one stop, restarts nothing and leaves nothing."""
        self.name_the_places()
        results = {}
        for ftm in (False, True):
            if ftm:
                package.divert()
            self.start(ftm)
            flag = self.site.flag('stop')
            slow = subprocess.Popen(['/usr/bin/python3', '-c', 'import sys, urllib.request, urllib.error\ntry: print(urllib.request.urlopen(sys.argv[1]).status)\nexcept urllib.error.HTTPError as e: print(e.code)',
                                     f'http://127.0.0.1:8080/slow.php?s=30&flag={flag}'], stdout=subprocess.PIPE, text=True)
            poll(lambda: os.path.exists(flag), 5, 'the slow page runs')
            started = time.monotonic()
            self.stop()
            say(f'stopped in {time.monotonic() - started:.2f} s')
            results[ftm] = (slow.communicate(timeout=120)[0], re.sub(r'^\[.*?\] |pid \d+', '', package.log(), flags=re.M))
            self.assertTrue(any('STOPPING=1' in m for m in self.unit.messages) or not ftm, self.unit.messages)
            os.unlink(package.LOG)
        self.assertEqual(results[True][0], results[False][0])
        self.assertEqual(results[True][1].splitlines()[-2:], results[False][1].splitlines()[-2:])
        self.assertNotRegex(results[True][1], 'WARNING|ERROR|ALERT')

    def test_i_the_master_is_killed_and_systemd_starts_it_again(self):
        """Restart=on-failure of Debian 13's unit; the socket and the pid file of the dead one are no obstacle."""
        self.name_the_places()
        for ftm in (False, True):
            if ftm:
                package.divert()
            self.start(ftm)
            self.assertEqual(self.site.browser().get('/').status, 200)
            os.kill(self.unit.main, signal.SIGKILL)
            self.assertEqual(self.unit.main_process_died(), -signal.SIGKILL)
            self.start(ftm)
            self.assertEqual(self.site.browser().get('/').status, 200)
            self.stop()

    def test_j_socket_helper(self):
        """ExecStartPost registers /run/php/php-fpm.sock: READY must come after the socket is there."""
        self.name_the_places()
        package.divert()
        self.start(ftm=True)
        self.assertEqual(os.path.realpath('/run/php/php-fpm.sock'), package.SOCKET)
        self.assertTrue(stat.S_ISSOCK(os.stat('/run/php/php-fpm.sock').st_mode))
        self.stop()

    def test_k_status_text_for_systemctl(self):
        self.name_the_places()
        package.configure('[global]\nsystemd_interval = 1\n')
        seen = {}
        for ftm in (False, True):
            if ftm:
                package.divert()
            self.start(ftm)
            seen[ftm] = [re.sub(r'\d+(\.\d+)?', 'N', line) for line in self.unit.messages[0]]
            self.site.browser().get('/')
            poll(lambda: len(self.unit.messages) >= 2, 5, 'the next report, after a second')
            seen[ftm].append([re.sub(r'\d+(\.\d+)?', 'N', line) for line in self.unit.messages[-1]])
            self.stop()
        self.assertEqual(seen[True], seen[False])

    def test_l_init_script(self):
        """/etc/init.d of the package: start-stop-daemon, daemonised."""
        if package.same_version():
            environment = {}
        else:
            environment = {'PHPRC': package.FOLDER, 'PHP_INI_SCAN_DIR': package.FOLDER + '/conf.d'}
        script = f'/etc/init.d/{package.NAME}'
        package.divert()
        proc.become_subreaper()
        done = threading.Event()

        def init():
            while not done.wait(0.01):
                self.unit.reap()
        threading.Thread(target=init, daemon=True).start()
        environment['PATH'] = '/usr/sbin:/usr/bin:/sbin:/bin'

        def master():
            with open(package.PID_FILE) as file:
                return int(file.read())
        try:
            run(script, 'start', env=environment)
            self.assertTrue(package.is_ftm(master()))
            self.assertIn('is running', run(script, 'status', env=environment).stdout)
            self.assertEqual(self.site.walk()['front page'][0], 200)
            run(script, 'start', env=environment)
            self.assertEqual(len([t for t in package.titles() if 'master' in t]), 1, 'started twice, running once')
            before = master()
            run(script, 'reload', env=environment)
            self.ready(2)
            self.assertEqual(self.site.browser().get('/').status, 200)
            say(f'master {before}, after the reload {master()}')
            os.rename(package.LOG, package.LOG + '.1')
            run(script, 'reopen-logs', env=environment)
            poll(lambda: 're-opened' in package.log(), 5, 'a new log')
            run(script, 'stop', env=environment)
            self.assertEqual(package.titles(), [])
            self.assertFalse(os.path.exists(package.SOCKET))
            # A zombie that this test has not reaped yet counts as running there.
            poll(lambda: run(script, 'status', env=environment, check=False).returncode != 0, 5, 'the script says that it does not run')
        finally:
            done.set()
            for s in list(proc.everyone()):
                if proc.title(s.pid).startswith('php-fpm: '):
                    os.kill(s.pid, signal.SIGKILL)
            self.unit.reap()

    def test_m_apache_configuration_of_the_package(self):
        """conf-available of the package, enabled as its postinst suggests, in Debian's Apache."""
        run('a2enmod', '--quiet', 'proxy_fcgi', 'setenvif')
        run('a2enconf', '--quiet', package.NAME)
        for name, text in PAGES.items():
            with open('/var/www/html/' + name, 'w') as file:
                file.write(text)
        for name in ('source.phps', '.php'):
            with open('/var/www/html/' + name, 'w') as file:
                file.write('<?php echo "secret";')
        self.name_the_places()
        seen = {}
        apache = subprocess.Popen(['apache2ctl', '-D', 'FOREGROUND'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            for ftm in (False, True):
                if ftm:
                    package.divert()
                self.start(ftm)
                browser = Browser('127.0.0.1', 80)

                def ask(path, **headers):
                    try:
                        return browser.get(path, **headers)
                    except OSError:
                        return None
                poll(lambda: ask('/path.php'), 10, 'Apache answers')
                seen[ftm] = [(a.status, a.body) for a in (ask('/path.php'), ask('/path.php/extra?x=y'), ask('/form.php?a=b'), browser.post('/form.php', {'a': 'b'}), ask('/source.phps'), ask('/.php'),
                                                          ask('/none.php'), ask('/authorization.php', Authorization='Bearer token'))]
                self.stop()
        finally:
            os.killpg(apache.pid, signal.SIGTERM)
            apache.wait(120)
        self.assertEqual(seen[True], seen[False])
        self.assertEqual([status for status, _ in seen[True]], [200, 200, 200, 200, 403, 403, 404, 200])
        self.assertEqual(seen[True][-1][1], b'Bearer token')

    def test_z_swapped_back(self):
        """After all of it: Debian's binary, no diversion, no changed file."""
        self.assertFalse(package.diverted())
        self.assertEqual(package.unchanged(), '')
        self.start(ftm=False)
        self.assertEqual(self.site.walk()['front page'][0], 200)
        self.stop()
