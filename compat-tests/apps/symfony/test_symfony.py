"""A Symfony application in worker mode, through symfony/runtime's own runner for FrankenPHP."""

import functools
import hashlib
import http.client
import json
import os
import signal
import tempfile
import threading
import types

import application as site
import same
import tour
import vendor
from ftm import proc
from tour import DOCUMENT, LEGACY

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = same.load(os.path.join(HERE, 'volatile'))


@functools.cache
def symfony(release='one'):
    app = site.Application(os.path.join(HERE, 'app'), ['var'])
    # What symfony/runtime's Composer plugin writes.
    with open(os.path.join(app.dir, 'packages/src/Symfony/Component/Runtime/Internal/autoload_runtime.template'), encoding='utf-8') as file:
        text = file.read()
    text = text.replace('%runtime_class%', r"'Symfony\\Component\\Runtime\\SymfonyRuntime'").replace('%runtime_options%', "['project_dir' => dirname(__DIR__)]")
    with open(os.path.join(app.dir, 'vendor/autoload_runtime.php'), 'w', encoding='utf-8') as file:
        file.write(text)
    with open(os.path.join(app.dir, '.env'), 'w', encoding='utf-8') as file:
        file.write('APP_ENV=prod\n')
    with open(os.path.join(app.dir, 'release'), 'w', encoding='utf-8') as file:
        file.write(release)
    for name in ('sessions', 'uploads'):
        os.makedirs(os.path.join(app.dir, 'var', name), exist_ok=True)
    vendor.php('bin/console', 'cache:warmup', cwd=app.dir, env={'APP_ENV': 'prod', 'APP_DEBUG': '0'})
    app.give_away()
    return app


def token(answer):
    return tour.token(answer, r'(?:_csrf_token|form\[_token\])')


def log_in(browser, name):
    form = browser.get('/login')
    return tour.logged_in(name, browser.post('/login', {'_username': name, '_password': f'password of {name}', '_csrf_token': token(form)}))


class Symfony(tour.SiteTest):
    example = 'symfony'

    def make(self):
        return symfony()


class Pages(Symfony):
    def test_application_stays_booted(self):
        browser = self.site(worker__num=1)
        answers = [self.boot(browser) for _ in range(5)]
        self.assertEqual(len({a['boot'] for a in answers}), 1)
        self.assertEqual([a['requests'] for a in answers], [1, 2, 3, 4, 5])

    def test_loop_max_restarts(self):
        browser = self.site(worker__num=1, env={'FRANKENPHP_LOOP_MAX': '3'})
        answers = [self.boot(browser) for _ in range(9)]
        self.assertEqual([a['requests'] for a in answers], [1, 2, 3] * 3)
        self.assertEqual([len({a['boot'] for a in answers[i:i + 3]}) for i in (0, 3, 6)], [1, 1, 1])
        self.assertEqual(len({a['boot'] for a in answers}), 3)
        self.assertNotIn('WARNING', self.server.log_text())

    def test_work_after_the_response(self):
        browser = self.site(worker__num=2)
        browser.get('/')
        for mark in ('a', 'b'):
            go, done = (os.path.join(self.app.dir, 'var', f'{name}-{mark}') for name in ('go', 'done'))
            self.assertEqual(browser.get(f'/after/{mark}').text, f'at once {mark}')
            self.assertFalse(os.path.exists(done))
            open(go, 'w').close()
            self.poll(lambda: os.path.exists(done), 10)
            os.unlink(go)
            os.unlink(done)

    def test_others_are_served_while_one_works_on(self):
        browser = self.site(worker__num=2)
        browser.get('/after/c')
        go, done = (os.path.join(self.app.dir, 'var', name) for name in ('go-c', 'done-c'))
        for _ in range(5):
            self.assertEqual(browser.get('/json').status, 200)
        self.assertFalse(os.path.exists(done))
        open(go, 'w').close()
        self.poll(lambda: os.path.exists(done), 10)
        os.unlink(go)
        os.unlink(done)

    def test_legacy_script_runs_classic(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)
        for _ in range(3):
            self.assertEqual(browser.get('/legacy.php').text, LEGACY)
        self.assertEqual(self.boot(browser), {'boot': boot['boot'], 'requests': 2})

    def test_exception_leaves_the_worker_alive(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)['boot']
        for _ in range(3):
            answer = browser.get('/fails')
            self.assertEqual(answer.status, 500)
            self.assertIn('Internal Server Error', answer.text)
        self.assertEqual(self.boot(browser)['boot'], boot)
        self.server.wait_for('the page that fails')

    def test_exception_page_of_the_debugger(self):
        browser = self.site(worker__num=1, env={'APP_ENV': 'dev', 'APP_DEBUG': '1'})
        for _ in range(2):
            answer = browser.get('/fails')
            self.assertEqual(answer.status, 500)
            self.assertIn('the page that fails', answer.text)
            self.assertIn('PagesController.php', answer.text)

    def test_early_hints_keep_the_headers(self):
        browser = self.site(worker__num=1)
        for _ in range(3):
            answer = browser.get('/hints')
            self.assertEqual((answer.status, answer.header('Link')), (200, '</style.css>; rel="preload"; as="style"'))
        self.assertIsNone(browser.get('/').header('Link'))

    def test_early_hints_where_the_front_relays_them(self):
        self.site(worker__num=1)
        script = os.path.join(self.app.public, 'index.php')
        for _ in range(2):
            answer = self.server.get(script, REQUEST_URI='/hints', FTM_EARLY_HINTS='1')
            hint, _, page = answer.raw.partition(b'\r\n\r\n')
            self.assertEqual(hint.lower(), b'status: 103 early hints\r\nlink: </style.css>; rel="preload"; as="style"')
            self.assertIn(b'\r\nLink: </style.css>', page.partition(b'\r\n\r\n')[0])
            self.assertIn(b'</html>', page)

    def test_streamed_response_arrives_as_it_is_made(self):
        browser = self.site(worker__num=1)
        go = os.path.join(self.app.dir, 'var', 'go-a')
        connection = http.client.HTTPConnection(browser.host, browser.port, timeout=120 * proc.time_scale())
        self.addCleanup(connection.close)
        connection.request('GET', '/stream/a')
        answer = connection.getresponse()
        self.assertEqual(answer.read(6), b'first\n')
        with open(go, 'w'):
            pass
        self.addCleanup(os.unlink, go)
        self.assertEqual(answer.read(), b'second\n')

    def test_oversized_form_is_refused_and_the_worker_lives(self):
        browser = self.site(worker__num=1)
        boot = self.boot(browser)['boot']
        answer = browser.post('/contact', {'form[message]': 'x' * (9 << 20)})
        self.assertLess(answer.status, 500)
        self.assertEqual(self.boot(browser)['boot'], boot)


