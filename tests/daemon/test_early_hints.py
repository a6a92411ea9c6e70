"""headers_send(): interim answers leave only where the front has been declared to relay them, and no 1xx is ever final."""

import ctypes
import json
import os
import socket

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only, needs_module, root_only, sanitized
from ftm.front import Front

HINT = 'header("Link: </a.css>; rel=preload; as=style"); '
BLOCK = b'Status: 103 Early Hints\r\nlink: </a.css>; rel=preload; as=style\r\n\r\n'
# The second half waits for a file, so that what has come before it can only have been sent early.
WAIT = 'while (!file_exists($_GET["go"])) { usleep(1000); clearstatcache(); } '
ALLOWED = {'FTM_EARLY_HINTS': '1'}

# Response::sendHeaders() and Controller::sendEarlyHints() of Symfony 7, to what they ask of PHP.
SYMFONY = '''<?php
class Response {
    private array $sentHeaders = [];
    public array $headers = [];
    public function sendHeaders(?int $statusCode = null): static {
        if (headers_sent()) { return $this; }
        $informational = $statusCode >= 100 && $statusCode < 200;
        if ($informational && !function_exists('headers_send')) { return $this; }
        foreach ($this->headers as $name => $values) {
            $previous = $this->sentHeaders[$name] ?? null;
            if ($previous === $values) { continue; }
            $replace = 0 === strcasecmp($name, 'Content-Type');
            if (null !== $previous && array_diff($previous, $values)) { header_remove($name); $previous = null; }
            foreach (null === $previous ? $values : array_diff($values, $previous) as $value) { header($name.': '.$value, $replace, 200); }
            if ($informational) { $this->sentHeaders[$name] = $values; }
        }
        if ($informational) { headers_send($statusCode); return $this; }
        header('HTTP/1.1 200 OK', true, 200);
        return $this;
    }
}
$response = new Response;
$response->headers = ['Link' => ['</a.css>; rel="preload"; as="style"']];
$response->sendHeaders(103);
$response->headers['Link'][] = '</b.js>; rel="preload"; as="script"';
$response->headers['X-Page'] = ['yes'];
$response->sendHeaders();
echo 'page';
'''


@ftm_only('php-fpm has no headers_send()')
class HintsTest(DaemonTest):
    def server(self, early_hints=None, listen='unix', settings=(), **kwargs):
        both = [*settings] + ([('early_hints', early_hints)] if early_hints else [])
        return self.serve([Pool(children=2, listen=listen, settings=both)], **kwargs)

    def blocks(self, server, php, params=None, **kwargs):
        """The interim blocks and the answer behind them, as (blocks, Response)."""
        script = server.script('page.php', '<?php ' + php)
        with server.connect() as connection:
            return self.read(connection, fcgi.script_params(script, **(ALLOWED if params is None else params)), **kwargs)

    def read(self, connection, params, **kwargs):
        records = []
        connection.send_request(params, keep=True, **kwargs)
        response = connection.read_response(sink=records.append)
        out = [r for r in records if r.type == fcgi.STDOUT]
        interim = []
        while out and out[0].content.startswith(b'Status: 1'):
            record = out.pop(0)
            self.assertEqual(record.padding, 0)
            self.assertTrue(record.content.endswith(b'\r\n\r\n'))
            self.assertEqual(record.content.count(b'\r\n\r\n'), 1)
            interim.append(bytes(record.content))
        final = fcgi.Response()
        final.raw = b''.join(r.content for r in out)
        final.stderr, final.protocol_status = response.stderr, response.protocol_status
        self.assertNotIn(b'Status: 1', final.raw)
        return interim, final


