"""Chromium loads a page through a front that relays 103: the style sheet named in the hint is fetched while the page is
computed.  The time that saves is measured and printed, not judged; with FTM_SAVED=FILE it is written there."""

import os
import statistics
import unittest

import chromium
from expected import FRONTS
from proxies import PROXIES
from served import serve
from webserver import certificate

# One line per way in which 103 reaches a browser.
RELAYS = {
    'lighttpd': FRONTS['lighttpd, hints'],
    'lighttpd, newest': FRONTS['lighttpd, newest'],
    'nginx and module, newest': FRONTS['nginx and module, newest'],
    **{name: PROXIES[name] for name in ('nginx proxy_pass, newest', 'Apache mod_proxy_http', 'HAProxy http', 'Caddy reverse_proxy')},
}
COMPUTES, AWAY, LOADS = 300, 200, 7         # ms that the page takes, ms that the style sheet is away, loads of each kind
PAGES = {
    # `until`: it goes on when that file is there and says so, so that no machine is too slow.
    'page.php': '<?php if (isset($_GET["hint"])) { header("Link: </style.php?" . $_SERVER["QUERY_STRING"] . ">; rel=preload; as=style"); headers_send(103); header_remove("Link"); } '
                'usleep($_GET["ms"] * 1000); for ($t = microtime(true); isset($_GET["until"]) && !file_exists($_GET["until"]) && microtime(true) - $t < 40; clearstatcache()) { usleep(1000); } '
                'if (isset($_GET["until"])) { header("X-Style: " . (file_exists($_GET["until"]) ? "fetched" : "not yet")); } '
                'echo "<!doctype html><link rel=stylesheet href=\\"/style.php?", htmlspecialchars($_SERVER["QUERY_STRING"]), "\\"><p>page";',
    'style.php': '<?php usleep($_GET["away"] * 1000); header("Content-Type: text/css"); header("Cache-Control: max-age=3600"); echo "p { color: green }"; '
                 'if (isset($_GET["until"])) { fastcgi_finish_request(); touch($_GET["until"]); }',
}


@unittest.skipIf(chromium.missing(), chromium.missing())
class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.saved = {}
        cls.browser = chromium.Chromium(certificate()[0])
        cls.enterClassContext(cls.browser)

    @classmethod
    def tearDownClass(cls):
        if os.environ.get('FTM_SAVED') and cls.saved:
            with open(os.environ['FTM_SAVED'], 'w') as file:
                file.write(f'Chromium {os.environ["FTM_CHROMIUM_VERSION"]}, HTTP/2 over TLS on loopback; a page that takes {COMPUTES} ms, a style sheet that takes {AWAY} ms; '
                           f'until the load event, median of {LOADS} cold loads each:\n\n| front | without the hint | with it | saved |\n|---|---|---|---|\n')
                for name, (without, hinted) in cls.saved.items():
                    file.write(f'| {name} | {without:.0f} ms | {hinted:.0f} ms | {without - hinted:.0f} ms |\n')

    def check(self, name):
        setup = RELAYS[name]
        if setup.absence():
            self.skipTest(setup.absence())
        server, front = serve(self, setup, PAGES)
        base = f'https://localhost:{front.tls_port}/'

        def load(query):
            page, style = (f'{base}{name}.php?{query}' for name in ('page', 'style'))
            entries, responses = self.browser.load(page)
            self.assertEqual((responses[page]['status'], responses[page]['protocol'], responses[style]['status']), (200, 'h2', 200))
            return entries[page]['loadEventEnd'], responses[page], responses[style]

        # The page's headers are not sent before the style sheet was fetched, or after 40 s.
        _, page, _ = load(f'ms=0&away=0&hint=1&until={os.path.join(server.tmp, "fetched")}')
        self.assertEqual(page['headers'].get('x-style'), 'fetched')
        times = {}
        for hint in ('', '&hint=1'):
            loads = [load(f'ms={COMPUTES}&away={AWAY}{hint}&n={i}') for i in range(LOADS)]
            times[hint] = statistics.median(ended for ended, _, _ in loads)
            # The timeline: even the style sheet's answer is there first. One of them will do, for this is a matter of time.
            earlier = [bool(style.get('fromEarlyHints')) and style['responseTime'] < page['responseTime'] for _, page, style in loads]
            self.assertEqual(any(earlier), bool(hint), f'{hint}: {earlier}')
        self.saved[name] = times[''], times['&hint=1']
        print(f'{name}: load event after {times[""]:.0f} ms without, {times["&hint=1"]:.0f} ms with the hint: {times[""] - times["&hint=1"]:.0f} ms saved')


for _name in RELAYS:
    def _test(self, name=_name):
        self.check(name)
    setattr(Browser, 'test_' + _name.replace(', ', '_').replace(' ', '_'), _test)
