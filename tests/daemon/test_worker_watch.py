"""worker.watch: changed files start a new generation, once however many they are."""

import json
import os
import shutil
import signal
import subprocess

from ftm.server import SUPPORT
from ftm.worker import LOOP, WorkerTest

FEW_WATCHES = os.path.join(SUPPORT, 'few-inotify-watches')


class Watch(WorkerTest):
    def watched(self, patterns=('{app}/**.php',), **kwargs):
        """The worker includes app/code.php at boot."""
        kwargs.setdefault('modules', ['opcache'])
        kwargs.setdefault('ini', {'opcache.validate_timestamps': '0', 'display_errors': '0'})
        root = kwargs.pop('root_files', {})
        source = LOOP % {'boot': 'include __DIR__ . "/app/code.php";', 'callback': 'echo code(), " ", $booted;', 'after': '', 'end': ''}
        self.files = {'app/code.php': self.code('one'), **root}
        return self.worker(source=source, settings=[('pm.status_path', '/status'), *(('worker.watch[]', f'"{p}"') for p in patterns)], **kwargs)

    def worker(self, settings=(), source=None, **kwargs):
        # the files have to be there before the server starts
        serve = self.serve

        def with_files(*args, **options):
            server = serve(*args, **options)
            self.app = os.path.join(server.docroot, 'app')
            for name, text in self.files.items():
                server.file(name, text)
            return server
        self.serve = with_files
        try:
            return super().worker(settings=[(k, _Late(self, v)) for k, v in settings], source=source, **kwargs)
        finally:
            self.serve = serve

    def code(self, text):
        return f'<?php function code() {{ return "{text}"; }}'

    def put(self, server, name, text):
        """The file changes in one instant: written somewhere else and moved to its place."""
        path = os.path.join(server.docroot, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(server.tmp, 'put'), 'w', encoding='utf-8') as file:
            file.write(text)
        os.rename(file.name, path)

    def answer(self, server):
        return self.ask(server, timeout=30).text.split()[0]

    def reloads(self, server):
        return server.log_text().count('changed: a new generation starts')

    def becomes(self, server, text, timeout=15):
        self.poll(lambda: self.answer(server) == text, timeout)

    def test_changed_file(self):
        server = self.watched()
        self.assertEqual(self.answer(server), 'one')
        self.put(server, 'app/code.php', self.code('two'))
        self.becomes(server, 'two')
        server.wait_for(r'NOTICE: \[pool www\] .*/app/code.php changed: a new generation starts')
        self.assertEqual(self.reloads(server), 1)
        status = json.loads(server.get('/status', 'json&full', SCRIPT_NAME='/status', SCRIPT_FILENAME='/status').text)
        self.assertEqual((status['worker restarts'], status['worker restarts watch']), (1, 1))
        self.assertIn('watch', [process['worker last restart'] for process in status['processes']])

    def test_nothing_is_lost_meanwhile(self):
        server = self.watched()
        with server.connect() as kept:
            for text in ('two', 'three'):
                self.put(server, 'app/code.php', self.code(text))
                self.poll(lambda: self.ask(server, '', kept).text.split()[0] == text, 15)

    def test_many_files_are_one_reload(self):
        server = self.watched()
        for i in range(200):
            server.file(f'app/deep/er/file{i}.php', '<?php')
        server.file('app/code.php', self.code('two'))
        self.becomes(server, 'two')
        server.wait_for(r'changed: a new generation starts')
        # One, unless this machine takes longer than the debounce between two of the files.
        self.assertLess(self.reloads(server), 5)
        server.wait_for(r' and \d+ more changed')

    def test_how_files_change(self):
        server = self.watched(root_files={'app/sub/old.php': '<?php'})

        def step(what, expected=None):
            before = self.reloads(server)
            what()
            # One, unless this machine takes longer than the debounce between two parts of the change.
            self.poll(lambda: self.reloads(server) > before)
            if expected:
                self.becomes(server, expected)

        def replaced():
            server.file('app/new.tmp', self.code('renamed'))
            os.rename(os.path.join(self.app, 'new.tmp'), os.path.join(self.app, 'code.php'))
        step(replaced, 'renamed')
        step(lambda: os.unlink(os.path.join(self.app, 'sub/old.php')))
        step(lambda: server.file('app/sub/new/er/fresh.php', '<?php'))
        step(lambda: server.file('app/sub/new/er/fresh.php', '<?php // again'))
        step(lambda: os.rename(os.path.join(self.app, 'sub/new'), os.path.join(server.tmp, 'away')))
        step(lambda: os.rename(os.path.join(server.tmp, 'away'), os.path.join(self.app, 'sub/back')))
        step(lambda: os.symlink('/nowhere', os.path.join(self.app, 'link.php')))

    def test_what_is_not_meant(self):
        server = self.watched(patterns=('{app}/**.{php,yaml}', '!{app}/var'), root_files={'app/var/cache.php': '<?php', 'app/.git/x.php': '<?php'})
        for name in ('app/var/cache.php', 'app/var/new/x.php', 'app/.git/x.php', 'app/readme.txt', 'app/code.php.swp'):
            server.file(name, 'x')
        self.put(server, 'app/config.yaml', 'x: y')
        server.wait_for(r'NOTICE: \[pool www\] .*/app/config.yaml changed: a new generation starts')
        self.assertEqual(self.reloads(server), 1)

    def test_relative_patterns_begin_at_the_script(self):
        server = self.watched(patterns=('app/**.php',))
        server.file('app/code.php', self.code('two'))
        self.becomes(server, 'two')

    def test_code_that_does_not_boot_keeps_the_old_one(self):
        server = self.watched()
        self.put(server, 'app/code.php', '<?php broken(')
        server.wait_for('ended with status 255 before it asked for a request', 15)
        for _ in range(20):
            self.assertEqual(self.answer(server), 'one')
        server.file('app/code.php', self.code('mended'))
        self.becomes(server, 'mended')

    def test_directory_that_comes_back(self):
        server = self.watched()
        shutil.rmtree(self.app)
        self.poll(lambda: self.reloads(server) >= 1, 10)
        server.file('app/code.php', self.code('restored'))
        self.becomes(server, 'restored', 20)

    def test_directory_that_is_not_there_yet(self):
        server = self.watched(patterns=('{app}/later/**.php', '{app}/**.yaml'))
        server.wait_for(r'WARNING: \[pool www\] worker.watch: .*/app/later is not there yet')
        self.put(server, 'app/later/x.php', '<?php')
        server.wait_for(r'/app/later/x.php changed: a new generation starts', 10)

    def test_reload_goes_on_watching(self):
        server = self.watched()
        server.kill(signal.SIGUSR2)
        server.wait_for('ready to handle connections', 15, count=2)
        server.file('app/code.php', self.code('two'))
        self.becomes(server, 'two')

    def test_too_few_watches(self):
        if subprocess.run([FEW_WATCHES, '3', '/bin/true'], check=False).returncode != 0:
            self.skipTest('no user namespaces here')
        server = self.watched(root_files={f'app/d{i}/x.php': '<?php' for i in range(10)}, wrapper=[FEW_WATCHES, '3'])
        server.wait_for(r'WARNING: \[pool www\] worker.watch: no more than 3 directories can be watched \(fs.inotify.max_user_watches\)')
        self.assertEqual(server.log_text().count('can be watched'), 1)
        server.file('app/code.php', self.code('two'))
        self.becomes(server, 'two')
        self.assertEqual(server.log_text().count('can be watched'), 1)


class _Late:
    """A setting that names the application's directory, which is known when the file is written."""

    def __init__(self, test, text):
        self.test = test
        self.text = text

    def __str__(self):
        return self.text.replace('{app}', self.test.app)
