"""The lines of the matrix, and the value that each cell must have: EXPECTED, but for the cells in EXCEPT, which say why not."""

from fronts import Apache, ApacheFcgid, Caddy, HAProxy, Lighttpd, Nginx, NginxModule
from matrix import COLUMNS
from proxies import PROXIES
from webserver import Setup

# Without further words: the sample of etc/fronts without what it has optionally; otherwise, as it is.
FRONTS = {
    'nginx': Setup('nginx', Nginx, 'tcp', tls=True),
    'nginx, kept': Setup('nginx-keep', Nginx, 'tcp', keeps=True, full=True, tls=True),
    'Apache proxy_fcgi': Setup('apache', Apache, 'tcp', tls=True),
    'Apache proxy_fcgi, kept': Setup('apache-keep', Apache, 'tcp', keeps=True, full=True, tls=True),
    'Apache mod_fcgid': Setup('fcgid', ApacheFcgid, 'tcp', tls=True),
    'lighttpd': Setup('lighttpd', Lighttpd, 'tcp', tls=True),
    'lighttpd, hints': Setup('lighttpd-hints', Lighttpd, 'tcp', full=True, tls=True),
    'HAProxy': Setup('haproxy', HAProxy, 'tcp', tls=True),
    'HAProxy, mpxs': Setup('haproxy-mpxs', HAProxy, 'tcp', keeps=True, full=True, tls=True),
    'Caddy': Setup('caddy', Caddy, 'tcp', full=True, tls=True),
    'nginx, newest': Setup('nginx-newest', Nginx, 'tcp', keeps=True, full=True, tls=True, newest=True),
    'nginx and module, newest': Setup('nginx-module', NginxModule, 'tcp', keeps=True, full=True, tls=True, newest=True),
    'Apache proxy_fcgi, newest': Setup('apache-newest', Apache, 'tcp', keeps=True, full=True, tls=True, newest=True),
    'lighttpd, newest': Setup('lighttpd-newest', Lighttpd, 'tcp', full=True, tls=True, newest=True),
    'HAProxy, newest': Setup('haproxy-newest', HAProxy, 'tcp', keeps=True, full=True, tls=True, newest=True),
    'Caddy, newest': Setup('caddy-newest', Caddy, 'tcp', full=True, tls=True, newest=True),
    **PROXIES,
}
EXPECTED = {**dict.fromkeys(COLUMNS, 'ok'), "browser's leaving": 'seen', 'server-sent events': 'at once', '103': 'not sent', '`/a%2Fb//c` as PATH_INFO': '/a/b//c',
            'crash of an engine': '500, then ok', 'reload under load': '0 lost'}
