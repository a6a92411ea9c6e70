"""The access log: lines of many kinds of requests, every placeholder, suppressed paths, where the file is, reopening, bad formats."""

import os
import re
import signal
import stat
import subprocess
import time

from ftm import fcgi
from ftm.proc import poll
from ftm.server import Pool, Server

FORMAT = '"R=%R u=%u m=%m r=%r Q=%Q%q s=%s f=%f l=%l n=%n p=%p P=%P t=%t T=%T d=%d %{milli}d %{micro}d C=%C %{user}C %{system}C M=%M %{kilo}M %{mega}M ' \
         'o=%{X-Test}o %{Content-type}o %{Location}o %{Set-Cookie}o %{none}o e=%{HTTP_HOST}e %{SCRIPT_NAME}e %{none}e %%"'
TIME = r'\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}'

SCRIPTS = {
    'hello.php': '<?php echo "hello";',
    'headers.php': '<?php header("X-Test: one"); header("X-Test: two", false); header("Content-Type: application/x-thing"); setcookie("a", "b c"); echo 1;',
    'lower.php': '<?php header("x-test: lower"); header("Odd-X-Test: y"); echo 1;',
    'redirect.php': '<?php header("Location: /elsewhere");',
    'created.php': '<?php http_response_code(201); echo "made";',
    'line.php': '<?php header("HTTP/1.1 418 Teapot"); echo "tea";',
    'status.php': '<?php header("Status: 404 Gone Fishing"); echo "fish";',
    'unmodified.php': '<?php http_response_code(304);',
    'fatal.php': '<?php undefined_function();',
    'parse.php': '<?php this is not PHP;',
    'exit.php': '<?php http_response_code(503); exit(3);',
    'throw.php': '<?php throw new Exception("no");',
    'memory.php': '<?php $a = str_repeat("x", 20 << 20); echo strlen($a);',
    'limit.php': '<?php ini_set("memory_limit", "8M"); $a = str_repeat("x", 20 << 20);',
    'shutdown.php': '<?php register_shutdown_function(function () { http_response_code(500); header("X-Test: late"); }); http_response_code(202);',
    'buffered.php': '<?php ob_start(function ($b) { http_response_code(207); return $b; }); echo "x";',
    'finish.php': '<?php header("X-Test: f"); echo "x"; fastcgi_finish_request(); http_response_code(500); usleep(1000);',
    'putenv.php': '<?php putenv("HTTP_HOST=elsewhere"); $_SERVER["HTTP_HOST"] = "nowhere"; echo 1;',
    'body.php': '<?php echo strlen(file_get_contents("php://input"));',
    'locale.php': '<?php date_default_timezone_set("Asia/Tokyo"); echo 1;',
    'output.php': '<?php header("X-Test: big"); for ($i = 0; $i < 200; $i++) { echo str_repeat("x", 1000); flush(); }',
}


def normal(server, text):
    text = text.replace(server.root, '<server>')
    workers = '|'.join(str(pid) for pid in server.workers())
    text = re.sub(rf'\bp=(?:{workers})\b', 'p=<worker>', text)
    text = re.sub(rf'\bP={server.pid}\b', 'P=<master>', text)
    text = re.sub(rf'\b([tT])={TIME}', r'\1=<time>', text)
    text = re.sub(r'\bd=\d+\.\d{3} \d+\.\d{3} \d+\b', 'd=<duration>', text)
    text = re.sub(r'\bC=\d+\.\d\d \d+\.\d\d \d+\.\d\d\b', 'C=<cpu>', text)
    # What a script really uses depends on the build; that it is more than nothing does not.
    return re.sub(r'\bM=([1-9]\d*) [1-9]\d* ([1-9]\d*)\b', r'M=<bytes> <kilo> <mega>', text)


