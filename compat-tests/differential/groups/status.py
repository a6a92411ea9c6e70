"""The status page in every format while none, one and all contexts are busy; ping; fpm_get_status()."""

import os
import re
import time

from ftm import fcgi
from ftm.proc import poll
from ftm.server import Pool, Server, free_port

FORMATS = ('text', 'html', 'xml', 'json', 'openmetrics')
CHILDREN = 3
HOLD = '<?php touch($_SERVER["HTTP_MARK"]); for ($i = 0; $i < 60000 && !file_exists($_SERVER["HTTP_GO"]); $i++) { usleep(5000); clearstatcache(); }'
DUMP = '''<?php
function show($value, $indent = "") {
    foreach ($value as $key => $v) {
        if (is_array($v)) { echo "$indent$key: array\\n"; show($v, "$indent  "); }
        else { echo "$indent$key: ", gettype($v), " ", in_array($key, ["pid", "start-time", "start-since", "request-duration", "last-request-cpu"], true) ? "<volatile>" : $v, "\\n"; }
    }
}
show(fpm_get_status());'''

# Values that differ from one run to the next, in each format's clothes.
VOLATILE = [
    (r'(?m)^(pid|start time|start since|request duration):( +).*$', r'\1:\2<volatile>'),
    (r'(<tr><th>start (?:time|since)</th><td>)[^<]*', r'\1<volatile>'),
    (r'(<tr><td>)\d+(</td><td>[\w ]+</td><td>)[^<]*(</td><td>)\d+(</td><td>\d+</td><td>)\d+', r'\1<pid>\2<time>\3<since>\4<duration>'),
    (r'<(pid|start-time|start-since|request-duration)>\d+<', r'<\1><volatile><'),
    (r'"(pid|start time|start since|request duration)":\d+', r'"\1":<volatile>'),
    (r'(?m)^(phpfpm_start_since) \d+$', r'\1 <volatile>'),
]


def normal(server, raw):
    text = raw.decode('utf-8', 'backslashreplace').replace(server.root, '<server>').replace(server.root.replace('/', '\\/'), '<server>')
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    # One line per value, and processes in the order of what they say: which slot a child or context has is chance.
    head, found, processes = text.partition('<processes>\n')
    if found:
        body = processes.replace('</processes>\n</status>', '')
        return head + found + ''.join(sorted(body.splitlines(True))).replace('><', '>\n<') + '</processes>\n</status>'
    head, found, processes = text.partition(', "processes":[')
    if found:
        entries = sorted(processes.removeprefix('{').removesuffix('}]}').split('},{'))
        return head.replace(',"', ',\n"') + found + '{' + '},{'.join(entries).replace(',"', ',\n"') + '}]}'
    head, found, processes = text.partition('<table border="1">\n')
    if found:
        lines = processes.split('\n')
        return head + found + '\n'.join([lines[0], *sorted(lines[1:-1]), lines[-1]]).replace('><', '>\n<')
    head, *processes = text.split('\n************************\n')
    return '\n************************\n'.join([head.replace(',"', ',\n"'), *sorted(processes)])