# (front, column): what is seen instead, and why; a front's name stands for all of its lines that begin with it.
FLUSH = 'without `flushpackets=on` (mod_proxy), or at all (mod_fcgid, in its default), Apache collects 4 to 8 KiB first'
STREAM = 'without `server.stream-response-body = 1` lighttpd reads the whole answer before it sends any of it, and looks at the browser only then'
ESCAPE = 'decoded, and slashes merged, by the front'
LARGER = 'with `fastcgi_buffer_size 32k`'
NO_HTTP_3 = 'no HTTP/3 in this release'
EXCEPT = {
    **{(front, '`/a%2Fb//c` as PATH_INFO'): ('/a/b/c', 'decoded, and slashes merged, by php-ftm') for front in PROXIES},
    **{(front, '103'): ('relayed', 'docs/EARLY-HINTS.md') for front in PROXIES},
    ('nginx proxy_pass', '103'): ('not sent', 'with `early_hints = off`: before 1.29 nginx takes 103 for the final answer'),
    ('nginx proxy_pass, newest', '103'): ('relayed', 'docs/EARLY-HINTS.md'),
    ('nginx proxy_pass, newest', 'HTTP/3'): ('ok', ''),
    ('Apache mod_proxy_http', '`/a%2Fb//c` as PATH_INFO'): ('404', 'Apache refuses an encoded slash without `AllowEncodedSlashes`'),
    ('HAProxy http', 'headers of 20 kB'): ('502', 'beyond `tune.bufsize`'),
    **{(front, 'HTTP/3'): ('not offered', NO_HTTP_3) for front in ('nginx proxy_pass', 'HAProxy http')},
    **{(front, 'HTTP/3'): ('not offered', 'has none') for front in ('Apache mod_proxy_http', 'lighttpd mod_proxy')},
    **{(front, 'HTTP/3'): ('not offered', NO_HTTP_3) for front in ('nginx', 'HAProxy')},
    **{(front, 'HTTP/3'): ('not offered', 'has none') for front in ('Apache proxy_fcgi', 'Apache mod_fcgid', 'lighttpd')},
    **{(front, 'HTTP/3'): ('ok', '') for front in ('nginx, newest', 'HAProxy, newest')},
    ('nginx', '`/a%2Fb//c` as PATH_INFO'): ('/a/b/c', ESCAPE),
    ('lighttpd', '`/a%2Fb//c` as PATH_INFO'): ('/a/b/c', ESCAPE),
    ('Caddy', '`/a%2Fb//c` as PATH_INFO'): ('/a/b/c', ESCAPE),
    ('Apache proxy_fcgi', '`/a%2Fb//c` as PATH_INFO'): ('404', 'Apache refuses an encoded slash without `AllowEncodedSlashes`'),
    ('Apache mod_fcgid', '`/a%2Fb//c` as PATH_INFO'): ('404', 'Apache refuses an encoded slash without `AllowEncodedSlashes`'),
    ('Apache proxy_fcgi', 'server-sent events'): ('held back', FLUSH),
    ('Apache proxy_fcgi, kept', 'server-sent events'): ('at once', 'with `flushpackets=on`'),
    ('Apache mod_fcgid', 'server-sent events'): ('held back', FLUSH),
    ('lighttpd', 'server-sent events'): ('held back', STREAM),
    ('lighttpd, hints', 'server-sent events'): ('at once', 'with `server.stream-response-body = 1`'),
    ('lighttpd', "browser's leaving"): ('not seen', STREAM),
    ('lighttpd, hints', "browser's leaving"): ('seen', 'with `server.stream-response-body = 1`'),
    ('lighttpd, hints', '103'): ('relayed', 'docs/EARLY-HINTS.md'),
    ('nginx', 'headers of 20 kB'): ('502', '`fastcgi_buffer_size` is 4 or 8 KiB by default'),
    ('HAProxy', 'headers of 20 kB'): ('502', 'beyond `tune.bufsize`'),
    ('nginx, kept', 'headers of 20 kB'): ('ok', LARGER),
    ('nginx, newest', 'headers of 20 kB'): ('ok', LARGER),
    ('nginx and module', 'headers of 20 kB'): ('ok', LARGER),
    ('nginx and module', '103'): ('relayed', 'docs/EARLY-HINTS.md'),
    ('nginx and module', '`/a%2Fb//c` as PATH_INFO'): ('/a/b/c', ESCAPE),
    ('Apache proxy_fcgi, newest', 'server-sent events'): ('at once', 'with `flushpackets=on`'),
    ('lighttpd, newest', 'server-sent events'): ('at once', 'with `server.stream-response-body = 1`'),
    ('lighttpd, newest', "browser's leaving"): ('seen', 'with `server.stream-response-body = 1`'),
    ('lighttpd, newest', '103'): ('relayed', 'docs/EARLY-HINTS.md'),
    ('HAProxy, mpxs', 'authorization'): ('ok', 'with `pass-header Authorization`'),
    ('HAProxy, newest', 'authorization'): ('ok', 'with `pass-header Authorization`'),
    ('HAProxy', 'authorization'): ('dropped', 'HAProxy keeps the Authorization header to itself without `pass-header Authorization`'),
}


def exception(front, column):
    return next((EXCEPT[name, column] for name in (front, front.split(',')[0]) if (name, column) in EXCEPT), None)


def expected(front, column):
    other = exception(front, column)
    return other[0] if other else EXPECTED[column]