class Releases(Symfony):
    """A new release is a link that points elsewhere, and a reload."""

    def link(self, app):
        new = self.current + '.new'
        os.symlink(app.dir, new)
        os.rename(new, self.current)

    def test_reload_under_load(self):
        one, two = symfony('one'), symfony('two')
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix='ftm-app-'))
        os.chmod(folder, 0o755)
        self.current = os.path.join(folder, 'current')
        self.link(one)
        current = types.SimpleNamespace(dir=self.current, public=os.path.join(self.current, 'public'))
        server = self.serve([site.example_pool('symfony', current, worker__boot_timeout=120)], modules=site.MODULES, ini=site.INI)
        front = self.enterContext(site.nginx(server.pools[0].address, current))
        stop, answers = threading.Event(), [[] for _ in range(8)]

        def ask(mine):
            browser = front.browser()
            while not stop.is_set():
                mine.append(browser.get('/release'))
        threads = [threading.Thread(target=ask, args=(mine,)) for mine in answers]
        for thread in threads:
            thread.start()
        try:
            self.poll(lambda: all(len(mine) > 5 for mine in answers), 20)
            self.link(two)
            server.kill(signal.SIGUSR2)
            server.wait_for('ready to handle connections', 30, count=2)
            counts = [len(mine) for mine in answers]
            self.poll(lambda: all(len(mine) > count + 5 for mine, count in zip(answers, counts)), 20)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for mine, count in zip(answers, counts):
            self.assertEqual({answer.status for answer in mine}, {200})
            texts = [answer.text for answer in mine]
            self.assertEqual(texts[:5], ['one'] * 5)
            self.assertEqual(set(texts[count + 1:]), {'two'}, 'the release of before, after the reload')

    def test_release_that_does_not_boot_is_not_taken(self):
        app = symfony('one')
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix='ftm-app-'))
        os.chmod(folder, 0o755)
        self.current = os.path.join(folder, 'current')
        self.link(app)
        current = types.SimpleNamespace(dir=self.current, public=os.path.join(self.current, 'public'))
        server = self.serve([site.example_pool('symfony', current, worker__boot_timeout=10)], modules=site.MODULES, ini=site.INI)
        server.expect_log('pool symfony')
        browser = self.enterContext(site.nginx(server.pools[0].address, current)).browser()
        self.assertEqual(browser.get('/release').text, 'one')
        broken = os.path.join(folder, 'broken/public')
        os.makedirs(broken)
        with open(os.path.join(broken, 'index.php'), 'w', encoding='utf-8') as file:
            file.write("<?php\nrequire __DIR__ . '/../vendor/autoload_runtime.php';\n")
        self.link(types.SimpleNamespace(dir=os.path.dirname(broken)))
        server.kill(signal.SIGUSR2)
        server.wait_for('autoload_runtime.php', 20)
        self.assertEqual(browser.get('/json').status, 200)
        self.link(app)
        server.kill(signal.SIGUSR2)      # opcache.validate_timestamps is off: what has been read once stays until then
        server.wait_for('ready to handle connections', 30, count=2)
        self.assertEqual(browser.get('/release').text, 'one')