class Pooled(Server):
    """One pool with a status page, also at an address of its own."""

    def __init__(self, binary, children=CHILDREN, listen='tcp', settings=(), **kwargs):
        self.status_address = ('127.0.0.1', free_port())
        pool = Pool(children=children, listen=listen, settings=[
            ('pm.status_path', '/status'), ('ping.path', '/ping'), ('pm.status_listen', '%s:%d' % self.status_address), *settings])
        super().__init__([pool], binary=binary, **kwargs)
        self.held = []

    def start(self, *args, **kwargs):
        super().start(*args, **kwargs)
        if not any(value is None for _, value in self.pools[0].settings):  # php-fpm says it is ready before its children are
            poll(lambda: re.search(rf'idle processes: +{self.pools[0].children}\n', self.ask('', self.status_address)), 20)
        return self

    def ask(self, query='', address=None, path='/status', **params):
        params = {'SCRIPT_NAME': path, 'QUERY_STRING': query, **params}
        response = fcgi.request(address or self.pools[0].address, fcgi.script_params('/nowhere', **params))
        text = normal(self, response.raw)
        return text + (f'\nSTDERR {response.stderr.decode()}' if response.stderr else '')

    def hold(self, count):
        script = self.script('hold.php', HOLD)
        for _ in range(count):
            mark = os.path.join(self.tmp, f'mark{len(self.held)}')
            connection = fcgi.Connection(self.pools[0].address)
            connection.send_request(fcgi.post_params(script, b'0123456789', QUERY_STRING='a=<b>&c="d"', HTTP_MARK=mark,
                                                     HTTP_GO=os.path.join(self.tmp, 'go'), HTTP_AUTHORIZATION='Basic YWxpY2U6c2VjcmV0'), b'0123456789')
            self.held.append(connection)
            poll(lambda: os.path.exists(mark), 20)

    def stop(self, check=True):
        if self.held:
            open(os.path.join(self.tmp, 'go'), 'w').close()
            for connection in self.held:
                connection.read_response()
                connection.close()
            self.held = []
        super().stop(check=check)


def query_of(name, full):
    return '&'.join(word for word in ('' if name == 'text' else name, 'full' if full else '') if word)


def cases(binary, _scratch):
    # Each on a server of its own: the first request it sees besides the busy ones.
    for busy in (0, 1):
        for name in FORMATS:
            for full in (False, True):
                with Pooled(binary) as server:
                    server.hold(busy)
                    yield f'{name}{" full" if full else ""}, {busy} busy', server.ask(query_of(name, full))
    with Pooled(binary) as server:  # where nothing is free, php-fpm answers only here
        server.hold(CHILDREN)
        for name in FORMATS:
            for full in (False, True):
                yield f'{name}{" full" if full else ""}, all busy', server.ask(query_of(name, full), server.status_address)
    yield from odd_requests(binary)
    yield from last_requests(binary)
    yield from listeners(binary)
    with Pooled(binary, children=1) as server:
        script = server.script('dump.php', DUMP)
        yield 'fpm_get_status()', normal(server, server.get(script).body)
        # Whether it arrives before the only child is idle again is chance.
        yield 'fpm_get_status() in the second request', re.sub(r'(?m)^(max-active-processes|max-listen-queue): integer \d+$', r'\1: <chance>',
                                                               normal(server, server.get(script).body))


def odd_requests(binary):
    queries = ('full=0', 'html=', 'JSON', 'json[]=1', 'xml&json&html', 'js%6Fn', '+json', 'openmetrics&xml', 'a=html', 'full%00&json', 'json[', 'fullest',
               '&&json', 'json;xml', '%', 'xml=%zz', '_GET[json]=1', 'json.x', 'json =1')
    for query in queries:
        with Pooled(binary, children=1) as server:
            yield f'query {query}', server.ask(query)
    with Pooled(binary, children=1, settings=[('ping.response', '"I am here"')]) as server:
        yield 'ping', server.ask(path='/ping')
        yield 'ping HEAD', server.ask(path='/ping', REQUEST_METHOD='HEAD')
        yield 'status HEAD', server.ask('json', REQUEST_METHOD='HEAD')
        yield 'ping POST', server.ask(path='/ping', REQUEST_METHOD='POST')
        yield 'path below', server.ask(path='/status/')
        yield 'path with a query in it', server.ask(path='/status?json')
        yield 'no script', server.ask(SCRIPT_FILENAME=None, path='/ping')
        yield 'no method', server.ask(REQUEST_METHOD=None, path='/ping')
    settings = {'no charset': ('default_charset', ''), 'another charset': ('default_charset', 'iso-8859-15'), 'another type': ('default_mimetype', 'text/x-other'),
                'no text': ('default_mimetype', 'image/png'), 'no type': ('default_mimetype', '')}
    for name, (key, value) in settings.items():
        for where in ('php.ini', 'pool'):
            with Pooled(binary, children=1, ini={key: value} if where == 'php.ini' else {},
                        settings=[(f'php_admin_value[{key}]', f'"{value}"')] if where == 'pool' else []) as server:
                text = '\n'.join(server.ask(query, server.status_address) for query in ('', 'xml', 'json')) + server.ask(path='/ping')
                yield f'{name}, of {where}', text + server.ask('html', REQUEST_METHOD='HEAD') + server.ask(path='/none')
    with Pooled(binary, children=1, ini={'expose_php': '0'}) as server:
        yield 'without expose_php', server.ask('json', address=server.status_address)