class Hints(HintsTest):
    def test_hint_arrives_while_the_script_runs(self):
        for listen in ('unix', 'tcp'):
            with self.subTest(listen):
                server = self.server(listen=listen)
                go = os.path.join(server.tmp, 'go')
                script = server.script('page.php', '<?php header("X-Page: 1"); ' + HINT + 'headers_send(103); ' + WAIT + 'echo "page";')
                with server.connect() as connection:
                    connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go, **ALLOWED), keep=True)
                    record = connection.read_record()
                    self.assertEqual((record.type, record.request_id, record.padding, record.content), (fcgi.STDOUT, 1, 0, BLOCK))
                    open(go, 'w').close()
                    answer = connection.read_response()
                    self.assertEqual((answer.status, answer.text), (200, 'page'))
                    self.assertEqual(answer.header('Link'), '</a.css>; rel=preload; as=style')
                    self.assertEqual(answer.header('X-Page'), '1')
                    self.assertNotIn('Status', dict(answer.header_lines))
                    self.assertEqual(connection.request(fcgi.script_params(server.script('next.php', '<?php echo "next";'))).text, 'next')

    def test_only_what_is_a_hint_in_lower_case(self):
        interim, answer = self.blocks(self.server(), 'header("LINK: </a>; rel=preload"); header("Link: <https://b>; rel=preconnect", false); header("X-Foo: bar"); '
                                      'header("Linked: no"); setcookie("c", "1"); header("content-security-policy: img-src \'self\'"); header("Set-Cookie: link: no", false); headers_send(103); echo "page";')
        self.assertEqual(interim, [b"Status: 103 Early Hints\r\nlink: </a>; rel=preload\r\nlink: <https://b>; rel=preconnect\r\ncontent-security-policy: img-src 'self'\r\n\r\n"])
        self.assertEqual([v for n, v in answer.headers if n.lower() == 'link'], ['</a>; rel=preload', '<https://b>; rel=preconnect'])
        self.assertEqual((answer.header('X-Foo'), answer.status, answer.text), ('bar', 200, 'page'))

    def test_repeated_hints(self):
        interim, answer = self.blocks(self.server(), HINT + 'headers_send(103); header("Link: </b>; rel=preload", false); headers_send(103); header_remove("Link"); http_response_code(404); echo "gone";')
        self.assertEqual(interim, [BLOCK, BLOCK[:-2] + b'link: </b>; rel=preload\r\n\r\n'])
        self.assertEqual((answer.status, answer.header('Link'), answer.text), (404, None, 'gone'))

    def test_return_value_and_status_stay(self):
        interim, answer = self.blocks(self.server(), 'http_response_code(201); $none = headers_send(103); ' + HINT + 'echo json_encode([$none, headers_send(103), http_response_code(), headers_sent(), count(headers_list())]);')
        self.assertEqual(interim, [BLOCK])
        self.assertEqual((answer.status, json.loads(answer.text)), (201, [0, 1, 201, False, 2]))

    def test_who_may_send(self):
        for setting, params, expected in ((None, {}, 0), (None, {'FTM_EARLY_HINTS': '0'}, 0), (None, {'FTM_EARLY_HINTS': ''}, 0), (None, {'HTTP_FTM_EARLY_HINTS': '1'}, 0), (None, ALLOWED, 1),
                                          ('param', {}, 0), ('param', ALLOWED, 1), ('on', {}, 1), ('on', {'SERVER_PROTOCOL': 'HTTP/2.0'}, 1), ('on', {'SERVER_PROTOCOL': 'HTTP/1.0'}, 0)):
            with self.subTest(setting=setting, params=params):
                interim, answer = self.blocks(self.server(setting), HINT + 'echo headers_send(103);', params)
                self.assertEqual(interim, [BLOCK] * expected)
                self.assertEqual((answer.status, answer.text, answer.header('Link')), (200, str(expected), '</a.css>; rel=preload; as=style'))

    def test_off_has_no_function(self):
        server = self.server('off')
        self.assertEqual(server.run('var_dump(function_exists("headers_send"));', **ALLOWED).text, 'bool(false)\n')
        interim, answer = self.blocks(server, SYMFONY[5:])
        self.assertEqual((interim, answer.text), ([], 'page'))

    def test_symfony(self):
        interim, answer = self.blocks(self.server(), SYMFONY[5:])
        self.assertEqual(interim, [b'Status: 103 Early Hints\r\nlink: </a.css>; rel="preload"; as="style"\r\n\r\n'])
        self.assertEqual([v for n, v in answer.headers if n == 'Link'], ['</a.css>; rel="preload"; as="style"', '</b.js>; rel="preload"; as="script"'])
        self.assertEqual((answer.header('X-Page'), answer.text), ('yes', 'page'))

    def test_not_behind_the_final_headers(self):
        server = self.server('on')
        for php in ('echo "out"; flush(); ', 'headers_send(200); ', 'fastcgi_finish_request(); '):
            with self.subTest(php):
                file = os.path.join(server.tmp, 'returned')
                if os.path.exists(file):
                    os.unlink(file)
                interim, answer = self.blocks(server, HINT + php + 'file_put_contents("%s.part", headers_send(103)); rename("%s.part", "%s");' % (file, file, file))
                self.poll(lambda: os.path.exists(file))
                self.assertEqual((interim, open(file).read(), answer.status), ([], '0', 200))
                self.assertNotIn(b'103', answer.raw)

    def test_buffered_output_comes_behind_it(self):
        interim, answer = self.blocks(self.server(ini={'output_buffering': '4096'}), 'echo "before "; ' + HINT + 'headers_send(103); echo "after";')
        self.assertEqual((interim, answer.text), ([BLOCK], 'before after'))

    def test_message_comes_before_it(self):
        server = self.server()
        script = server.script('page.php', '<?php error_log("a message"); ' + HINT + 'headers_send(103); echo "page";')
        with server.connect() as connection:
            connection.send_request(fcgi.script_params(script, **ALLOWED))
            records = []
            connection.read_response(sink=records.append)
        self.assertEqual([r.type for r in records], [fcgi.STDERR, fcgi.STDOUT, fcgi.STDOUT, fcgi.END_REQUEST])
        self.assertEqual(records[1].content, BLOCK)

    def test_a_hint_too_large_for_a_front_is_left_out(self):
        interim, answer = self.blocks(self.server(), 'header("Link: <" . str_repeat("x", 5000) . ">"); echo headers_send(103);')
        self.assertEqual((interim, answer.text, len(answer.header('Link'))), ([], '0', 5002))

    def test_other_interim_answers(self):
        server = self.server()
        for status, expected in ((100, [b'Status: 100\r\nlink: </x>\r\n\r\n']), (102, [b'Status: 102\r\nlink: </x>\r\n\r\n']), (199, [b'Status: 199\r\nlink: </x>\r\n\r\n']), (101, [])):
            for params in (ALLOWED, {}):
                with self.subTest(status=status, params=params):
                    interim, answer = self.blocks(server, f'header("Link: </x>"); headers_send({status}); echo "page";', params)
                    self.assertEqual(interim, expected if params else [])
                    self.assertEqual((answer.status, answer.text), (200, 'page'))
        interim, answer = self.blocks(server, 'headers_send(102); echo "page";')
        self.assertEqual((interim, answer.text), ([b'Status: 102\r\n\r\n'], 'page'))

    def test_crash_behind_a_hint_is_answered(self):
        if sanitized():
            self.skipTest('the crash is the sanitizer\'s')
        server = self.serve([Pool(children=2)], modules=['ffi'], ini={'ffi.enable': '1'})
        interim, answer = self.blocks(server, HINT + 'headers_send(103); FFI::memset(FFI::cast("char *", 0), 0, 1);')
        self.assertEqual((interim, answer.status), ([BLOCK], 500))
    test_crash_behind_a_hint_is_answered = needs_module('ffi')(test_crash_behind_a_hint_is_answered)

    def test_client_that_has_gone(self):
        server = self.server()
        go = os.path.join(server.tmp, 'go')
        script = server.script('page.php', '<?php ignore_user_abort(true); touch($_GET["go"] . ".running"); ' + HINT + WAIT + 'headers_send(103); echo str_repeat("x", 100000); flush(); touch($_GET["go"] . ".done");')
        connection = server.connect()
        connection.send_request(fcgi.script_params(script, QUERY_STRING='go=' + go, **ALLOWED), keep=True)
        self.poll(lambda: os.path.exists(go + '.running'))
        connection.close()
        open(go, 'w').close()
        self.poll(lambda: os.path.exists(go + '.done'))
        self.assertEqual(server.run('echo "on";').text, 'on')


