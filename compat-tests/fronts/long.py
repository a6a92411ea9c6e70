"""The long table: what browsers, proxies and scripts do beyond table.py, for the setups whose `long` is set.

The scripts are those of ../requests/www, at /r (dump.php shows all a request is, case.php does one thing per name), and
the few below.
"""

import os
import shutil

from ftm.http import multipart
from table import BASIC, FORM, Row

REQUESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'requests/www')
TEXT = {'Content-Type': 'text/plain'}
CASE, DUMP = '/r/case.php?c=', '/r/dump.php'

PAGES = {
    'files.php': '<?php echo json_encode([$_POST, array_map(function ($f) { unset($f["tmp_name"]); return $f; }, $_FILES)]), "\n"; '
                 'foreach ($_FILES as $f) foreach ((array) $f["tmp_name"] as $t) echo $t === "" ? "-" : sha1_file($t), " ", (int) is_uploaded_file($t), "\n";',
    'count.php': '<?php echo count($_POST, 1), " ", count($_GET, 1), " ", count($_COOKIE, 1), " ", strlen($_SERVER["QUERY_STRING"] ?? ""), " ", sha1(json_encode([$_GET, $_POST, $_COOKIE])), " ", '
                 'strlen(file_get_contents("php://input"));',
    'parts.php': '<?php $h = fopen("php://input", "r"); $n = 0; while (!feof($h)) $n += strlen(fread($h, 1000)); echo $n;',
    'session.php': '<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; $old = session_id(); if (isset($_GET["new"])) session_regenerate_id(true); '
                   'if (isset($_GET["end"])) session_destroy(); echo "visit ", $_SESSION["n"] ?? "-", " ", $old === session_id() ? "same" : "new", " ", json_encode($_SESSION);',
    'code.php': '<?php if (isset($_GET["l"])) header($_GET["l"]); else http_response_code((int) $_GET["s"]); header("X-Answer: yes"); echo str_repeat("body ", 100);',
    'header.php': '<?php foreach ((array) $_GET["h"] as $h) header($h, isset($_GET["replace"])); if (isset($_GET["remove"])) header_remove($_GET["remove"]); echo json_encode(headers_list());',
    'type.php': '<?php header("Content-Type: $_GET[t]"); echo "<b>text</b>";',
    'noname.php': '<?php header_remove(); echo "without headers";',
    'ranges.php': '<?php header("Accept-Ranges: bytes"); if (isset($_SERVER["HTTP_RANGE"])) { http_response_code(206); header("Content-Range: bytes 2-5/10"); echo "2345"; } else echo "0123456789";',
    'fresh.php': r'<?php header("ETag: \"v1\""); header("Last-Modified: Tue, 01 Jan 2019 00:00:00 GMT"); if (($_SERVER["HTTP_IF_NONE_MATCH"] ?? "") === "\"v1\"") { http_response_code(304); exit; } echo "the page";',
    'read.php': r'<?php header("Content-Type: application/octet-stream"); header("Content-Disposition: attachment; filename=\"ä.bin\""); header("Content-Length: " . filesize("blob.bin")); readfile("blob.bin");',
    'gzip.php': '<?php ob_start("ob_gzhandler"); echo str_repeat("compress me ", 1000);',
    'sendfile.php': '<?php header("$_GET[n]: $_GET[f]"); header("X-Before: kept"); header("Content-Type: text/plain"); echo "what php wrote";',
    'mb.php': '<?php for ($i = 0; $i < 32; $i++) echo str_repeat(chr(65 + $i % 26), 65536);',
    'digest.php': '<?php echo json_encode([$_SERVER["PHP_AUTH_DIGEST"] ?? null, $_SERVER["PHP_AUTH_USER"] ?? null, $_SERVER["PHP_AUTH_PW"] ?? null, $_SERVER["AUTH_TYPE"] ?? null, '
                  '$_SERVER["REMOTE_USER"] ?? null, $_SERVER["HTTP_AUTHORIZATION"] ?? null]);',
    'error/page.php': '<?php echo "error page for ", $_SERVER["REDIRECT_STATUS"] ?? "-", " ", $_SERVER["REDIRECT_URL"] ?? "-", " ", $_SERVER["REQUEST_METHOD"], " ", $_SERVER["REQUEST_URI"];',
    'error/code.php': '<?php http_response_code((int) $_GET["s"]); header("X-Answer: yes"); echo "what php wrote";',
    'error/500.html': 'a static page for errors\n',
    'internal/file.txt': 'only by way of a script\n',
    'odd/.user.ini': 'auto_prepend_file = before.inc\nauto_append_file = after.inc\n',
    'odd/before.inc': '<?php header("X-Before: yes"); echo "[before]";',
    'odd/after.inc': '<?php echo "[after]";',
    'odd/page.php': '<?php echo "page";',
    'odd/exit.php': '<?php exit("exit");',
    'page.inc': '<?php echo "must not run";',
    'program': '<?php echo "must not run";',
    'secret.php': '<?php echo "must not run";',
    'static.txt': 'a file of the front\n',
    'with space.php': '<?php echo "space ", $_SERVER["SCRIPT_NAME"];',
    'ümlaut.php': '<?php echo "umlaut ", $_SERVER["SCRIPT_NAME"];',
    'per%cent.php': '<?php echo "percent ", $_SERVER["SCRIPT_NAME"];',
    'CAPITALS.PHP': '<?php echo "must not run";',
    'dir.php/index.php': '<?php echo "index of dir.php ", $_SERVER["PATH_INFO"] ?? "-";',
}


