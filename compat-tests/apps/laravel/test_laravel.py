"""A Laravel application in worker mode: through a worker script of ours, and through Octane's where a copy is given."""

import functools
import hashlib
import json
import os
import re
import shutil
import unittest

import application as site
import same
import tour
import vendor
from tour import DOCUMENT, LEGACY

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = same.load(os.path.join(HERE, 'volatile'))
OCTANE = os.environ.get('FTM_APP_OCTANE')


@functools.cache
def laravel(octane):
    app = site.Application(os.path.join(HERE, 'app'), ['storage', 'bootstrap/cache'])
    for name in ('app/private', 'framework/cache/data', 'framework/sessions', 'framework/views', 'logs'):
        os.makedirs(os.path.join(app.dir, 'storage', name))
    if octane:
        add_octane(app)
    for command in ('config:cache', 'route:cache', 'view:cache'):
        vendor.php('artisan', command, cwd=app.dir)
    app.give_away()
    return app


def add_octane(app):
    """What Composer and `artisan octane:install` would do."""
    shutil.copytree(OCTANE, os.path.join(app.dir, 'vendor/laravel/octane'))
    shutil.copy(os.path.join(OCTANE, 'config/octane.php'), os.path.join(app.dir, 'config/octane.php'))
    with open(os.path.join(app.dir, 'public/frankenphp-worker.php'), 'w', encoding='utf-8') as file:
        file.write("<?php\nrequire __DIR__ . '/../vendor/laravel/octane/bin/frankenphp-worker.php';\n")
    with open(os.path.join(app.dir, 'vendor/autoload.php'), encoding='utf-8') as file:
        text = file.read()
    text, found = re.subn(r'^return (\w+::getLoader\(\));', r"$loader = \1;\n$loader->addPsr4('Laravel\\\\Octane\\\\', __DIR__ . '/laravel/octane/src');\nreturn $loader;", text, flags=re.M)
    assert found == 1, text
    with open(os.path.join(app.dir, 'vendor/autoload.php'), 'w', encoding='utf-8') as file:
        file.write(text)
    with open(os.path.join(app.dir, 'bootstrap/providers.php'), 'w', encoding='utf-8') as file:
        file.write('<?php\n\nreturn [Laravel\\Octane\\OctaneServiceProvider::class, App\\Providers\\AppServiceProvider::class];\n')


def token(answer):
    return tour.token(answer, '_token')


def log_in(browser, name):
    form = browser.get('/login')
    return tour.logged_in(name, browser.post('/login', {'name': name, 'password': f'password of {name}', '_token': token(form)}))


class Laravel(tour.SiteTest):
    example = 'laravel'
    octane = False

    def make(self):
        return laravel(self.octane)


class Pages(Laravel):
    def test_application_stays_booted(self):
        browser = self.site(worker__num=1)
        answers = [self.boot(browser) for _ in range(5)]
        self.assertEqual(len({a['boot'] for a in answers}), 1)
        self.assertEqual([a['requests'] for a in answers], [1, 2, 3, 4, 5])

    def test_max_requests_restarts(self):
        browser = self.site(worker__num=1, env={'MAX_REQUESTS': '3'})
        answers = [self.boot(browser) for _ in range(9)]
        self.assertEqual([a['requests'] for a in answers], [1, 2, 3] * 3)
        self.assertEqual(len({a['boot'] for a in answers}), 3)
        self.assertNotIn('WARNING', self.server.log_text())

    def test_job_after_the_response(self):
        browser = self.site(worker__num=2)
        browser.get('/')
        for mark in ('a', 'b'):
            go, done = (os.path.join(self.app.dir, 'storage', f'{name}-{mark}') for name in ('go', 'done'))
            self.assertEqual(browser.get(f'/after/{mark}').text, f'at once {mark}')
            self.assertEqual(browser.get('/json').status, 200, 'another worker serves meanwhile')
            self.assertFalse(os.path.exists(done))
            open(go, 'w').close()
            self.poll(lambda: os.path.exists(done), 10)
            os.unlink(go)
            os.unlink(done)

    def test_legacy_script_runs_classic(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)['boot']
        for _ in range(3):
            self.assertEqual(browser.get('/legacy.php').text, LEGACY)
        self.assertEqual(self.boot(browser), {'boot': boot, 'requests': 2})

    def test_exception_leaves_the_worker_alive(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)['boot']
        for _ in range(3):
            answer = browser.get('/fails')
            self.assertEqual(answer.status, 500)
            self.assertIn('Server Error', answer.text)
        self.assertEqual(self.boot(browser)['boot'], boot)
        self.server.wait_for('the page that fails')

    def test_dump_and_die_is_seen_and_the_next_request_is_served(self):
        browser = self.site(worker__num=1)
        for _ in range(3):
            answer = browser.get('/dump')
            self.assertEqual(answer.status, 200 if self.octane else 500)    # Octane has a dd() of its own, an exception that is shown
            self.assertIn('by dd', answer.text)
            self.assertEqual(browser.get('/json').status, 200)

    def test_oversized_form_is_refused_and_the_worker_lives(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)['boot']
        self.assertEqual(browser.post('/contact', {'message': 'x' * (9 << 20)}).status, 413)
        self.assertEqual(self.boot(browser)['boot'], boot)