class Logged(Server):
    def __init__(self, binary, scratch, settings=(), children=1, listen='tcp', **kwargs):
        self.log_file = os.path.join(scratch, f'access-{Logged.number}.log')
        Logged.number += 1
        settings = [('access.log', self.log_file), ('access.format', FORMAT), *settings]
        super().__init__([Pool(children=children, listen=listen, settings=dict(settings))], binary=binary, **kwargs)

    number = 0

    def lines(self, count, path=None):
        """`count` lines; php-fpm writes them before it ends the answer's connection, so none is missing for long."""
        def read():
            with open(path or self.log_file, 'rb') as f:
                text = f.read().decode('utf-8', 'backslashreplace').replace('\0', '<NUL>')
            return text if text.count('\n') >= count else None
        return poll(read, 10, f'{count} lines in the access log')

    def ask(self, script, body=b'', **params):
        if not script.startswith('/'):
            script = os.path.join(self.docroot, script)
        if body:
            params = {'REQUEST_METHOD': 'POST', 'CONTENT_LENGTH': str(len(body)), **params}
        return fcgi.request(self.pools[0].address, fcgi.script_params(script, **params), body)

    def write_scripts(self):
        for name, text in SCRIPTS.items():
            self.script(name, text)
        self.script('text.txt', 'text')
        self.script('closed.php', '<?php echo 1;', mode=0o600)
        return self


def cases(binary, scratch):
    yield from kinds_of_requests(binary, scratch)
    yield from long_lines(binary, scratch)
    yield from tokens(binary, scratch)
    yield from suppressed(binary, scratch)
    yield from places(binary, scratch)
    yield from reopened(binary, scratch)
    yield from refused_formats(binary, scratch)


def kinds_of_requests(binary, scratch):
    settings = [('pm.status_path', '/status'), ('ping.path', '/ping')]
    with Logged(binary, scratch, settings) as server:
        server.write_scripts()
        requests = [(name, name, {}) for name in SCRIPTS]
        requests += [
            ('query', 'hello.php', {'QUERY_STRING': 'a=b&c=%20'}),
            ('body', 'body.php', {'body': b'0123456789' * 100}),
            ('body with an empty length', 'body.php', {'body': b'0123456789', 'CONTENT_LENGTH': ''}),
            ('length -1', 'hello.php', {'CONTENT_LENGTH': '-1'}),
            ('HEAD', 'hello.php', {'REQUEST_METHOD': 'HEAD'}),
            ('own method', 'hello.php', {'REQUEST_METHOD': 'PROPFINDEVERYTHINGTHEREIS'}),
            ('no method', 'hello.php', {'REQUEST_METHOD': None}),
            ('no file', 'none.php', {}),
            ('other extension', 'text.txt', {}),
            ('unreadable file', 'closed.php', {}),
            ('directory', '', {}),
            ('path info', 'hello.php/more/info', {'SCRIPT_NAME': '/hello.php/more/info'}),
            ('no SCRIPT_NAME', 'hello.php', {'SCRIPT_NAME': None}),
            ('no SCRIPT_FILENAME', 'hello.php', {'SCRIPT_FILENAME': None}),
            ('user', 'hello.php', {'HTTP_AUTHORIZATION': 'Basic YWxpY2U6c2VjcmV0'}),
            ('user without password', 'hello.php', {'HTTP_AUTHORIZATION': 'basic YWxpY2U6'}),
            ('user without colon', 'hello.php', {'HTTP_AUTHORIZATION': 'Basic YWxpY2U='}),
            ('digest', 'hello.php', {'HTTP_AUTHORIZATION': 'Digest username="alice"'}),
            ('user of a missing file', 'none.php', {'HTTP_AUTHORIZATION': 'Basic YWxpY2U6c2VjcmV0'}),
            ('long URI', 'hello.php', {'SCRIPT_NAME': '/' + 's' * 200}),
            ('long query', 'hello.php', {'QUERY_STRING': 'q' * 550}),
            ('long user', 'hello.php', {'HTTP_AUTHORIZATION': 'Basic ' + 'YWFh' * 20 + 'Og=='}),
            ('odd bytes', 'hello.php', {'SCRIPT_NAME': '/"\\\x01\x7fä', 'QUERY_STRING': '<>"'}),
            ('line feed', 'hello.php', {'SCRIPT_NAME': '/a\nb', 'QUERY_STRING': 'c'}),
            ('status', '/nowhere', {'SCRIPT_NAME': '/status'}),
            ('status as JSON', '/nowhere', {'SCRIPT_NAME': '/status', 'QUERY_STRING': 'json&full'}),
            ('status HEAD', '/nowhere', {'SCRIPT_NAME': '/status', 'REQUEST_METHOD': 'HEAD'}),
            ('status of a user', '/nowhere', {'SCRIPT_NAME': '/status', 'HTTP_AUTHORIZATION': 'Basic YWxpY2U6c2VjcmV0'}),
            ('ping', '/nowhere', {'SCRIPT_NAME': '/ping'}),
            ('ping HEAD', '/nowhere', {'SCRIPT_NAME': '/ping', 'REQUEST_METHOD': 'HEAD'}),
            ('ping with a script', 'hello.php', {'SCRIPT_NAME': '/ping'}),
        ]
        seen = 0
        for name, script, params in requests:
            server.ask(script, **params)
            new = 3 if name == 'line feed' else 1  # it is in the line twice
            yield f'request {name}', normal(server, '\n'.join(server.lines(seen + new).split('\n')[seen:]))
            seen += new
        with fcgi.Connection(server.pools[0].address, 20) as connection:
            for n in range(3):
                connection.request(fcgi.script_params(os.path.join(server.docroot, 'hello.php'), QUERY_STRING=f'n={n}'), keep=True)
        yield 'kept connection', normal(server, '\n'.join(server.lines(seen + 3).split('\n')[seen:]))
    with Logged(binary, scratch, listen='unix') as server:
        server.write_scripts()
        server.ask('hello.php')
        yield 'Unix socket', normal(server, server.lines(1))
    with Logged(binary, scratch, [('access.format', None)]) as server:
        server.write_scripts()
        server.ask('hello.php', HTTP_AUTHORIZATION='Basic YWxpY2U6c2VjcmV0')
        yield 'default format', re.sub(TIME, '<time>', server.lines(1))