def write(docroot):
    """Writes the long table's scripts below the docroot."""
    shutil.copytree(REQUESTS, os.path.join(docroot, 'r'))
    dump = open(os.path.join(REQUESTS, 'dump.php')).read()
    for name, text in {**PAGES, **{f'{folder}/dump.php': dump for folder in ('https', 'private', 'value')}, 'folder/index.php': dump, 'pretty/index.php': dump}.items():
        path = os.path.join(docroot, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
    with open(os.path.join(docroot, 'blob.bin'), 'wb') as file:
        file.write(bytes(range(256)) * 1000)
    with open(os.path.join(docroot, 'private/users'), 'w') as file:
        file.write('bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n')                # secret
    for folder, _, names in os.walk(docroot):
        for name in names:
            os.utime(os.path.join(folder, name), (1500000000, 1500000000))          # Apache's ETag of a new file is another one a second later
    os.chmod(os.path.join(docroot, 'secret.php'), 0)
    for name, target in (('link.php', 'r/dump.php'), ('linked', 'r'), ('dangling.php', 'nowhere.php')):
        os.symlink(target, os.path.join(docroot, name))


def files(*names, size=100):
    return [(name, f'{name.strip("[]")}.txt', 'text/plain', (name.encode() * size)[:size]) for name in names]


def upload(name, fields, parts, **kwargs):
    body, kind = multipart(fields, parts)
    return Row('upload: ' + name, '/files.php', 'POST', body, {'Content-Type': kind}, status=None, **kwargs)


def get(name, path, headers=(), **kwargs):
    return Row(name, path, headers=headers, status=None, **kwargs)


def send(name, body, headers, path=DUMP, method='POST', **kwargs):
    return Row(name, path, method, body, headers, status=None, **kwargs)


LENGTHS = ('content-length', 'transfer-encoding', 'connection')            # depend on what the front has seen when it begins to answer

LONG = [
    # -- methods
    *[Row(f'method {m}', DUMP + '?q=1', m, status=None) for m in ('HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'PROPFIND', 'BREW', 'TRACE', 'get')],
    *[send(f'method {m} with a body', b'{"a":1}', {'Content-Type': 'application/json'}, method=m) for m in ('PATCH', 'PUT', 'DELETE', 'OPTIONS', 'GET', 'HEAD')],
    Row('method of a form by PUT', DUMP, 'PUT', b'a=1&b=2', FORM, status=None),
    Row('HTTP/1.0', DUMP, status=None, version='HTTP/1.0'),
    Row('HTTP/1.0 without Host', DUMP, status=None, version='HTTP/1.0', host=None),
    Row('Host of its own', DUMP, status=None, host='Some.Example:8080'),
    get('absolute request line', 'http://other.example' + DUMP + '?q=1'),

    # -- paths
    *[get(f'path {p}', p) for p in (
        '/r/dump.php/', '/r/dump.php/a%2Fb', '/r/dump.php//a//b', '/r/dump.php/a/../b', '/r/dump.php/./a', '/r/dump.php/%C3%A4/%FF', '/r/dump.php/a?b?c=/d', '/r/dump.php/a%3Fb', '/r/dump.php/x.php',
        '/r/dump.php/x.php/y', '/r/dump.php/a+b', '/r/dump.php/a%0Ab', '/r/dump.php/a;b=c', '/r/dump.php/%25', "/r/dump.php/'a\"", '//r//dump.php', '/r/./dump.php', '/r/sub/../dump.php', '/r/%64ump.php', '/R/dump.php',
        '/r/dump.php%00', '/r/dump.php%2Fa', '/r/dump.php.', '/r/dump.php%20', '/r/dump.phpx', '/with%20space.php/a', '/%C3%BCmlaut.php', '/per%25cent.php', '/link.php/a', '/linked/dump.php', '/dangling.php',
        '/secret.php', '/page.inc', '/page.inc/x', '/program', '/program/x', '/CAPITALS.PHP', '/dir.php', '/dir.php/', '/dir.php/x', '/dir.php/index.php/x', '/none/none.php', '/folder', '/folder/', '/folder/?q=1', '/folder/x',
        '/folder/index.php/x', '/static.txt', '/static.txt/x.php', '/pretty/some/page?q=1', '/pretty/', '/value/dump.php', '/https/dump.php', '/../page.php')],
    get('path of 2 kB', '/r/dump.php/' + 'p' * 2000),
    get('path with raw bytes', '/r/dump.php/\xe4\xf6?\xfc=\xdf'),

    # -- query strings
    *[get(f'query {q[:40]}', f'{DUMP}?{q}') for q in (
        '', 'word', 'a+b+c', 'a=1+2&b=%2B', 'a[]=1&a[]=2&a[x][y]=3', 'a%5B%5D=1', 'a.b=1&c d=2', '=x&&y=', 'a=%00b', 'a=%zz&b=%', 'ä=ö'.encode().decode('latin-1'), '%C3%A4=%FF', 'a=1;b=2', 'a=1&a=2', "a='%22<>", '?a=1', 'a=/../b')],
    get('query of 6 kB', '/count.php?' + '&'.join(f'long{i}={i}' for i in range(400))),
    get('query of 1100 variables', '/count.php?' + '&'.join(f'{i}' for i in range(1100))),

    # -- request headers
    *[get(f'cookie {c[:30]}', DUMP, {'Cookie': c}) for c in ('a=1; b=2;c=3', 'a=', '=a', 'a', 'a=%20+%C3%A4', 'a=1; a=2', 'a[b]=1; a[c]=2', 'a="q;x"', ';;', 'a.b=1; __Host-c=2')],
    get('cookie, empty', DUMP, {'Cookie': ''}),
    get('cookies in two headers', DUMP, [('Cookie', 'a=1'), ('Cookie', 'b=2')]),
    get('cookie of 4 kB', '/count.php', {'Cookie': 'c=' + 'k' * 4000}),
    get('headers repeated', DUMP, [('X-Twice', 'one'), ('X-Twice', 'two'), ('Accept', 'a/b'), ('Accept', 'c/d')]),
    get('header empty', DUMP, {'X-Empty': ''}),
    get('header of 4 kB', DUMP, {'X-Long': 'l' * 4000}),
    get('80 headers', DUMP, {f'X-Many-{i}': f'{i}' for i in range(80)}),
    get('header with underscores', DUMP, {'X_Under_Score': '1', 'X-Under-Score': '2'}),
    get('header with bytes above 127', DUMP, {'X-Bytes': '\xe4\xff'}),
    get('header with blanks and quotes', DUMP, {'X-Blank': '  a  "b"  \t c  '}),
    get('headers like variables of CGI', DUMP, {'Script-Filename': '/etc/passwd', 'Content-Encoding': 'x', 'Path-Info': '/x', 'Https': 'on', 'Redirect-Status': '1', 'Remote-Addr': '::1', 'Php-Value': 'precision=1'}),
    get('forwarded headers', DUMP, {'X-Forwarded-For': '10.0.0.1, 10.0.0.2', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'a.example', 'X-Forwarded-Port': '443', 'Forwarded': 'for=10.0.0.1', 'X-Real-IP': '10.0.0.1'}),
    get('headers of a browser', DUMP, {'Accept': 'text/html,*/*;q=0.8', 'Accept-Language': 'de,en;q=0.5', 'DNT': '1', 'Referer': 'http://localhost/?a=ä'.encode().decode('latin-1'), 'Cache-Control': 'no-cache',
                                       'Upgrade-Insecure-Requests': '1', 'Sec-Fetch-Mode': 'navigate'}),
    get('Upgrade', DUMP, {'Upgrade': 'h2c', 'Connection': 'Upgrade'}, racy=LENGTHS),
    get('Connection names a header', DUMP, {'Connection': 'close, X-Hop', 'X-Hop': '1', 'Keep-Alive': '5', 'TE': 'trailers'}),
    *[get(f'Authorization {a[:30]}', '/digest.php', {'Authorization': a}) for a in (
        'Basic Ym9iOnNlY3JldA==', 'basic Ym9iOg==', 'Basic Og==', 'Basic !!!', 'Basic', 'Basic Ym9i', 'Digest username="bob", realm="x", nonce="1", uri="/", response="2"', 'Bearer abc.def', 'Negotiate x', 'Basic w6Q6w7Y6')],
    get('front asks who', '/private/dump.php'),
    get('front knows who', '/private/dump.php', BASIC),
    get('Range', '/ranges.php', {'Range': 'bytes=2-5'}),
    get('Range that the script ignores', '/page.php', {'Range': 'bytes=2-5'}),
    get('Range of a long page', '/read.php', {'Range': 'bytes=0-9,20-29'}),
    get('If-None-Match', '/fresh.php', {'If-None-Match': '"v1"'}),
    get('If-None-Match, other', '/fresh.php', {'If-None-Match': '"v2"'}),
    get('If-None-Match that the script ignores', '/fresh.php', {'If-None-Match': '*'}),
    get('If-Modified-Since', '/fresh.php', {'If-Modified-Since': 'Tue, 01 Jan 2019 00:00:00 GMT'}),
    get('If-Match', '/fresh.php', {'If-Match': '"v3"'}),
    get('Accept-Encoding gzip', '/gzip.php', {'Accept-Encoding': 'gzip'}),
    get('Accept-Encoding deflate', '/gzip.php', {'Accept-Encoding': 'deflate'}),
    get('Accept-Encoding none', '/gzip.php'),
    get('zlib.output_compression', CASE + 'zlib', {'Accept-Encoding': 'gzip, br'}),

    # -- bodies
    send('form of arrays', b'a[]=1&a[]=2&a[x][y]=3&b.c=4&d+e=5&f=%00&g', FORM),
    send('form of 1100 variables', '&'.join(f'v{i}={i}' for i in range(1100)).encode(), FORM, '/count.php'),
    send('form of 300 kB', b'a=' + b'x' * 300000, FORM, '/count.php'),
    send('form with a charset', 'a=ä'.encode(), {'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8'}),
    send('form in capitals', b'a=1', {'Content-Type': 'APPLICATION/X-WWW-FORM-URLENCODED'}),
    send('form with a query', b'a=1&c=3', FORM, DUMP + '?a=2&b=4'),
    send('json', '{"ä": [1, 2]}'.encode(), {'Content-Type': 'application/json'}),
    send('body without a type', b'a=1', {}),
    send('body of all bytes', bytes(range(256)) * 4, {'Content-Type': 'application/octet-stream'}),
    send('no body', b'', {}),
    send('no body, Content-Length 0', b'', TEXT),
    *[send(f'body of {n}', b'b' * n, TEXT, '/post.php') for n in (1, 8191, 8192, 8193, 16384, 65527, 65528, 65535, 65536, 65537, 131072)],
    send('body read in pieces', b'p' * 200001, TEXT, '/parts.php'),
    send('body that nobody reads', b'p' * 200000, TEXT, '/page.php'),
    send('body beyond post_max_size', b'a=' + b'x' * 3500000, FORM, '/page.php'),
    send('json beyond post_max_size', b'x' * 3500000, {'Content-Type': 'application/json'}, '/parts.php'),
    # Apache gives a short one a CONTENT_LENGTH.
    send('chunked form', [b'a=1&', b'b=2'], FORM, '/post.php'),
    send('chunked body of 200 kB', [b'c' * 50000] * 4, TEXT, '/post.php', needs='chunked'),
    send('chunked body, empty', [], TEXT, '/post.php'),
    send('gzip body', b'\x1f\x8b\x08\0\0\0\0\0\0\x03', {'Content-Type': 'text/plain', 'Content-Encoding': 'gzip'}),
    upload('one file', [], files('a')),
    upload('several files and fields', [('x', '1'), ('y[]', '2'), ('y[]', '3')], files('a', 'b', 'c')),
    upload('array of files', [], files('a[]', 'a[]', 'b[k]')),
    upload('empty file', [], files('a', size=0)),
    upload('no file chosen', [], [('a', '', 'application/octet-stream', b'')]),
    upload('file name with a path and quotes', [], [('a', '../../x\\y;z.txt', 'text/plain', b'1'), ('b', 'ä.txt', '', b'2')]),
    upload('file beyond upload_max_filesize', [('x', '1')], files('a', size=1200000)),
    upload('beyond post_max_size', [('x', '1')], files('a', size=3500000)),
    upload('25 files', [], files(*[f'f{i}' for i in range(25)])),
    upload('no parts', [], []),
    send('multipart without a boundary', b'--x\r\n\r\n', {'Content-Type': 'multipart/form-data'}, '/files.php'),
    send('multipart that ends early', b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nhalf', {'Content-Type': 'multipart/form-data; boundary=x'}, '/files.php'),

    # -- statuses
    *[get(f'code {s}', f'/code.php?s={s}') for s in (200, 201, 202, 203, 206, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 429, 451, 500, 501, 502, 503, 504, 299, 599)],
    # Bodies where HTTP has none: behind Apache the next request of a kept connection is at stake.
    *[get(f'code {s} with a body', f'/code.php?s={s}', racy=LENGTHS) for s in (204, 205, 304)],
    *[get(f'line {line}', '/code.php?l=' + line.replace(' ', '%20')) for line in (
        'HTTP/1.1 404 Not Here', 'HTTP/1.0 503', 'HTTP/2 403', 'HTTP/1.1 299 My Own', 'Status: 404', 'Status: 503 Down', 'Status: 200 Fine', 'HTTP/1.1 999 High')],
    *[Row(f'HEAD of code {s}', f'/code.php?s={s}', 'HEAD', status=None) for s in (200, 204, 304, 404, 500)],
    Row('code 404 by POST', '/code.php?s=404', 'POST', b'a=1', FORM, status=None),

    # -- response headers
    *[get(f'header {h}', '/header.php?' + h) for h in (
        'h[]=X-A:1&h[]=X-A:2', 'h[]=X-A:1&h[]=x-a:2&replace', 'h[]=X-A:1&h[]=X-B:2&remove=X-A', 'h=X-Empty:', 'h=Location:/page.php', 'h=Location:page.php', 'h=Location:http://other.example/x', 'h=Location:/page.php%3Fq=1%23f',
        'h=Location:', 'h[]=Set-Cookie:a=1&h[]=Set-Cookie:b=2;path=/', 'h[]=Cache-Control:no-store&h[]=Pragma:no-cache&h[]=Expires:0', 'h=X-Umlaut:%C3%A4', 'h=X-Blank:%20%20a%20%20', 'h=NoColon', 'h=X%20Y:1', 'h=Connection:close',
        'h=Transfer-Encoding:chunked', 'h=Content-Encoding:identity', 'h=Server:mine', 'h=Date:Thu,%2001%20Jan%201970%2000:00:00%20GMT', 'h=X-Powered-By:mine', 'remove=X-Powered-By&h=X-A:1', 'h=Keep-Alive:timeout=5',
        'h=Content-Length:7', 'h=Vary:Accept', 'h=Link:%3C/a.css%3E;rel=preload', 'h[]=WWW-Authenticate:Basic&h[]=WWW-Authenticate:Digest', 'h=ETag:%22x%22', 'h=X-Accel-Expires:5', 'h=X-Accel-Charset:koi8-r', 'h=Refresh:0;url=/page.php')],
    *[get(f'type {t}', '/type.php?t=' + t) for t in ('text/plain', 'text/plain;charset=koi8-r', 'application/json', 'text/html', 'TEXT/HTML', 'image/png', 'nothing', '')],
    get('headers all removed', '/noname.php'),
    *[get(f'case {c}', CASE + c, racy=LENGTHS if c in ('flush', 'implicit-flush', 'flush-headers', 'big-pieces', 'fatal-after-flush', 'header-after-output') else ()) for c in (
        'nothing', 'header-long', 'header-many', 'header-after-output', 'header-callback', 'header-newline', 'header-nul', 'cookies', 'charset-off', 'mimetype', 'content-length', 'status-header-both', '204', '304-type', 'location-201',
        'location-post-303', 'finish', 'finish-buffered', 'exit-3', 'exit-255', 'exit-text', 'exit-in-shutdown', 'fatal', 'fatal-first', 'fatal-shown', 'fatal-after-flush', 'fatal-status-set', 'fatal-memory', 'fatal-in-shutdown',
        'fatal-in-handler', 'exception', 'exception-handled', 'warning-shown', 'error-log', 'error-log-long', 'ob', 'ob-nested', 'ob-left-open', 'flush', 'flush-headers', 'implicit-flush', 'big', 'big-pieces', 'edges', 'std-streams',
        'php-output', 'session-fixed', 'destructor', 'user-abort', 'relative-include', 'filter', 'cwd', 'exec', 'proc-open')],
    get('case session-limiter', CASE + 'session-limiter', racy=['expires']),
    Row('HEAD of a large page', CASE + 'big', 'HEAD', status=None, racy=LENGTHS),
    Row('HEAD of a fatal error', CASE + 'fatal', 'HEAD', status=None),
    Row('HEAD under HTTP/1.0', '/page.php', 'HEAD', status=None, version='HTTP/1.0'),
    get('page of 2 MB', '/mb.php', racy=LENGTHS),
    Row('page of 2 MB under HTTP/1.0', '/mb.php', status=None, version='HTTP/1.0', racy=LENGTHS),
    Row('flushed page under HTTP/1.0', '/flush.php', status=None, version='HTTP/1.0'),
    get('readfile', '/read.php'),
    get('broken script', '/r/parse.php'),
    get('hashbang', '/r/hashbang.php'),

    # -- what fronts do with answers
    *[get(f'{n} {f}', f'/sendfile.php?n={n}&f={f}') for n, f in (('X-Accel-Redirect', '/internal/file.txt'), ('X-Accel-Redirect', '/internal/none.txt'), ('X-Accel-Redirect', '/r/dump.php?from=accel'), ('X-Sendfile', 'static.txt'),
                                                             ('X-LIGHTTPD-send-file', 'static.txt'))],
    get('X-Accel-Buffering', '/sendfile.php?n=X-Accel-Buffering&f=no', racy=LENGTHS),
    get('internal file', '/internal/file.txt'),
    *[get(f'error page for {s}', f'/error/code.php?s={s}') for s in (200, 403, 404, 500, 503)],
    Row('error page for 404 by HEAD', '/error/code.php?s=404', 'HEAD', status=None),
    Row('error page for 404 by POST', '/error/code.php?s=404', 'POST', b'a=1', FORM, status=None),
    get('error page for a missing script', '/error/none.php'),

    # -- ini
    get('.user.ini', '/r/ini/values.php'),
    send('.user.ini, form', b'a=1', FORM, '/r/ini/values.php'),
    get('.user.ini, prepend and append', '/odd/page.php'),
    get('.user.ini, prepend and exit', '/odd/exit.php'),
    get('.user.ini, missing script', '/odd/none.php'),
    Row('.user.ini, HEAD', '/odd/page.php', 'HEAD', status=None),

    # -- sessions: `cookies` takes what the row of that name has set
    get('session begins', '/session.php'),
    get('session goes on', '/session.php', cookies='session begins'),
    get('session with a new id', '/session.php?new', cookies='session begins'),
    get('session under the old id', '/session.php', cookies='session begins'),
    get('session under the new id', '/session.php', cookies='session with a new id'),
    get('session ends', '/session.php?end', cookies='session with a new id'),
    get('session after its end', '/session.php', cookies='session with a new id'),
    get('session of a bad id', '/session.php', {'Cookie': 'PHPSESSID=../../etc/passwd'}),
    get('session of an id of its own', '/session.php', {'Cookie': 'PHPSESSID=myownsessionid0123456789abc'}),
]