def last_requests(binary):
    """What an idle process shows of its last request; asked where no process of the pool answers."""
    texts = {'plain': ('/a.php', 'x=1'), 'markup': ('/<a>&"\'', '<b>&"\''), 'umlauts': ('/ä/€/😀', 'ö'), 'not UTF-8': ('/\udcff\udce2\udc82z', '\udcc3'),
             'controls': ('/a\tb\x01\x7f\\c', 'd\x1f'), 'long': ('/' + 'l' * 300, 'q' * 700), 'without query': ('/x', ''),
             'cut character': ('/' + 'u' * 125 + 'ä', 'ä' * 300), 'noncharacters': ('/\ufffe\uffff\ufffd', '\u2028')}
    for text, (uri, query) in texts.items():
        with Pooled(binary, children=1) as server:
            script = server.script('a.php', '<?php echo "x";')
            params = fcgi.script_params(script)
            params.update({'SCRIPT_NAME': uri.encode('utf-8', 'surrogateescape'), 'QUERY_STRING': query.encode('utf-8', 'surrogateescape'),
                           'REQUEST_METHOD': 'A-LONG-METHOD-NAME', 'HTTP_AUTHORIZATION': 'Basic ' + 'dTp1' if text == 'plain' else '', 'CONTENT_LENGTH': '-1'})
            fcgi.request(server.pools[0].address, params)
            time.sleep(0.02)  # php-fpm's child becomes idle after its answer, and says so nowhere else
            for name in ('text', 'html', 'xml', 'json'):
                page = poll(lambda: (p := server.ask(query_of(name, True), server.status_address)) if 'Idle' in p_of(server) else None, 10)
                yield f'last request {text}, {name}', re.sub(r'(last.request.cpu(?:>|":|: +)|<td>)\d+\.\d\d', r'\1<cpu>', page)


def p_of(server):
    return server.ask('full', server.status_address)


def listeners(binary):
    with Pooled(binary, children=1, listen='unix') as server:
        yield 'Unix socket', server.ask()
    with Pooled(binary, children=1, settings=[('listen.backlog', 17)]) as server:
        yield 'backlog of 17', server.ask()
    with Pooled(binary, children=2, settings=[('pm', 'dynamic'), ('pm.start_servers', 2), ('pm.min_spare_servers', 1), ('pm.max_spare_servers', 2)]) as server:
        yield 'dynamic', server.ask('openmetrics')
    with Pooled(binary, children=1, settings=[('pm.status_path', None)]) as server:
        yield 'pm.status_listen alone', server.ask(path='/', address=server.status_address)
        yield 'pm.status_listen alone, on the pool', server.ask(path='/')
    with Pooled(binary, children=1) as server:
        script = server.script('a.php', '<?php echo "I run";')
        yield 'ping on pm.status_listen', server.ask(path='/ping', address=server.status_address)
        yield 'unknown page on pm.status_listen', server.ask(path='/none', address=server.status_address)
        yield 'script on pm.status_listen', fcgi.request(server.status_address, fcgi.script_params(script)).text