def long_lines(binary, scratch):
    for name, form in (('printed', '%q %q %q'), ('literal', 'x' * 1020 + 'yyyy'), ('literal beyond', 'x' * 1030), ('at the end', 'x' * 1000 + '%q'),
                       ('percent signs', 'x' * 1023 + '%%'), ('empty at the end', 'x' * 1024 + '%u')):
        with Logged(binary, scratch, [('access.format', f'"{form}"'), ('catch_workers_output', 'yes')]) as server:
            server.write_scripts()
            response = server.ask('hello.php', QUERY_STRING='q' * 500)
            yield f'long line, {name}', f'{server.lines(1)}\nSTDERR {response.stderr.decode()}'


def tokens(binary, scratch):
    forms = {
        'braces twice': '%{a}{HTTP_HOST}e', 'single percent at the end': 'a%', 'upper case modifiers': '%{MILLISECONDS}d|%{Kilobytes}M|%{USER}C', 'misspelt milliseconds': '%{mili}d',
        'time formats': '%{%Y-%m-%d}t %{%Z}T %{}t', 'long modifier': '%{' + 'h' * 200 + '}e', 'empty line': '%u%q', 'only text': 'served', 'empty braces': '%{}d|%{}C|%{}M',
        'header found inside': '%{Test}o|%{X-Tes}o', 'header without value': '%{X-Empty}o', 'lower case header': '%{content-type}o',
    }
    for name, form in forms.items():
        with Logged(binary, scratch, [('access.format', f'"{form}."' if not form.endswith('%') else f'"{form}"')]) as server:
            script = server.script('t.php', '<?php header("X-Test: v"); header("X-Empty: "); echo 1;')
            server.ask(script)
            text = server.lines(1)
            text = re.sub(r'\d{4}-\d\d-\d\d', '<date>', re.sub(TIME, '<time>', text))
            yield f'format {name}', re.sub(r'\d+\.\d+|\d{4,}', '<n>', text)


