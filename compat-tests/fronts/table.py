"""The requests that go through every front; long.py has more.  A Row names the feature it needs, if not every front has it."""

import hashlib

from ftm.http import multipart

PAGES = {
    'page.php': '<?php header("X-One: 1"); header("X-Two: a", false); header("X-Two: b", false); setcookie("c", "1"); setcookie("d", "2"); echo "<p>page ", $_GET["q"] ?? "-", "</p>\n";',
    'env.php': '<?php ksort($_SERVER); foreach ($_SERVER as $k => $v) { echo $k, "=", in_array($k, ["REMOTE_PORT", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "UNIQUE_ID"]) ? "*" : (is_array($v) ? json_encode($v) : $v), "\n"; } '
               '$env = getenv(); ksort($env); foreach ($env as $k => $v) { if (!isset($_SERVER[$k])) echo "env $k=$v\n"; } echo json_encode([$_GET, $_COOKIE]), "\n";',
    'post.php': '<?php $b = file_get_contents("php://input"); echo json_encode([$_SERVER["REQUEST_METHOD"], $_POST, strlen($b), sha1($b)]);',
    'upload.php': '<?php foreach ($_FILES as $n => $f) echo $n, " ", $f["name"], " ", $f["type"], " ", $f["error"], " ", $f["size"], " ", sha1_file($f["tmp_name"]), "\n"; echo json_encode($_POST);',
    'status.php': '<?php http_response_code((int)$_GET["s"]); if ($_GET["s"] != 204 && $_GET["s"] != 304) echo "status $_GET[s]\n";',
    'teapot.php': '<?php header("HTTP/1.1 418 Short and stout"); echo "teapot";',
    'redirect.php': '<?php header("Location: /page.php?q=there"); echo "moved";',
    'fatal.php': '<?php nothing();',
    'fatal-later.php': '<?php echo "before"; nothing();',
    'headers.php': '<?php for ($i = 0; $i < $_GET["n"]; $i++) header("X-Big-$i: " . str_repeat("v", 500)); echo "many headers";',
    'large.php': '<?php for ($i = 0; $i < 40000; $i++) echo str_pad("line $i", 60, "."), "\n";',
    'flush.php': '<?php for ($i = 0; $i < 20; $i++) { echo "part $i\n"; flush(); usleep(1000); }',
    'length.php': '<?php header("Content-Length: 11"); echo "hello world";',
    'empty.php': '<?php',
    'binary.php': '<?php header("Content-Type: application/octet-stream"); for ($i = 0; $i < 256; $i++) echo chr($i);',
    'auth.php': '<?php if (!isset($_SERVER["PHP_AUTH_USER"])) { header("WWW-Authenticate: Basic realm=x"); http_response_code(401); echo "who?"; } else echo $_SERVER["PHP_AUTH_USER"], ":", $_SERVER["PHP_AUTH_PW"];',
    'finish.php': '<?php echo "answer"; fastcgi_finish_request(); usleep(20000);',
    'apache.php': '<?php header("Content-Type: text/plain"); $h = getallheaders(); ksort($h); echo json_encode($h, JSON_PRETTY_PRINT);',
    'sub/index.php': '<?php echo "index of sub";',
}


class Row:
    """`headers` may be pairs, where one is repeated; a list as `body` is sent in chunks; `host` None: no such header; `racy`
    names response headers that depend on chance; `cookies`: as set in the answer to the row of that name."""

    def __init__(self, name, path, method='GET', body=None, headers=(), needs=None, status=200, racy=(), version='HTTP/1.1', host='localhost', cookies=None):
        self.name, self.path, self.method, self.body, self.needs, self.status, self.racy = name, path, method, body, needs, status, racy
        self.headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        self.version, self.host, self.cookies = version, host, cookies

    @property
    def chunked(self):
        return isinstance(self.body, list)

    def bytes(self, cookies=()):
        """The request as it is sent, with further cookies."""
        lines = [f'{self.method} {self.path} {self.version}', *([f'Host: {self.host}'] if self.host else []), 'User-Agent: ftm-test']
        names = {name.lower() for name, _ in self.headers}
        if 'accept-encoding' not in names:
            lines.append('Accept-Encoding: identity')
        if self.chunked:
            lines.append('Transfer-Encoding: chunked')
        elif self.body is not None or self.method in ('POST', 'PUT', 'PATCH'):
            lines.append(f'Content-Length: {len(self.body or b"")}')
        lines += [f'{name}: {value}' for name, value in self.headers]
        if cookies:
            lines.append('Cookie: ' + '; '.join(cookies))
        head = ''.join(line + '\r\n' for line in lines).encode('latin-1') + b'\r\n'
        if self.chunked:
            return head + b''.join(b'%x\r\n%s\r\n' % (len(part), part) for part in self.body) + b'0\r\n\r\n'
        return head + (self.body or b'')


