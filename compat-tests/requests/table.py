"""The requests.  Each row is sent, byte for byte the same, to both servers.

A row: name, script (relative to the document root, with what follows it), pool, parameters that replace or (None) remove
those nginx would send, a body, and how it is sent.  {W} in any value is the document root.
"""

from ftm import fcgi
from ftm.http import multipart


class Row:
    def __init__(self, name, script='dump.php', pool='www', body=b'', raw=None, role=fcgi.RESPONDER, half_close=False, then=(), padding=0,
                 keep=False, apache=False, **params):
        self.name, self.script, self.pool, self.body, self.role = name, script, pool, body, role
        self.half_close, self.then, self.padding, self.keep = half_close, then, padding, keep
        self.raw, self.params, self.apache = raw, params, apache

    def parameters(self, docroot):
        """Pairs in the order they are sent."""
        def fill(value):
            return value.replace(b'{W}', docroot.encode()) if isinstance(value, bytes) else str(value).replace('{W}', docroot)
        if self.raw is not None:
            return [(fill(k), fill(v)) for k, v in self.raw]
        name = '/' + self.script
        # Apache's mod_proxy_fcgi sends HTTP_ variables first and its own afterwards; nginx the other way round.
        if self.apache:
            pairs = [('HTTP_HOST', 'localhost'), ('HTTP_USER_AGENT', 'ftm'), ('HTTP_ACCEPT', '*/*'), ('PATH', '/usr/bin:/bin'),
                     ('SERVER_SIGNATURE', '<address>Apache</address>\n'), ('SERVER_SOFTWARE', 'Apache/2.4.62 (Debian)'), ('SERVER_NAME', 'localhost'),
                     ('SERVER_ADDR', '127.0.0.1'), ('SERVER_PORT', '80'), ('REMOTE_ADDR', '127.0.0.1'), ('DOCUMENT_ROOT', '{W}'),
                     ('REQUEST_SCHEME', 'http'), ('CONTEXT_PREFIX', ''), ('CONTEXT_DOCUMENT_ROOT', '{W}'), ('SERVER_ADMIN', '[no address given]'),
                     ('SCRIPT_FILENAME', 'proxy:fcgi://127.0.0.1:9000{W}' + name), ('REMOTE_PORT', '40000'), ('GATEWAY_INTERFACE', 'CGI/1.1'),
                     ('SERVER_PROTOCOL', 'HTTP/1.1'), ('REQUEST_METHOD', 'GET'), ('QUERY_STRING', ''), ('REQUEST_URI', name), ('SCRIPT_NAME', name)]
        else:
            pairs = [('SCRIPT_FILENAME', '{W}' + name), ('QUERY_STRING', ''), ('REQUEST_METHOD', 'GET'), ('CONTENT_TYPE', ''), ('CONTENT_LENGTH', ''),
                     ('SCRIPT_NAME', name), ('REQUEST_URI', name), ('DOCUMENT_URI', name), ('DOCUMENT_ROOT', '{W}'), ('SERVER_PROTOCOL', 'HTTP/1.1'),
                     ('REQUEST_SCHEME', 'http'), ('GATEWAY_INTERFACE', 'CGI/1.1'), ('SERVER_SOFTWARE', 'nginx/1.22.1'), ('REMOTE_ADDR', '127.0.0.1'),
                     ('REMOTE_PORT', '40000'), ('SERVER_ADDR', '127.0.0.1'), ('SERVER_PORT', '80'), ('SERVER_NAME', 'localhost'),
                     ('REDIRECT_STATUS', '200'), ('HTTP_HOST', 'localhost'), ('HTTP_USER_AGENT', 'ftm'), ('HTTP_ACCEPT', '*/*')]
        query = self.params.get('QUERY_STRING')
        if query and 'REQUEST_URI' not in self.params:
            pairs = [(k, v + '?' + query if k == 'REQUEST_URI' else v) for k, v in pairs]
        known = [k for k, _ in pairs]
        pairs = [(k, self.params.get(k, v)) for k, v in pairs]
        pairs += [(k, v) for k, v in self.params.items() if k not in known]
        return [(fill(k), fill(v)) for k, v in pairs if v is not None]


def case(name, *, query='', **kwargs):
    """A case of case.php, named after it."""
    label = kwargs.pop('label', 'case ' + name)
    return Row(label, 'case.php', QUERY_STRING=f'c={name}{query}', **kwargs)


def post(name, body, content_type='application/x-www-form-urlencoded', script='dump.php', **kwargs):
    body = body if isinstance(body, bytes) else body.encode()
    kwargs.setdefault('CONTENT_LENGTH', str(len(body)))
    return Row(name, script, body=body, REQUEST_METHOD=kwargs.pop('REQUEST_METHOD', 'POST'), CONTENT_TYPE=content_type, **kwargs)