def suppressed(binary, scratch):
    settings = [('access.format', '"%m %r%Q%q %s"'), ('access.suppress_path[]', '/quiet.php'), ('ping.path', '/ping'), ('pm.status_path', '/status')]
    with _suppressing(binary, scratch, settings) as server:
        script = server.script('quiet.php', '<?php http_response_code((int) ($_SERVER["HTTP_CODE"] ?? 200)); echo 1;')
        server.ask(script)
        server.ask(script, REQUEST_METHOD='HEAD')
        server.ask(script, QUERY_STRING='a')
        server.ask(script, HTTP_CODE='204')
        server.ask(script, HTTP_CODE='300')
        server.ask(script, HTTP_CODE='404')
        server.ask(script, REQUEST_METHOD='POST')
        server.ask(script, CONTENT_LENGTH='0')
        server.ask(script, CONTENT_LENGTH='-1')
        server.ask(script, body=b'x', REQUEST_METHOD='GET')
        server.ask(script, SCRIPT_NAME='/quiet.php/')
        server.ask('/nowhere', SCRIPT_NAME='/ping')
        server.ask('/nowhere', SCRIPT_NAME='/ping', QUERY_STRING='x')
        server.ask('/nowhere', SCRIPT_NAME='/status')
        server.ask('/nowhere', SCRIPT_NAME='/status', QUERY_STRING='full')
        server.ask(script, SCRIPT_NAME='/last')
        text = poll(lambda: t if '/last' in (t := server.lines(1)) else None, 10)
        yield 'suppressed paths', text


def _suppressing(binary, scratch, settings):
    server = Logged(binary, scratch, settings)
    server.prepare()
    with open(server.conf, 'a') as f:
        f.write('access.suppress_path[] = /ping\naccess.suppress_path[] = /status\n')
    return server


def describe(path):
    s = os.stat(path)
    return f'{stat.filemode(s.st_mode)} {s.st_uid}:{s.st_gid}'


def places(binary, scratch):
    with Logged(binary, scratch) as server:
        yield 'mode and owner of a new file', describe(server.log_file)
    existing = os.path.join(scratch, 'existing.log')
    with open(existing, 'w') as f:
        f.write('before\n')
    os.chmod(existing, 0o640)
    with Logged(binary, scratch, [('access.log', existing), ('access.format', '%s')]) as server:
        server.write_scripts().ask('hello.php')
        yield 'a file that is already there', server.lines(2, existing) + describe(existing)
    with Logged(binary, scratch, [('access.log', '$pool-of-$pool.log'), ('prefix', scratch), ('access.format', '%n')]) as server:
        server.write_scripts().ask('hello.php')
        yield 'relative to prefix, with $pool', server.lines(1, os.path.join(scratch, 'www-of-www.log'))
    target = os.path.join(scratch, 'both.log')
    server = Logged(binary, scratch, [('access.log', target), ('access.format', '"%n %r"')])
    server.pools.append(Pool('api', settings={'access.log': target, 'access.format': '"%n %s"'}))
    server.pools.append(Pool('none'))
    with server:
        script = server.write_scripts().script('hello.php', SCRIPTS['hello.php'])
        for n, pool in enumerate(server.pools):
            fcgi.request(pool.address, fcgi.script_params(script))
            text = server.lines(min(n + 1, 2), target)
        yield 'two pools, one file', text
    for name, path in (('directory that is not there', scratch + '/none/access.log'), ('directory', scratch), ('empty', '')):
        yield f'access.log is a {name}', refusal(binary, scratch, [('access.log', path)])
    with Logged(binary, scratch, [('access.log', '/dev/stderr'), ('access.format', '"to stderr: %r"')], force_stderr=False) as server:
        server.write_scripts().ask('hello.php')
        poll(lambda: 'to stderr' in server._read(server.output), 10)
        before = server.mark()
        server.kill(signal.SIGUSR1)
        server.wait_for('access log file re-opened', since=before)
        _after_reopen(server)
        server.ask('hello.php', SCRIPT_NAME='/second')
        poll(lambda: '/second' in server._read(server.output), 10)
        yield '/dev/stderr', '\n'.join(line for line in server._read(server.output).splitlines() if 'to stderr' in line) + \
            ('\nin the error log' if 'to stderr' in server.log_text() else '')