class Final(HintsTest):
    WAYS = ('http_response_code(103);', 'header("HTTP/1.1 103 Early Hints");', 'header("HTTP/1.1  103");', 'header("Status: 103 Early Hints");', 'header("Status:103");', 'header("X-A: b", true, 103);',
            'http_response_code(100);', 'header("HTTP/1.1 101 Switching Protocols");', 'header("Status: 199");', 'http_response_code(1030);', 'header("HTTP/1.1 1030 x");', 'header("Status: 1030");',
            'header("HTTP/1.1 103 x"); headers_send();', 'headers_send(1030);', 'header("Status: 103"); http_response_code(103);')

    def test_is_never_interim(self):
        for ini in ({}, {'cgi.rfc2616_headers': '1'}, {'cgi.nph': '1'}):
            server = self.server('on', ini=ini)
            for way in self.WAYS:
                with self.subTest(way, ini=ini):
                    script = server.script('page.php', f'<?php {way} echo "HTTP/1.1 200 OK\\r\\n\\r\\npage";')
                    answer = server.get(script)
                    head = answer.raw.partition(b'\r\n\r\n')[0]
                    self.assertNotRegex(head, rb'(?i)(^|\n)(status: *|HTTP/1\.1 +)1')
                    self.assertEqual((answer.status, answer.text), (200, 'HTTP/1.1 200 OK\r\n\r\npage'))

    def test_log_shows_what_is_sent(self):
        server = self.serve([Pool(settings={'access.log': '/tmp/ftm-hints-$pool-%d.log' % os.getpid(), 'access.format': '%s'})])
        path = '/tmp/ftm-hints-www-%d.log' % os.getpid()
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        server.run('http_response_code(103); echo "page";')
        self.poll(lambda: os.path.exists(path) and open(path).read() == '200\n')

    def test_other_statuses_stay(self):
        server = self.server()
        for way, status in (('http_response_code(204);', 204), ('header("HTTP/1.1 418 Teapot");', 418), ('header("Status: 404 No");', 404), ('header("HTTP/1.1 500 x"); headers_send(503);', 503),
                            ('header("Status: 103"); header("Status: 404 No", false);', 404)):
            with self.subTest(way):
                self.assertEqual(server.run(way + ' echo "";').status, status)