class Same(Laravel):
    """The pages of the worker are those of the same pool served classic."""

    def tour(self, browser):
        answers = []
        keep = self.recorder(answers)
        for turn in ('first', 'second', 'third'):
            browser.cookies.clear()
            keep(f'{turn} page', browser.get('/'))
            keep(f'{turn} page by HEAD', browser.request('HEAD', '/'))
            keep(f'{turn} JSON', browser.get('/json?a[]=1&a[]=2&b=%C3%BC', **{'X-Own': 'yes'}))
            form = keep(f'{turn} form', browser.get('/contact'))
            keep(f'{turn} form without token', browser.post('/contact', {'email': 'a@b.test', 'message': 'long enough a message'}), 419)
            keep(f'{turn} form with errors', browser.post('/contact', {'email': 'nonsense', 'message': 'short', '_token': token(form)}, {'Referer': 'http://%s/contact' % browser.name}), 302)
            shown = keep(f'{turn} form, errors shown', browser.get('/contact')).text
            for text in ('The email field must be a valid email address.', 'The message field must be at least 10 characters.', 'value="nonsense"'):
                self.assertIn(text, shown)
            self.assertNotIn('class="error"', keep(f'{turn} form, errors gone', browser.get('/contact')).text)
            wanted = {'Accept': 'application/json', 'X-CSRF-TOKEN': token(form)}
            keep(f'{turn} form with errors, JSON', browser.post('/contact', {'email': 'nonsense'}, wanted), 422)
            keep(f'{turn} form sent', browser.post('/contact', {'email': 'a@b.test', 'message': 'long enough a message', '_token': token(form)}), 302)
            self.assertIn('Thank you, a@b.test', keep(f'{turn} form, thanks', browser.get('/contact')).text)
            keep(f'{turn} account, not logged in', browser.get('/account'), 302)
            form = keep(f'{turn} login', browser.get('/login'))
            keep(f'{turn} login, wrong password', browser.post('/login', {'name': 'user1', 'password': 'wrong', '_token': token(form)}), 302)
            self.assertIn('Invalid credentials', keep(f'{turn} login again', browser.get('/login')).text)
            keep(f'{turn} login done', log_in(browser, 'user1'), 302)
            account = keep(f'{turn} account', browser.get('/account'))
            self.assertIn('Account of user1', account.text)
            for n in (1, 2):
                self.assertEqual(json.loads(keep(f'{turn} count {n}', browser.get('/account/count')).text)['count'], n)
            answer = keep(f'{turn} upload', browser.upload('/upload', {'title': 'Ünïcode', '_token': token(account)}, [('document', 'data.bin', 'application/octet-stream', DOCUMENT)]))
            sha1 = hashlib.sha1(DOCUMENT).hexdigest()
            self.assertEqual([json.loads(answer.text)[name] for name in ('size', 'sha1', 'stored', 'kept', 'title')], [len(DOCUMENT), sha1, sha1, sha1, 'Ünïcode'])
            keep(f'{turn} logout', browser.post('/logout', {'_token': token(account)}), 302)
            keep(f'{turn} account after logout', browser.get('/account'), 302)
            self.assertIn('for nobody', keep(f'{turn} page after logout', browser.get('/')).text)
            keep(f'{turn} exception', browser.get('/fails'), 500)
            keep(f'{turn} missing page', browser.get('/nothing/here'), 404)
            keep(f'{turn} wrong method', browser.get('/upload'), 405)
            keep(f'{turn} streamed', browser.get('/stream'))
            keep(f'{turn} legacy script', browser.get('/legacy.php'))
        return answers

    def test_worker_and_classic(self):
        self.assert_worker_is_as_classic(self.tour, RULES)


class Load(Laravel):
    def test_users_get_what_is_theirs(self):
        self.assert_users_get_what_is_theirs(log_in, 'for {} ', env={'MAX_REQUESTS': '60'})

    test_users_get_what_is_theirs.time_limit = 600


octane = unittest.skipUnless(OCTANE, 'no copy of laravel/octane was given with --octane')


@tour.needs_apache
class SameThroughApache(Same):
    front = 'apache'


@tour.needs_apache
class LoadThroughApache(Load):
    front = 'apache'


@octane
class PagesOfOctane(Pages):
    octane = True


@octane
class SameOfOctane(Same):
    octane = True


@octane
class LoadOfOctane(Load):
    octane = True


@octane
@tour.needs_apache
class SameOfOctaneThroughApache(SameOfOctane):
    front = 'apache'


@octane
@tour.needs_apache
class LoadOfOctaneThroughApache(LoadOfOctane):
    front = 'apache'