FORM = {'Content-Type': 'application/x-www-form-urlencoded'}
UPLOAD, UPLOAD_TYPE = multipart([('field', 'värde')], [('a', 'a.txt', 'text/plain', b'A' * 3000), ('b', 'b.bin', 'application/octet-stream', hashlib.sha256(b'x').digest() * 4000)])
BASIC = {'Authorization': 'Basic Ym9iOnNlY3JldA=='}

# `status` is what stock php-fpm answers behind every front; None: that depends on the front.
ROWS = [
    Row('page', '/page.php?q=1'),
    Row('environment', '/env.php?a=1&b%5B%5D=2', headers={'Cookie': 'one=1; two=2', 'X-Custom': 'yes', 'Accept-Language': 'de'}),
    Row('environment of a form', '/env.php?x', 'POST', b'a=1', FORM),
    Row('path info', '/env.php/extra/path?q=1'),
    Row('path info with escapes', '/env.php/ex%20tra/p%C3%A4th?q=%2F'),
    Row('path in a folder', '/sub/index.php'),
    Row('authorization', '/auth.php', headers=BASIC, status=None),
    Row('no authorization', '/auth.php', status=401),
    Row('request headers', '/apache.php', headers={'X-Mixed-Case': 'V', 'Accept': 'text/*'}),
    Row('large request headers', '/apache.php', headers={f'X-Req-{i}': 'r' * 600 for i in range(8)}),
    Row('proxy header', '/env.php', headers={'Proxy': 'http://evil'}),
    Row('form', '/post.php', 'POST', b'a=1&b=%C3%BC&c[]=3', FORM),
    Row('empty post', '/post.php', 'POST', b'', FORM),
    Row('post of 1 MB', '/post.php', 'POST', b'0123456789abcdef' * 65536, {'Content-Type': 'application/octet-stream'}),
    Row('chunked post', '/post.php', 'POST', [b'first ', b'second ' * 3000, b'end'], {'Content-Type': 'text/plain'}, needs='chunked', status=None),
    Row('upload', '/upload.php', 'POST', UPLOAD, {'Content-Type': UPLOAD_TYPE}),
    Row('put', '/post.php', 'PUT', b'content', {'Content-Type': 'text/plain'}),
    Row('delete', '/post.php', 'DELETE'),
    Row('head', '/page.php', 'HEAD'),
    Row('options', '/post.php', 'OPTIONS'),
    Row('expect continue', '/post.php', 'POST', b'late', {'Content-Type': 'text/plain', 'Expect': '100-continue'}, racy=('connection', 'transfer-encoding')),     # Apache may or may not see the body in time
    *[Row(f'status {s}', f'/status.php?s={s}', status=s) for s in (201, 204, 304, 400, 403, 404, 410, 500, 503)],
    Row('status with words', '/teapot.php', status=418),
    Row('redirect', '/redirect.php', status=302),
    Row('missing script', '/none.php', status=404),
    Row('missing script with path info', '/none.php/x', status=404),
    Row('fatal error', '/fatal.php', status=500),
    Row('fatal error after output', '/fatal-later.php'),
    Row('response headers of 2 kB', '/headers.php?n=4'),
    Row('response headers of 20 kB', '/headers.php?n=40', needs='large headers', status=None),
    Row('large page', '/large.php'),
    Row('flushed page', '/flush.php'),
    Row('page with a length', '/length.php'),
    Row('empty page', '/empty.php'),
    Row('binary page', '/binary.php'),
    Row('finished early', '/finish.php'),
    Row('ping', '/ping', needs='pages'),
]