def _after_reopen(server):
    """php-fpm's children leave and new ones come: until one serves, an answer may be lost."""
    def serves():
        try:
            return server.ask('hello.php', SCRIPT_NAME='/probe').text == 'hello'
        except (fcgi.FcgiError, OSError):
            return False
    poll(serves, 10)


def reopened(binary, scratch):
    with Logged(binary, scratch, [('access.format', '%r')]) as server:
        server.write_scripts().ask('hello.php')
        server.lines(1)
        os.rename(server.log_file, server.log_file + '.1')
        before = server.mark()
        server.kill(signal.SIGUSR1)
        server.wait_for('access log file re-opened', since=before)
        _after_reopen(server)
        server.ask('hello.php', SCRIPT_NAME='/after')
        text = poll(lambda: t if '/after' in (t := server.lines(1)) else None, 10)
        yield 'reopened', '\n'.join(['first: ' + server.lines(1, server.log_file + '.1').strip(), 'then: ' + text.split()[-1], describe(server.log_file),
                                     *(re.sub(r'^\[.*?\] ', '', line) for line in server.log_text()[before:].splitlines() if 're-opened' in line)])
        server.expect_log('failed to open access log', 'unable to re-opened access log file')
        os.rename(os.path.dirname(server.log_file), scratch + '-away')
        before = server.mark()
        server.kill(signal.SIGUSR1)
        server.wait_for('unable to re-opened access log file', since=before)
        os.rename(scratch + '-away', scratch)
        yield 'not reopened', '\n'.join(re.sub(r'^\[.*?\] ', '', line).replace(server.log_file, '<file>') for line in server.log_text()[before:].splitlines()
                                        if 'access log' in line)
    with Server([Pool()], binary=binary) as server:
        before = server.mark()
        server.kill(signal.SIGUSR1)
        server.wait_for('error log file re-opened', since=before)
        time.sleep(0.1)
        yield 'reopened without access log', '\n'.join(re.sub(r'^\[.*?\] ', '', line) for line in server.log_text()[before:].splitlines() if 're-opened' in line)


def refusal(binary, scratch, settings):
    conf = os.path.join(scratch, 'refused.conf')
    with open(conf, 'w') as f:
        f.write(f'[global]\nerror_log = {scratch}/error.log\n[www]\nuser = www-data\nlisten = {scratch}/w.sock\npm = static\npm.max_children = 1\n')
        f.write(''.join(f'{k} = {v}\n' for k, v in settings))
    result = []
    for options in (['-n', '-t', '-R'], ['-n', '-F', '-O', '-R']):
        done = subprocess.run([binary.path, *options, '-y', conf], capture_output=True, text=True, timeout=60, check=False)
        text = re.sub(r'(?m)^\[.*?\] ', '', done.stdout + done.stderr).replace(scratch, '<scratch>')
        result.append(f'{" ".join(options)}: exit {done.returncode}\n{text}')
    return '\n'.join(result)


def refused_formats(binary, scratch):
    for form in ('%x', '%{x', '%{x}', '%{a}m', '%e', '%o', '%{}e', '%{days}d', '%{giga}M', '%{all}C', '%{a}%', '%{}m %z', '%{%d}t%{x}s', '%a', '%S'):
        yield f'refused {form}', refusal(binary, scratch, [('access.log', scratch + '/refused.log'), ('access.format', f'"{form}"')])