class Same(Symfony):
    """The pages of the worker are those of the same pool served classic."""

    def tour(self, browser):
        answers = []
        keep = self.recorder(answers)
        for turn in ('first', 'second', 'third'):
            browser.cookies.clear()
            keep(f'{turn} page', browser.get('/'))
            keep(f'{turn} page by HEAD', browser.request('HEAD', '/'))
            keep(f'{turn} JSON', browser.get('/json?a[]=1&a[]=2&b=%C3%BC', **{'X-Own': 'yes', 'Cookie': 'one=1; two=2'}))
            form = keep(f'{turn} form', browser.get('/contact'))
            keep(f'{turn} form without token', browser.post('/contact', {'form[email]': 'a@b.test', 'form[message]': 'long enough a message'}), 422)
            keep(f'{turn} form with errors', browser.post('/contact', {'form[email]': 'nonsense', 'form[message]': 'short', 'form[_token]': token(form)}), 422)
            keep(f'{turn} form sent', browser.post('/contact', {'form[email]': 'a@b.test', 'form[message]': 'long enough a message', 'form[_token]': token(form)}), 303)
            self.assertIn('Thank you, a@b.test', keep(f'{turn} form, thanks', browser.get('/contact')).text)
            keep(f'{turn} account, not logged in', browser.get('/account'), 302)
            form = keep(f'{turn} login', browser.get('/login'))
            keep(f'{turn} login, wrong password', browser.post('/login', {'_username': 'user1', '_password': 'wrong', '_csrf_token': token(form)}), 302)
            self.assertIn('Invalid credentials', keep(f'{turn} login again', browser.get('/login')).text)
            keep(f'{turn} login done', log_in(browser, 'user1'), 302)
            self.assertIn('Account of user1', keep(f'{turn} account', browser.get('/account')).text)
            for n in (1, 2):
                self.assertEqual(json.loads(keep(f'{turn} count {n}', browser.get('/account/count')).text)['count'], n)
            keep(f'{turn} logout', browser.get('/logout'), 302)
            keep(f'{turn} account after logout', browser.get('/account'), 302)
            answer = keep(f'{turn} upload', browser.upload('/upload', {'title': 'Ünïcode'}, [('document', 'data.bin', 'application/octet-stream', DOCUMENT)]))
            sha1 = hashlib.sha1(DOCUMENT).hexdigest()
            self.assertEqual([json.loads(answer.text)[name] for name in ('size', 'sha1', 'kept', 'title')], [len(DOCUMENT), sha1, sha1, 'Ünïcode'])
            keep(f'{turn} exception', browser.get('/fails'), 500)
            keep(f'{turn} missing page', browser.get('/nothing/here'), 404)
            keep(f'{turn} wrong method', browser.get('/upload'), 405)
            keep(f'{turn} streamed', browser.get('/stream'))
            keep(f'{turn} early hints', browser.get('/hints'))
            keep(f'{turn} legacy script', browser.get('/legacy.php'))
        return answers

    def test_worker_and_classic(self):
        self.assert_worker_is_as_classic(self.tour, RULES)


@tour.needs_apache
class SameThroughApache(Same):
    front = 'apache'


class Load(Symfony):
    def test_users_get_what_is_theirs(self):
        self.assert_users_get_what_is_theirs(log_in, '/account for {}<', env={'FRANKENPHP_LOOP_MAX': '60'})

    test_users_get_what_is_theirs.time_limit = 600


@tour.needs_apache
class LoadThroughApache(Load):
    front = 'apache'
