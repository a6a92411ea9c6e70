"""What the tests of each application share: the site behind a web server, the tour of worker and classic, many users."""

import json
import os
import re
import unittest

import application
import same
from ftm.case import DaemonTest
from users import Users

LEGACY = 'legacy, worker: false, framework: false, constant: 1\n'
DOCUMENT = bytes(range(256)) * 9000        # larger than what a body may have in memory

needs_apache = unittest.skipUnless(application.has_apache(), 'Apache is not installed, and no copy of this machine can be made to install it')


def token(answer, field):
    """The CSRF token of a form."""
    match = re.search(rf'name="{field}"[^>]* value="([^"]+)"', answer.text)
    if not match:
        raise AssertionError(f'no CSRF token in {answer!r}')
    return match.group(1)


def logged_in(name, answer):
    if answer.status != 302 or not answer.header('Location', '').endswith('/account'):
        raise AssertionError(f'{name} is not logged in: {answer!r} {answer.header("Location")}')
    return answer


class SiteTest(DaemonTest):
    """`example` names the pool file in etc/pool.d; make() gives the application's files."""

    front = 'nginx'
    example = None

    def make(self):
        raise NotImplementedError

    def site(self, worker=True, **changes):
        """A browser that sees the application."""
        self.app = self.make()
        self.server = self.serve([application.example_pool(self.example, self.app, worker, **changes)], modules=application.MODULES, ini=application.INI)
        self.front_in_use = self.enterContext(application.FRONTS[self.front](self.server.pools[0].address, self.app))
        browser = self.front_in_use.browser()
        self.addCleanup(browser.close)
        return browser

    def boot(self, browser):
        return json.loads(browser.get('/boot').text)

    def recorder(self, answers):
        """A function that checks an answer's status and keeps it under a name."""
        def keep(name, answer, status=200):
            self.assertEqual(answer.status, status, f'{name}: {answer!r}')
            answers.append((name, answer))
            return answer
        return keep

    def assert_worker_is_as_classic(self, tour, rules):
        worker = tour(self.site(worker__num=1))
        classic = tour(self.site(worker=False))
        self.assertEqual(same.differences(classic, worker, rules), [])

    def assert_users_get_what_is_theirs(self, log_in, account, **loop):
        """50 users; `account` is what a user's page says of him, with `{}` for his name; `loop` are settings that let scripts end."""
        self.site(**loop)
        boots = set()

        def ask(browser, name, mark, count):
            if count % 10 == 0:
                answer = browser.get('/legacy.php')
                if answer.text != LEGACY:
                    return repr(answer)
            if count % 10 == 5:
                answer = browser.get('/account')
                if f'Account of {name}<' not in answer.text or account.format(name) not in answer.text:
                    return repr(answer)
            if count % 10 == 7:
                boots.add(self.boot(browser)['boot'])
            answer = browser.get(f'/account/count?n={mark}')
            expected = {'user': name, 'count': count, 'asked': mark}
            if answer.status != 200 or json.loads(answer.text) != expected:
                return f'{answer!r} instead of {expected}'
            return None
        requests = int(os.environ['FTM_APP_REQUESTS'])
        # With few threads Apache closes kept connections as it likes, which these users would not forgive.
        users = Users(self.front_in_use, 50, log_in, ask, keep=self.front == 'nginx')
        seconds = users.run(requests)
        self.assertEqual(users.problems, [])
        self.assertEqual(users.answers, requests // 50 * 50)
        self.assertGreaterEqual(len(boots), min(12, requests // 100), 'workers must have booted anew meanwhile')
        self.assertNotIn('WARNING', self.server.log_text())
        print(f'{users.answers} requests of 50 users in {seconds:.1f} s through {self.front}, {len(boots)} boots seen')
