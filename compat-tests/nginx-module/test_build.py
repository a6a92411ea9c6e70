"""packaging/nginx-module/build: what it refuses, and that what it has built is found again."""

import os
import shutil
import subprocess
import tempfile
import unittest

from ftm.server import PROJECT
from relay import MODULE

BUILD = os.path.join(PROJECT, 'packaging/nginx-module/build')


class Build(unittest.TestCase):
    def source(self, version):
        folder = tempfile.mkdtemp(prefix='ftm-source-', dir='/tmp')
        self.addCleanup(shutil.rmtree, folder)
        os.makedirs(folder + '/src/core')
        if version:
            with open(folder + '/src/core/nginx.h', 'w') as file:
                file.write(f'#define NGINX_VERSION      "{version}"\n')
        with open(folder + '/configure', 'w') as file:
            file.write('#!/bin/sh\nexit 1\n')
        os.chmod(folder + '/configure', 0o755)
        return folder

    def refused(self, *arguments, **env):
        done = subprocess.run([BUILD, *arguments], capture_output=True, text=True, env={**os.environ, **env})
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def test_what_is_refused(self):
        self.assertIn('nginx 1.28.3 (in /tmp/ftm-source-', self.refused('--source', self.source('1.28.3')))
        self.assertIn('holds no source of nginx', self.refused('--source', self.source(None)))
        self.assertIn('unknown argument --sweet', self.refused('--sweet'))
        text = self.refused('--source', self.source('1.29.9'), '--nginx', '/nonexistent/nginx')
        self.assertIn('/nonexistent/nginx -V fails', text)

    def test_archive_that_cannot_be_reached(self):
        cache = tempfile.mkdtemp(prefix='ftm-cache-', dir='/tmp')
        self.addCleanup(shutil.rmtree, cache)
        text = self.refused('--suite', 'sid', '--version', '1.30.99-1', PHP_FTM_CACHE=cache, PHP_FTM_MIRROR='http://127.0.0.1:9/debian')
        self.assertRegex(text, r"Debian's package index \(sid\) cannot be read: .*127\.0\.0\.1")

    def test_source_and_nginx_must_be_of_one_version(self):
        nginx = os.environ['FTM_NGINX']
        self.assertRegex(self.refused('--source', self.source('1.29.9'), '--nginx', nginx), r'nginx is 1\.\d+\.\d+, but the source in .* is 1\.29\.9')

    @unittest.skipUnless(MODULE and os.environ.get('FTM_NGINX_SOURCE'), 'another nginx than Debian\'s')
    def test_found_again(self):
        before = os.stat(MODULE)
        done = subprocess.run([BUILD, '--source', os.environ['FTM_NGINX_SOURCE']], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn('building', done.stdout)
        link = os.path.join(PROJECT, 'build/nginx-module', os.path.basename(MODULE))
        self.assertEqual((os.path.realpath(link), os.stat(link).st_mtime), (MODULE, before.st_mtime))
