"""A headless Chromium of Debian's newest suite, unpacked into the cache and run by chroot as newest.py does, spoken to in the
DevTools protocol over a pair of pipes; no port is opened."""

import base64
import hashlib
import json
import os
import select
import subprocess
import time

import debian
from ftm.proc import time_scale
from ftm.program import Program
from newest import KEPT, SUITES, mounted

PACKAGES = ['chromium-headless-shell', 'base-files', 'fonts-dejavu-core']
# Loopback only: no updates, no lists, no reports.
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-breakpad', '--disable-dev-shm-usage', '--no-proxy-server', '--remote-debugging-pipe']


def fetch():
    """What the copy must know, as environment variables."""
    try:
        root, _, versions = debian.unpack('chromium', PACKAGES, KEPT.replace('(?!', '(?!libllvm|libz3|x11-utils|dbus|'), SUITES, to_run=True)
        return {'FTM_CHROMIUM': root, 'FTM_CHROMIUM_VERSION': versions[PACKAGES[0]]}
    except debian.Unavailable as problem:
        return {'FTM_CHROMIUM_MISSING': f'Chromium cannot be had: {problem}'}


def missing():
    return None if os.environ.get('FTM_CHROMIUM') else os.environ.get('FTM_CHROMIUM_MISSING', 'run this through compat-tests/fronts/run')


class Chromium(Program):
    """`certificate`: the one that it trusts for every host; without errors, for nothing is cached that came with one."""

    title = 'Chromium'
    patience = 60

    def __init__(self, certificate):
        self.certificate = certificate
        self.number, self.received, self.events = 0, b'', []

    def arguments(self):
        root = mounted(os.environ['FTM_CHROMIUM'], '/run/ftm-chromium')
        key = subprocess.run(f'openssl x509 -pubkey -noout -in {self.certificate} | openssl pkey -pubin -outform der', shell=True, capture_output=True, check=True).stdout
        trusted = base64.b64encode(hashlib.sha256(key).digest()).decode()
        return ['chroot', root, '/usr/lib/chromium/chromium-headless-shell', *FLAGS, f'--user-data-dir={self.root}/profile', f'--ignore-certificate-errors-spki-list={trusted}', 'about:blank']

    def launch(self, output):
        theirs, self.to = os.pipe()
        self.back, ours = os.pipe()

        def places():
            for number in (theirs, ours):
                os.dup2(number, number + 100)
            os.dup2(theirs + 100, 3)
            os.dup2(ours + 100, 4)
        try:
            return subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.root, start_new_session=True, pass_fds=(3, 4), preexec_fn=places,
                                    env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': self.root, 'LANG': 'C.UTF-8'})
        finally:
            os.close(theirs)
            os.close(ours)

    def answered(self):
        return bool(self.call('Browser.getVersion'))

    def __exit__(self, *exception):
        super().__exit__(*exception)
        if self.process:
            os.close(self.to)
            os.close(self.back)

    # the protocol

    def _message(self, deadline):
        while b'\0' not in self.received:
            ready, _, _ = select.select([self.back], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self.back, 1 << 16) if ready else b''
            if not part:
                raise AssertionError(f'Chromium {"has gone" if ready else "says nothing"}:\n{self.log()[-3000:]}')
            self.received += part
        message, _, self.received = self.received.partition(b'\0')
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        """The result; events that come meanwhile are kept for wait()."""
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters, **({'sessionId': session} if session else {})}
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.to, data):]
        deadline = time.monotonic() + 90 * time_scale()
        while True:
            message = self._message(deadline)
            if message.get('id') == self.number:
                if 'error' in message:
                    raise AssertionError(f'{method}: {message["error"]}')
                return message['result']
            self.events.append(message)

    def wait(self, session, method):
        """The next event of that name; all stay in self.events."""
        deadline = time.monotonic() + 90 * time_scale()
        while True:
            for message in self.events:
                if (message.get('sessionId'), message.get('method')) == (session, method):
                    return message['params']
            self.events.append(self._message(deadline))

    def load(self, url):
        """A page in a window without cache, cookies or connections: what performance.getEntries() says of it (ms), and the network
        timeline's responses (seconds since 1970), both by name."""
        context = self.call('Target.createBrowserContext')['browserContextId']
        target = self.call('Target.createTarget', url='about:blank', browserContextId=context)['targetId']
        session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        self.events.clear()
        for domain in ('Page', 'Network'):
            self.call(f'{domain}.enable', session)
        problem = self.call('Page.navigate', session, url=url).get('errorText')
        assert not problem, f'{url}: {problem}'
        self.wait(session, 'Page.loadEventFired')
        # loadEventEnd is set after that event's handlers.
        entries = json.loads(self.call('Runtime.evaluate', session, awaitPromise=True, returnByValue=True,
                                       expression='new Promise(done => setTimeout(() => done(JSON.stringify(performance.getEntries())), 0))')['result']['value'])
        responses = [message['params']['response'] for message in self.events if message.get('method') == 'Network.responseReceived' and message.get('sessionId') == session]
        self.call('Target.disposeBrowserContext', browserContextId=context)
        return {entry['name']: entry for entry in entries}, {response['url']: response for response in responses}