class Worker(HintsTest):
    LOOP = '''<?php header("Link: </boot>"); $at_boot = headers_send(103); $between = null;
    while (frankenphp_handle_request(function () use ($at_boot, &$between) { header("X-Boot: $at_boot"); header("X-Between: " . json_encode($between)); eval(file_get_contents("php://input")); })) {
        header("Link: </between>"); $between = headers_send(103); }'''

    def test_like_in_a_classic_pool(self):
        for setting in (None, 'on', 'off'):
            with self.subTest(setting):
                settings = [('worker.num', '1')] + ([('early_hints', setting)] if setting else [])
                server = self.serve([Pool(children=2, settings=settings)], start=False)
                script = server.script('worker.php', self.LOOP)
                server.pools[0].settings.append(('worker.script', script))
                server.write_conf()
                server.start()
                between = 'null'
                for params, sent in ((ALLOWED, setting != 'off'), ({}, setting == 'on'), (ALLOWED, setting != 'off')):
                    code = HINT + 'headers_send(103); header("Link: </b>; rel=preload", false); headers_send(103); echo "page";'
                    with server.connect() as connection:
                        connection.send(fcgi.whole_request(fcgi.post_params(script, code, **params), code.encode(), flags=fcgi.KEEP_CONN))
                        records = []
                        connection.read_response(sink=records.append)
                    out = [bytes(r.content) for r in records if r.type == fcgi.STDOUT]
                    self.assertEqual(out[:-1], [BLOCK, BLOCK[:-2] + b'link: </b>; rel=preload\r\n\r\n'] if sent else [])
                    answer = fcgi.Response()
                    answer.raw = out[-1]
                    self.assertEqual((answer.status, answer.text, answer.header('X-Boot'), answer.header('X-Between')), (200, 'page', '0', between))
                    self.assertEqual([v for n, v in answer.headers if n == 'Link'], ['</a.css>; rel=preload; as=style', '</b>; rel=preload'])
                    between = '0'


class Fronts(HintsTest):
    def test_nginx_gets_no_hint_it_would_break_on(self):
        for keep in (False, True):
            with self.subTest(keep=keep):
                server = self.server()
                server.script('page.php', '<?php ' + HINT + 'headers_send(103); headers_send(102); http_response_code(103); echo "HTTP/1.1 500 Forged\r\n\r\nforged";')
                with Front(server.pool().address, server.docroot, keep=keep) as front:
                    browser = front.browser(keep=True)
                    for _ in range(3):
                        answer = browser.get('/page.php')
                        self.assertEqual((answer.status, answer.text, answer.header('Link')), (200, 'HTTP/1.1 500 Forged\r\n\r\nforged', '</a.css>; rel=preload; as=style'))
                    browser.close()

    @root_only
    def test_kept_tcp_connection_does_not_hold_back(self):
        """A hint and the page behind it are two small writes: Nagle's algorithm would wait for the front's delayed ACK."""
        server = self.server(listen='tcp')
        listeners = []
        for pid in server.workers():
            for name in os.listdir(f'/proc/{pid}/fd'):
                try:
                    if not os.readlink(f'/proc/{pid}/fd/{name}').startswith('socket:'):
                        continue
                except FileNotFoundError:
                    continue
                process = os.pidfd_open(pid)
                fd = ctypes.CDLL(None, use_errno=True).syscall(438, process, int(name), 0)  # pidfd_getfd
                os.close(process)
                if fd < 0:
                    self.skipTest('pidfd_getfd: ' + os.strerror(ctypes.get_errno()))
                with socket.socket(fileno=fd) as s:
                    if s.family == socket.AF_INET and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        listeners.append(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertEqual(listeners, [1])