FORM, FORM_TYPE = multipart([('title', 'a b'), ('tags[]', 'one'), ('tags[]', 'two'), ('deep[a][b]', 'c')],
                            [('file', 'hello.txt', 'text/plain', b'hello\n'), ('many[]', 'a.bin', 'application/octet-stream', bytes(range(256))),
                             ('many[]', '../../etc/b.bin', 'application/octet-stream', b''), ('none', '', 'application/octet-stream', b'')])

ROWS = [
    # -- script resolution ------------------------------------------------------------------------------------------
    Row('plain'),
    Row('plain, padded records', padding=5),
    Row('no method', REQUEST_METHOD=None),
    Row('empty method', REQUEST_METHOD=''),
    Row('path info, split by the front', SCRIPT_FILENAME='{W}/dump.php', PATH_INFO='/a/b', PATH_TRANSLATED='{W}/a/b', REQUEST_URI='/dump.php/a/b'),
    Row('path info, not split, no PATH_INFO', 'dump.php/a/b'),
    Row('path info, not split, PATH_INFO whole', SCRIPT_FILENAME='{W}/dump.php/a/b', SCRIPT_NAME='/dump.php/a/b', PATH_INFO='/dump.php/a/b'),
    Row('path info, not split, PATH_INFO tail', 'dump.php/a/b', PATH_INFO='/a/b'),
    Row('path info, not split, PATH_INFO shorter than the tail', 'dump.php/a/b', PATH_INFO='/b'),
    Row('path info, PATH_TRANSLATED given', 'dump.php/a/b', PATH_INFO='/dump.php/a/b', PATH_TRANSLATED='{W}/dump.php/a/b'),
    Row('path info, only a slash', 'dump.php/', PATH_INFO='/'),
    Row('path info, empty', PATH_INFO=''),
    Row('path info, doubled slashes', 'dump.php//a//b', PATH_INFO='//a//b'),
    Row('path info, percent', 'dump.php/a%20b%2Fc', PATH_INFO='/a%20b%2Fc'),
    Row('path info, not ASCII', 'dump.php/ü', PATH_INFO='/ü'),
    Row('path info, ends in .php', 'dump.php/x.php', PATH_INFO='/x.php'),
    Row('path info after a missing script', 'none.php/a/b', PATH_INFO='/a/b'),
    Row('path info after a text file', 'text.txt/x.php', PATH_INFO='/x.php'),
    Row('path info without DOCUMENT_ROOT', 'dump.php/a/b', DOCUMENT_ROOT=None, PATH_INFO='/dump.php/a/b'),
    Row('path info, DOCUMENT_ROOT ends in a slash', 'dump.php/a/b', DOCUMENT_ROOT='{W}/', PATH_INFO='/dump.php/a/b'),
    Row('path info below a folder', 'sub/dump.php/x', PATH_INFO='/sub/dump.php/x'),
    Row('Action handler', SCRIPT_FILENAME='/usr/bin/php-cgi', SCRIPT_NAME='/php/php-cgi', PATH_INFO='/dump.php/a/b',
        PATH_TRANSLATED='{W}/dump.php/a/b', REDIRECT_URL='/dump.php/a/b'),
    Row('Action handler without path info', SCRIPT_FILENAME='/usr/bin/php-cgi', SCRIPT_NAME='/php/php-cgi', PATH_INFO='/dump.php',
        PATH_TRANSLATED='{W}/dump.php', REDIRECT_URL='/dump.php'),
    Row('Action handler, script missing', SCRIPT_FILENAME='/usr/bin/php-cgi', SCRIPT_NAME='/php/php-cgi', PATH_INFO='/none.php',
        PATH_TRANSLATED='{W}/none.php', REDIRECT_URL='/none.php'),
    Row('REDIRECT_URL and an existing script', REDIRECT_URL='/pretty/url', PATH_INFO='/pi', PATH_TRANSLATED='{W}/pi'),
    Row('REDIRECT_URL alone', REDIRECT_URL='/pretty/url'),
    Row('IIS', 'dump.php', SERVER_SOFTWARE='Microsoft-IIS/10.0', PATH_INFO='/dump.php/a/b'),
    Row('IIS, no path info', 'dump.php', SERVER_SOFTWARE='Microsoft-IIS/10.0', PATH_INFO='/dump.php'),
    Row('only PATH_TRANSLATED', SCRIPT_FILENAME=None, PATH_TRANSLATED='{W}/dump.php'),
    Row('only PATH_TRANSLATED, with a tail', SCRIPT_FILENAME=None, PATH_TRANSLATED='{W}/dump.php/a', PATH_INFO='/dump.php/a'),
    Row('neither SCRIPT_FILENAME nor PATH_TRANSLATED', SCRIPT_FILENAME=None),
    Row('empty SCRIPT_FILENAME', SCRIPT_FILENAME=''),
    Row('relative SCRIPT_FILENAME', SCRIPT_FILENAME='dump.php'),
    Row('no SCRIPT_NAME', SCRIPT_NAME=None),
    Row('no parameters but the two', raw=[('SCRIPT_FILENAME', '{W}/dump.php'), ('REQUEST_METHOD', 'GET')]),
    Row('only SCRIPT_FILENAME', raw=[('SCRIPT_FILENAME', '{W}/dump.php')]),
    Row('no parameters at all', raw=[]),
    Row('only unknown parameters', raw=[('A', 'b'), ('REQUEST_METHOD', 'GET')]),
    Row('script with a space', 'with space.php'),
    Row('script not ASCII', 'ümlaut.php'),
    Row('script with a percent sign', 'percent%20.php'),
    Row('name that begins with dots', '..dots.php'),
    Row('dot dot inside', SCRIPT_FILENAME='{W}/sub/../dump.php'),
    Row('dot dot at the end', SCRIPT_FILENAME='{W}/sub/..'),
    Row('dot dot out of the root', SCRIPT_FILENAME='{W}/../../../etc/passwd'),
    Row('dot dot in PATH_INFO', 'dump.php/../x', PATH_INFO='/dump.php/../x'),
    Row('single dots and double slashes', SCRIPT_FILENAME='{W}/./sub//dump.php'),
    Row('through a symlink of the root', SCRIPT_FILENAME='{W}-link/dump.php', DOCUMENT_ROOT='{W}-link'),
    Row('symlink of the root, real script', SCRIPT_FILENAME='{W}/dump.php', DOCUMENT_ROOT='{W}-link'),
    Row('symlinked script', 'link.php'),
    Row('symlinked folder', 'linked/dump.php'),
    Row('dangling symlink', 'dangling.php'),
    Row('DOCUMENT_ROOT absent', DOCUMENT_ROOT=None),
    Row('DOCUMENT_ROOT elsewhere', DOCUMENT_ROOT='/usr/share'),

    # -- what cannot be run -----------------------------------------------------------------------------------------
    Row('missing .php', 'none.php'),
    Row('missing .txt', 'none.txt'),
    Row('existing .txt', 'text.txt'),
    Row('folder', 'sub'),
    Row('folder with a slash', 'sub/'),
    Row('folder named .php', 'd.php'),
    Row('folder named .php with a slash', 'd.php/'),
    Row('unreadable script', 'secret.php'),
    Row('below an unreadable folder', 'locked/dump.php'),
    Row('component that is a file', 'text.txt/dump.php'),
    Row('name of 300 bytes', 'x' * 300 + '.php'),
    Row('path of 5000 bytes', 'a/' * 2500 + 'x.php'),
    Row('NUL in the name', SCRIPT_FILENAME=b'{W}/dump.php\0.txt'),
    Row('limit_extensions: .phar', 'archive.phar'),
    Row('limit_extensions: upper case', 'small.PHP'),
    Row('limit_extensions: .inc', 'small.inc'),
    Row('limit_extensions: nothing but the extension', '.php'),
    Row('limit_extensions: own list, allowed', 'small.inc', pool='values'),
    Row('limit_extensions: own list, .php', 'small.php', pool='values'),
    Row('limit_extensions: empty list', 'text.txt', pool='open'),
    Row('HEAD of a missing script', 'none.php', REQUEST_METHOD='HEAD'),
    Row('POST to a missing script', 'none.php', REQUEST_METHOD='POST', CONTENT_LENGTH='5', body=b'a=b&c', CONTENT_TYPE='application/x-www-form-urlencoded'),
    Row('empty script', 'empty.php'),
    Row('script that is plain text', 'plain.php'),
    Row('hash-bang', 'hashbang.php'),
    Row('parse error', 'parse.php'),

    # -- mod_proxy_fcgi ---------------------------------------------------------------------------------------------
    Row('proxy:fcgi', apache=True),
    Row('proxy:fcgi, path info', 'dump.php/a/b', apache=True),
    Row('proxy:fcgi, path info encoded', apache=True, SCRIPT_FILENAME='proxy:fcgi://127.0.0.1:9000{W}/dump.php/a%20b', SCRIPT_NAME='/dump.php/a b', REQUEST_URI='/dump.php/a%20b'),
    Row('proxy:fcgi, PATH_INFO given', 'dump.php/a/b', apache=True, PATH_INFO='/a/b'),
    Row('proxy:fcgi, query glued on', apache=True, SCRIPT_FILENAME='proxy:fcgi://h:1{W}/dump.php?x=/y', QUERY_STRING='x=/y'),
    Row('proxy:fcgi, SCRIPT_NAME without the tail', apache=True, SCRIPT_FILENAME='proxy:fcgi://h:1{W}/dump.php/a/b', SCRIPT_NAME='/dump.php'),
    Row('proxy:fcgi, host only', apache=True, SCRIPT_FILENAME='proxy:fcgi://host'),
    Row('proxy:fcgi, missing script', 'none.php', apache=True),
    Row('proxy:fcgi, folder', 'sub/', apache=True),
    Row('proxy:fcgi, REDIRECT_URL', 'dump.php', apache=True, REDIRECT_URL='/pretty', REDIRECT_STATUS='200'),
    Row('proxy:fcgi, PATH_TRANSLATED', 'dump.php/a', apache=True, PATH_TRANSLATED='{W}/a', PATH_INFO='/a'),
    Row('PROXY:FCGI in capitals', apache=True, SCRIPT_FILENAME='PROXY:FCGI://127.0.0.1:9000{W}/dump.php'),
    Row('proxy:balancer', apache=True, SCRIPT_FILENAME='proxy:balancer://cluster{W}/dump.php/a'),
    Row('proxy:unix (SetHandler)', apache=True, SCRIPT_FILENAME='proxy:unix:/run/x.sock|fcgi://localhost{W}/dump.php'),
    Row('SetHandler as Apache 2.4 sends it', apache=True, SCRIPT_FILENAME='{W}/dump.php', PROXY_FCGI='1'),

    # -- cgi.fix_pathinfo = 0, cgi.discard_path, doc_root -----------------------------------------------------------
    Row('fix_pathinfo=0: plain', pool='nofix'),
    Row('fix_pathinfo=0: PATH_INFO', pool='nofix', PATH_INFO='/a/b'),
    Row('fix_pathinfo=0: PATH_INFO and PATH_TRANSLATED', pool='nofix', PATH_INFO='/a/b', PATH_TRANSLATED='{W}/small.php'),
    Row('fix_pathinfo=0: tail on the script', 'dump.php/a/b', pool='nofix', PATH_INFO='/a/b'),
    Row('fix_pathinfo=0: missing', 'none.php', pool='nofix'),
    Row('fix_pathinfo=0: missing text', 'none.txt', pool='nofix'),
    Row('fix_pathinfo=0: folder', 'd.php', pool='nofix'),
    Row('fix_pathinfo=0: unreadable', 'secret.php', pool='nofix'),
    Row('fix_pathinfo=0: proxy:fcgi', apache=True, pool='nofix'),
    Row('fix_pathinfo=0: only PATH_TRANSLATED', pool='nofix', SCRIPT_FILENAME=None, PATH_TRANSLATED='{W}/dump.php'),
    Row('fix_pathinfo=0: dot dot', pool='nofix', SCRIPT_FILENAME='{W}/sub/../dump.php'),
    Row('discard_path', pool='discard', PATH_TRANSLATED='{W}/small.php'),
    Row('doc_root', pool='docroot', SCRIPT_FILENAME='{W}/small.php', SCRIPT_NAME='/sub/dump.php'),
    Row('doc_root, no DOCUMENT_ROOT', pool='docroot', DOCUMENT_ROOT=None),
    Row('open_basedir', pool='basedir'),
    Row('open_basedir, inside', 'sub/dump.php', pool='basedir'),

    # -- authentication ---------------------------------------------------------------------------------------------
    Row('basic', HTTP_AUTHORIZATION='Basic dXNlcjpwYXNz'),
    Row('basic, colon in the password', HTTP_AUTHORIZATION='Basic dXNlcjpwYTpzcw=='),
    Row('basic, empty password', HTTP_AUTHORIZATION='Basic dXNlcjo='),
    Row('basic, no colon', HTTP_AUTHORIZATION='Basic dXNlcg=='),
    Row('basic, not base64', HTTP_AUTHORIZATION='Basic ***'),
    Row('basic, lower case', HTTP_AUTHORIZATION='basic dXNlcjpwYXNz'),
    Row('digest', HTTP_AUTHORIZATION='Digest username="u", realm="r", nonce="n", uri="/", response="x"'),
    Row('bearer', HTTP_AUTHORIZATION='Bearer abc.def'),
    Row('empty authorization', HTTP_AUTHORIZATION=''),
    Row('REDIRECT_HTTP_AUTHORIZATION', REDIRECT_HTTP_AUTHORIZATION='Basic dXNlcjpwYXNz'),
    Row('REMOTE_USER and AUTH_TYPE', REMOTE_USER='somebody', AUTH_TYPE='Basic'),

    # -- bodies and CONTENT_LENGTH ----------------------------------------------------------------------------------
    post('form', 'a=1&b=2&c[]=3&c[]=4&d%20e=f+g&h.i=j'),
    post('form, charset in the type', 'a=%C3%BC', 'application/x-www-form-urlencoded; charset=UTF-8'),
    post('form, type in capitals', 'a=1', 'Application/X-WWW-Form-URLencoded'),
    post('form, empty', ''),
    post('form, odd', 'a&=b&c==d&&e=%zz&f[=g&h]=i&' + 'k' * 300 + '=l'),
    post('form, 1100 variables', '&'.join(f'v{i}={i}' for i in range(1100))),
    post('form, larger than post_max_size', 'a=' + 'x' * 3000, pool='values', script='small.php'),
    post('form by PUT', 'a=1', REQUEST_METHOD='PUT'),
    post('form by PATCH', 'a=1', REQUEST_METHOD='PATCH'),
    post('form by GET', 'a=1', REQUEST_METHOD='GET'),
    post('form by DELETE', 'a=1', REQUEST_METHOD='DELETE'),
    post('form, enable_post_data_reading off', 'a=1', pool='noread'),
    post('multipart, enable_post_data_reading off', FORM, FORM_TYPE, pool='noread'),
    post('json', '{"a": [1, 2]}', 'application/json'),
    post('raw', bytes(range(256)) * 8, 'application/octet-stream'),
    post('raw without a type', 'a=1&b=2', ''),
    post('raw, 300 KB', b'0123456789' * 30000, 'application/octet-stream'),
    post('raw, many small records', b'0123456789' * 3000, 'application/octet-stream'),
    post('multipart', FORM, FORM_TYPE),
    post('multipart, padded', FORM, FORM_TYPE, padding=7),
    post('multipart, quoted boundary', FORM, FORM_TYPE.replace('boundary=', 'boundary="') + '"'),
    post('multipart, no boundary', FORM, 'multipart/form-data'),
    post('multipart, wrong boundary', FORM, 'multipart/form-data; boundary=other'),
    post('multipart, cut off', FORM[:-200], FORM_TYPE),
    post('multipart, file too large', *multipart([('a', 'b')], [('f', 'big.bin', 'x/y', b'z' * 3000)]), pool='upload', script='dump.php'),
    post('multipart by PUT', FORM, FORM_TYPE, REQUEST_METHOD='PUT'),
    Row('body, no CONTENT_LENGTH', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH=None, CONTENT_TYPE='text/plain', half_close=True),
    Row('body, empty CONTENT_LENGTH', body=b'hello', REQUEST_METHOD='POST', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH -1', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='-1', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH -1, no body', REQUEST_METHOD='POST', CONTENT_LENGTH='-1', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH 0 and no body', REQUEST_METHOD='POST', CONTENT_LENGTH='0', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH 0 and a body', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='0', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH too small', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='3', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH too small, form', body=b'a=1&b=2', REQUEST_METHOD='POST', CONTENT_LENGTH='3', CONTENT_TYPE='application/x-www-form-urlencoded'),
    Row('CONTENT_LENGTH too large', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='9', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH too large, form', body=b'a=1&b=2', REQUEST_METHOD='POST', CONTENT_LENGTH='99', CONTENT_TYPE='application/x-www-form-urlencoded', half_close=True),
    Row('CONTENT_LENGTH positive, no body', REQUEST_METHOD='POST', CONTENT_LENGTH='9', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH words', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='five', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH 5abc', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='5abc', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH with blanks', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH=' 5 ', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH +5', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='+5', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH 0x5', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='0x5', CONTENT_TYPE='text/plain'),
    Row('CONTENT_LENGTH beyond 64 bits', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='99999999999999999999999', CONTENT_TYPE='text/plain', half_close=True),
    Row('CONTENT_LENGTH above post_max_size, raw', body=b'hello', pool='values', script='small.php', REQUEST_METHOD='POST', CONTENT_LENGTH='5000', CONTENT_TYPE='text/plain', half_close=True),
    Row('GET with a body', body=b'hello', CONTENT_LENGTH='5', CONTENT_TYPE='text/plain'),
    Row('HEAD with a body', body=b'hello', REQUEST_METHOD='HEAD', CONTENT_LENGTH='5', CONTENT_TYPE='text/plain'),
    Row('REQUEST_BODY_FILE', REQUEST_METHOD='POST', CONTENT_LENGTH='10', CONTENT_TYPE='text/plain', REQUEST_BODY_FILE='{W}/text.txt'),
    Row('REQUEST_BODY_FILE missing', REQUEST_METHOD='POST', CONTENT_LENGTH='10', CONTENT_TYPE='text/plain', REQUEST_BODY_FILE='{W}/none'),
    Row('REQUEST_BODY_FILE empty', body=b'hello', REQUEST_METHOD='POST', CONTENT_LENGTH='5', CONTENT_TYPE='text/plain', REQUEST_BODY_FILE=''),
    case('input-twice', body=b'0123456789', REQUEST_METHOD='POST', CONTENT_LENGTH='10', CONTENT_TYPE='text/plain'),
    case('input-twice', label='input-twice, form', body=b'a=1&b=23456', REQUEST_METHOD='POST', CONTENT_LENGTH='11', CONTENT_TYPE='application/x-www-form-urlencoded'),
    case('hello', label='body that nobody reads', body=b'z' * 100000, REQUEST_METHOD='POST', CONTENT_LENGTH='100000', CONTENT_TYPE='text/plain'),

    # -- parameters -------------------------------------------------------------------------------------------------
    Row('HTTP_PROXY', HTTP_PROXY='http://evil:1/'),
    Row('HTTP and H and HTTP_P', HTTP='one', H='two', HTTP_P='three'),
    Row('repeated parameters', raw=[('SCRIPT_FILENAME', '{W}/none.php'), ('DOUBLE', 'first'), ('REQUEST_METHOD', 'GET'), ('SCRIPT_NAME', '/dump.php'),
                                    ('DOUBLE', 'second'), ('SCRIPT_FILENAME', '{W}/dump.php'), ('HTTP_X', '1'), ('HTTP_X', '2')]),
    Row('empty values', EMPTY_ONE='', HTTP_EMPTY='', QUERY_STRING=''),
    Row('empty name', raw=[('', 'value of nothing'), ('SCRIPT_FILENAME', '{W}/dump.php'), ('REQUEST_METHOD', 'GET'), ('', '')]),
    Row('odd names', **{'A[x]': '1', 'A[y]': '2', 'B.C': '3', 'D E': '4', 'lower': '5', '=F': '6', 'G=H': '7', ' I': '8', 'ÜMLAUT': '9', '[J': '10'}),
    Row('bytes above 127 and control bytes', RAW=bytes(range(1, 256)), HTTP_X_RAW=bytes(range(128, 256))),
    Row('NUL in a value', WITH_NUL=b'before\0after', HTTP_X_NUL=b'a\0b'),
    Row('value of 127, 128 and 70000 bytes', V127='a' * 127, V128='b' * 128, V70000='c' * 30000, HTTP_X_LONG='d' * 20000),
    Row('name of 128 and 200 bytes', **{'N' * 127: '1', 'M' * 128: '2', 'HTTP_' + 'L' * 200: '3'}),
    Row('300 parameters', **{f'HTTP_X_{i}': str(i) for i in range(300)}),
    Row('environment name as a parameter', PATH='/from/the/front', USER='front', HOME='/front', FTM_ROW='front'),
    Row('PHP_SELF and REQUEST_TIME as parameters', PHP_SELF='/mine', REQUEST_TIME='5', REQUEST_TIME_FLOAT='5.5', PHP_AUTH_USER='mallory', argc='7'),
    Row('ORIG_ names as parameters', 'dump.php/a/b', ORIG_PATH_INFO='x', ORIG_SCRIPT_FILENAME='y', ORIG_SCRIPT_NAME='z', PATH_INFO='/dump.php/a/b'),
    Row('FCGI_ROLE as a parameter', FCGI_ROLE='KING'),
    Row('authorizer role', role=fcgi.AUTHORIZER),
    Row('filter role', role=fcgi.FILTER),
    Row('request headers', HTTP_ACCEPT_LANGUAGE='de', HTTP_X_FORWARDED_FOR='::1', HTTP__ODD_='1', HTTP_A__B='2', HTTP_lower_Case='3', CONTENT_TYPE='text/plain',
        CONTENT_LENGTH='5', CONTENT_MD5='x', HTTP_CONTENT_TYPE='second', HTTP_='4', HTTP_1='5', HTTP_COOKIE='a=b', body=b'hello', REQUEST_METHOD='POST'),
    Row('query string, odd', QUERY_STRING='a[]=1&a[]=2&b.c=3&d%00e=4&=5&f&&g=%zz&h=+%2B&a[x][y]=6&i[=7'),
    Row('query string, absent', QUERY_STRING=None),
    Row('query string, only a word', QUERY_STRING='word'),
    Row('query string, 1100 variables', 'small.php', QUERY_STRING='&'.join(f'v{i}=1' for i in range(1100))),
    Row('cookies', HTTP_COOKIE='a=1; b=%20x; c.d=3; a=second;e; =f; g[h]=i; j=k=l; __Host-m=n; ..Host=o'),
    Row('HTTPS', HTTPS='on', REQUEST_SCHEME='https', SERVER_PORT='443'),
    Row('HTTP/2.0', SERVER_PROTOCOL='HTTP/2.0'),
    Row('HTTP/0.9', SERVER_PROTOCOL='HTTP/0.9'),
    Row('HTTP/1.0', SERVER_PROTOCOL='HTTP/1.0'),
    Row('no SERVER_PROTOCOL', SERVER_PROTOCOL=None),
    case('http-line', label='HTTP line under HTTP/1.0', SERVER_PROTOCOL='HTTP/1.0'),
    case('status404', label='404 without SERVER_PROTOCOL', SERVER_PROTOCOL=None),
    Row('method HEAD', REQUEST_METHOD='HEAD'),
    Row('method OPTIONS', REQUEST_METHOD='OPTIONS'),
    Row('method of its own', REQUEST_METHOD='BREW'),
    Row('method in lower case', REQUEST_METHOD='get'),
    Row('method TRACE', REQUEST_METHOD='TRACE'),
    case('big', label='HEAD of a large page', REQUEST_METHOD='HEAD'),
    case('status404', label='HEAD with 404', REQUEST_METHOD='HEAD'),
    case('filter', FTM_X='1'),
    case('request-time'),

    # -- argv -------------------------------------------------------------------------------------------------------
    Row('argv', pool='argv', QUERY_STRING='one+two+three%20four'),
    Row('argv, with an equals sign', pool='argv', QUERY_STRING='a=b+c'),
    Row('argv, empty query', pool='argv'),
    Row('argv, no query', pool='argv', QUERY_STRING=None),
    Row('argv off, query of words', QUERY_STRING='one+two'),

    # -- environment of the pool ------------------------------------------------------------------------------------
    Row('env[] beside clear_env=no', pool='env'),
    Row('env[] and a parameter of the same name', pool='env', FROM_POOL='param', INHERITED='param'),
    Row('no variables_order E', pool='values', script='dump.inc'),
    case('putenv', pool='env'),
    case('putenv-gone', pool='env'),
    case('exec'), case('proc-open'),

    # -- ini: .user.ini, PHP_VALUE, pool values, prepend ------------------------------------------------------------
    Row('.user.ini', 'ini/values.php'),
    Row('.user.ini, second request', 'ini/values.php'),
    Row('.user.ini of a folder and the one below', 'ini/below/values.php'),
    Row('.user.ini, DOCUMENT_ROOT below', 'ini/below/values.php', DOCUMENT_ROOT='{W}/ini/below'),
    Row('.user.ini, DOCUMENT_ROOT elsewhere', 'ini/values.php', DOCUMENT_ROOT='/usr/share'),
    Row('.user.ini, no DOCUMENT_ROOT', 'ini/values.php', DOCUMENT_ROOT=None),
    Row('.user.ini after a folder without one', 'values.php'),
    Row('.user.ini against locked values', 'ini/values.inc', pool='values'),
    Row('PHP_VALUE', 'values.php', pool='fresh', PHP_VALUE='memory_limit = 77M\nuser_agent = "from the front"\nprecision=3'),
    Row('PHP_ADMIN_VALUE', 'ini/values.php', pool='fresh', PHP_ADMIN_VALUE='user_agent = locked\nmemory_limit=99M'),
    Row('PHP_VALUE and PHP_ADMIN_VALUE', 'values.php', pool='fresh', PHP_VALUE='precision=3\nuser_agent=value', PHP_ADMIN_VALUE='precision=4'),
    Row('PHP_VALUE auto_prepend_file', 'values.php', pool='fresh', PHP_VALUE='auto_prepend_file={W}/prepend.inc\nauto_append_file={W}/append.inc'),
    Row('PHP_VALUE with a section', 'values.php', pool='fresh', PHP_VALUE='[x]\nprecision=3'),
    Row('PHP_VALUE with an array', 'values.php', pool='fresh', PHP_VALUE='precision[]=3'),
    Row('PHP_VALUE unknown', 'values.php', pool='fresh', PHP_VALUE='no_such_directive=3\nprecision=3'),
    Row('PHP_VALUE broken', 'values.php', pool='fresh', PHP_VALUE='precision=3\n((('),
    Row('PHP_VALUE empty value', 'values.php', pool='fresh', PHP_VALUE='user_agent='),
    Row('PHP_VALUE changes the body limit', 'values.php', pool='fresh', PHP_VALUE='post_max_size=3', REQUEST_METHOD='POST', CONTENT_LENGTH='7', body=b'a=1&b=2',
        CONTENT_TYPE='application/x-www-form-urlencoded'),
    Row('PHP_VALUE of the request before is gone', 'values.php', pool='fresh'),
    Row('php_value, php_flag, php_admin_value', 'small.inc', pool='values', then=[('case.inc', 'c=ini-values')]),
    Row('auto_prepend_file and auto_append_file', 'small.php', pool='prepend'),
    Row('auto_prepend_file before a missing script', 'none.php', pool='prepend'),
    Row('auto_prepend_file on HEAD', 'small.php', pool='prepend', REQUEST_METHOD='HEAD'),
    case('ini'), case('ini-set-cgi'), case('extensions'), case('sapi'), case('phpinfo-module'), case('timezone'),
    Row('output_buffering', 'case.php', pool='buffered', QUERY_STRING='c=ob-levels'),
    Row('output_buffering, header after output', 'case.php', pool='buffered', QUERY_STRING='c=header-after-output'),
    Row('expose_php off', 'small.php', pool='quiet'),
    Row('expose_php off, missing', 'none.php', pool='quiet'),
    Row('html_errors and display_errors', 'case.php', pool='quiet', QUERY_STRING='c=fatal'),
    Row('cgi.rfc2616_headers: 404', 'case.php', pool='rfc', QUERY_STRING='c=status404'),
    Row('cgi.rfc2616_headers: HTTP line', 'case.php', pool='rfc', QUERY_STRING='c=http-line'),
    Row('cgi.rfc2616_headers: 200', 'case.php', pool='rfc', QUERY_STRING='c=hello'),
    Row('cgi.nph: 200', 'case.php', pool='nph', QUERY_STRING='c=hello'),
    Row('cgi.nph: 404', 'case.php', pool='nph', QUERY_STRING='c=status404'),
    Row('fastcgi.error_header', 'case.php', pool='errorheader', QUERY_STRING='c=fatal'),
    Row('fastcgi.error_header, exit(255)', 'case.php', pool='errorheader', QUERY_STRING='c=exit-255'),
    Row('fastcgi.error_header after output', 'case.php', pool='errorheader', QUERY_STRING='c=fatal-after-flush'),
    Row('fastcgi.logging off', 'case.php', pool='quiet', QUERY_STRING='c=error-log'),
    Row('default_charset of the pool', 'case.php', pool='quiet', QUERY_STRING='c=hello'),

    # -- ping, status, fpm_get_status -------------------------------------------------------------------------------
    Row('ping', SCRIPT_NAME='/ping', REQUEST_URI='/ping'),
    Row('ping by HEAD', SCRIPT_NAME='/ping', REQUEST_URI='/ping', REQUEST_METHOD='HEAD'),
    Row('ping by POST', SCRIPT_NAME='/ping', REQUEST_URI='/ping', REQUEST_METHOD='POST', CONTENT_LENGTH='5', body=b'hello'),
    Row('ping, script missing', 'none.php', SCRIPT_NAME='/ping', REQUEST_URI='/ping'),
    Row('ping without SCRIPT_FILENAME', SCRIPT_FILENAME=None, SCRIPT_NAME='/ping'),
    Row('ping with a tail', SCRIPT_NAME='/ping/', REQUEST_URI='/ping/'),
    Row('ping, own answer', pool='env', SCRIPT_NAME='/ping', REQUEST_URI='/ping'),
    Row('ping where there is none', 'dump.php', pool='open', SCRIPT_NAME='/ping', REQUEST_URI='/ping'),
    Row('status', SCRIPT_NAME='/status', REQUEST_URI='/status'),
    Row('status by HEAD', SCRIPT_NAME='/status', REQUEST_URI='/status', REQUEST_METHOD='HEAD'),
    case('fpm-status', query='&x=%3C', REQUEST_METHOD='GET'),

    # -- responses --------------------------------------------------------------------------------------------------
    *[case(name) for name in (
        'hello', 'nothing', 'status404', 'status500-empty', 'status999', 'status299', 'http-line', 'http-line-only-code', 'http-line-200-text', 'status-header',
        'status-header-200', 'status-header-both', '204', '204-body', '304', '304-type', '301', 'location', 'location-201', 'location-post-303', 'www-authenticate',
        'header-order', 'header-newline', 'header-nul', 'header-long', 'header-many', 'header-after-output', 'header-callback', 'header-colonless',
        'header-empty-value', 'header-utf8', 'powered-by', 'powered-by-removed', 'content-type', 'content-type-case', 'content-type-charset',
        'content-type-empty', 'charset-off', 'mimetype', 'content-length', 'cookies')],
    case('location', label='location under HTTP/1.1 by POST', REQUEST_METHOD='POST', CONTENT_LENGTH='0'),
    case('finish'), case('finish-buffered'),
    *[row for name in ('finish-twice', 'finish-big', 'finish-shutdown')
      for row in (case(name, query='&f={T}/' + name), case('read-file', label=name + ', what it left', query='&f={T}/' + name))],
    *[case(name) for name in (
        'exit-3', 'exit-255', 'exit-text', 'exit-in-shutdown', 'fatal', 'fatal-first', 'fatal-shown', 'fatal-html', 'fatal-after-flush', 'fatal-status-set', 'fatal-memory',
        'fatal-type', 'fatal-in-shutdown', 'fatal-in-handler', 'exception', 'exception-shown', 'exception-handled', 'warning-shown', 'warning-logged', 'error-log',
        'error-log-long', 'error-log-syslogish', 'trigger', 'prepend-string', 'ob', 'ob-nested', 'ob-left-open', 'ob-levels', 'flush', 'flush-headers', 'implicit-flush',
        'big', 'big-pieces', 'edges', 'binary', 'php-output', 'std-streams', 'session', 'session-fixed', 'session-limiter', 'umask', 'umask-reset', 'cwd', 'cwd-reset', 'locale',
        'locale-reset', 'time-limit', 'sleep-is-no-cpu', 'destructor', 'getmypid', 'tempnam', 'relative-include', 'getlastmod', 'user-abort', 'zlib')],
    case('session', label='session of a cookie', HTTP_COOKIE='PHPSESSID=fixedbycookie0123456789ab'),
    case('session', label='session of a cookie, second request', HTTP_COOKIE='PHPSESSID=fixedbycookie0123456789ab'),
    case('session', label='session of a bad cookie', HTTP_COOKIE='PHPSESSID=..%2Fevil'),
    case('zlib', label='zlib with Accept-Encoding', HTTP_ACCEPT_ENCODING='gzip'),
    case('fatal', label='fatal by HEAD', REQUEST_METHOD='HEAD'),
    case('relative-include', label='relative include from another root', SCRIPT_FILENAME='{W}-link/case.php'),
    Row('chdir of the pool', pool='env', script='case.php', QUERY_STRING='c=cwd'),
]

names = [row.name for row in ROWS]
assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
