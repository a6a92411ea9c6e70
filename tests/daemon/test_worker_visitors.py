"""Two visitors alternate on one worker: whatever the one leaves behind, and however the request ends, the other sees nothing of it."""

import http.server
import json
import os
import threading

from ftm import fcgi
from ftm.case import signals_reach_loops
from ftm.http import multipart
from ftm.worker import WorkerTest

MARK = 'Secret-of-the-other'

# Leaves a mark in everything that is the request's.
LEAVE = '''
    session_start(); $_SESSION["mark"] = MARK; $_SESSION["who"] = "the other";
    header("X-Mark: " . MARK); setcookie("mark", MARK); http_response_code(418); header_register_callback(fn() => header("X-Late: " . MARK));
    $_GET["mark"] = $_POST["mark"] = $_COOKIE["mark"] = $_SERVER["mark"] = $_REQUEST["mark"] = MARK;
    @trigger_error(MARK); error_clear_last(); @trigger_error(MARK);
    strtok("one " . MARK, " "); @json_decode("{" . MARK); touch("TOUCHED"); filesize("TOUCHED");
    libxml_use_internal_errors(true); simplexml_load_string("<" . MARK . ">");
    output_add_rewrite_var("mark", MARK); ob_start(fn($text) => $text . MARK); ob_start(); echo MARK;
'''
# Everything of it that PHP can show.
SHOW = '''
    $all = ["get" => $_GET, "post" => $_POST, "cookie" => $_COOKIE, "files" => $_FILES, "request" => $_REQUEST, "session" => $_SESSION ?? null,
        "id" => session_id(), "session status" => session_status(), "SID" => get_defined_constants(true)["session"]["SID"] ?? "", "headers" => headers_list(), "status" => http_response_code(),
        "buffers" => ob_get_level(), "error" => error_get_last(), "input" => file_get_contents("php://input"), "server" => $_SERVER,
        "filtered" => filter_input_array(INPUT_GET), "asked" => getallheaders(), "answered" => apache_response_headers(), "precision" => ini_get("precision"), "agent" => ini_get("user_agent"),
        "token" => @strtok(" "), "xml" => libxml_get_errors(), "aborted" => connection_status(), "abort" => ignore_user_abort()];
    echo json_encode($all);
'''
CALLBACK = f'define("MARK", "{MARK}"); eval($_POST["code"] ?? file_get_contents("php://input"));'.replace('define(', 'defined("MARK") || define(')
ENDS = {'end of the callback': '', 'exit': 'exit(0);', 'exit with a status': 'exit(3);', 'exception': 'throw new Exception("x");', 'fatal error': 'eval("class A {} class A {}");',
        'memory limit': '$x = str_repeat("x", 256 << 20);', 'stack overflow': 'function f() { f(); } f();', 'exception of a destructor': 'class D { function __destruct() { throw new Exception("d"); } } new D;',
        'exit of a destructor': 'class E { function __destruct() { exit(0); } } new E;', 'exception of an output handler': 'ob_start(function ($b) { throw new Exception("o"); }); echo "x";',
        'finished early': 'fastcgi_finish_request(); usleep(1000);'}
TIMES = {'max_execution_time': 'set_time_limit(1); while (true);', 'request_terminate_timeout': 'set_time_limit(0); while (true);'}
HANDLER = '''class H implements SessionHandlerInterface { public static $data = [];
    function open($p, $n): bool { return true; } function close(): bool { return true; } function read($id): string { return @file_get_contents("$_ENV[DIR]/mine_$id") ?: ""; }
    function write($id, $d): bool { return (bool)file_put_contents("$_ENV[DIR]/mine_$id", $d); } function destroy($id): bool { return @unlink("$_ENV[DIR]/mine_$id"); } function gc($t): int|false { return 0; } }
    session_set_save_handler(new H, true);'''


class Visitors(WorkerTest):
    def one_worker(self, boot='', settings=()):
        server = self.worker(boot=boot, callback=CALLBACK, settings=settings, modules=['simplexml'],
                             ini={'display_errors': '0', 'memory_limit': '64M', 'session.use_strict_mode': '1', 'variables_order': 'EGPCS'})
        self.assertEqual(self.show(server)['status'], 200)
        return server

    def leave(self, server, end):
        """The request of the one, with a mark in all that it sends."""
        code = LEAVE.replace('TOUCHED', os.path.join(server.tmp, 'touched')) + end
        body, kind = multipart([('code', code), ('field', MARK)], [('file', MARK + '.txt', 'text/plain', MARK.encode())])
        params = {'QUERY_STRING': f'a={MARK}&{MARK}=1', 'HTTP_COOKIE': f'c={MARK}; {MARK}=1', 'HTTP_X_MARK': MARK, 'HTTP_AUTHORIZATION': 'Basic U2VjcmV0LW9mLXRoZS1vdGhlcjpTZWNyZXQtb2YtdGhlLW90aGVy',
                  'REMOTE_USER': MARK, 'PHP_VALUE': f'precision=5\nuser_agent={MARK}', 'PHP_ADMIN_VALUE': 'upload_max_filesize=1M', 'CONTENT_TYPE': kind}
        if end == TIMES['request_terminate_timeout']:
            with self.assertRaises(fcgi.Closed):
                fcgi.request(server.pool().address, fcgi.post_params(self.script, body, **params), body)
        else:
            answer = fcgi.request(server.pool().address, fcgi.post_params(self.script, body, **params), body)
            if end != ENDS['stack overflow']:    # which leaves no memory for the header callback: no headers, in php-fpm too
                self.assertEqual((answer.status, answer.header('X-Mark')), (418, MARK))
            if end == '':
                self.assertEqual(answer.header('X-Late'), MARK)

    def show(self, server):
        """The request of the other, as it sees itself."""
        answer = server.post(self.script, SHOW.encode(), CONTENT_TYPE='text/plain', HTTP_X_MINE='mine', QUERY_STRING='mine=1')
        whole = answer.body + b'\n'.join(f'{name}: {value}'.encode() for name, value in answer.headers)
        self.assertNotIn(MARK.encode(), whole.replace(f'"input":{json.dumps(SHOW)}'.encode(), b''))
        seen = json.loads(answer.text)
        self.assertEqual((answer.status, seen.pop('input')), (200, SHOW))
        return seen

    def assert_clean(self, server, seen, before):
        for name in ('get', 'post', 'cookie', 'files', 'request', 'session', 'id', 'session status', 'SID', 'headers', 'status', 'buffers', 'error', 'filtered', 'asked', 'answered', 'precision',
                     'agent', 'token', 'xml', 'aborted', 'abort'):
            self.assertEqual(seen[name], before[name], name)
        self.assertFalse({'PHP_AUTH_USER', 'PHP_AUTH_PW', 'REMOTE_USER', 'HTTP_AUTHORIZATION', 'HTTP_COOKIE', 'HTTP_X_MARK', 'PHP_VALUE', 'mark'} & set(seen['server']))
        self.poll(lambda: not [name for name in os.listdir(server.tmp) if name.startswith('php')], what='uploads are left')

    def alternate(self, server, ends, turns=2):
        before = self.show(server)
        for name, end in ends.items():
            with self.subTest(end=name):
                for _ in range(turns):
                    self.leave(server, end)
                    self.assert_clean(server, self.show(server), before)

    def test_after_every_kind_of_end(self):
        self.alternate(self.one_worker(), ENDS)

    @signals_reach_loops
    def test_after_every_kind_of_timeout(self):
        self.alternate(self.one_worker(settings=[('request_terminate_timeout', '15s')]), TIMES, turns=1)

    def test_with_a_session_handler_of_the_applications(self):
        server = self.one_worker(boot='$_ENV["DIR"] = ini_get("session.save_path");' + HANDLER)
        self.alternate(server, ENDS)

    def test_client_that_leaves_in_mid_answer(self):
        server = self.one_worker()
        before = self.show(server)
        code = LEAVE.replace('TOUCHED', os.path.join(server.tmp, 'touched')) + 'while (ob_get_level()) ob_end_flush(); for ($i = 0; $i < 200; $i++) { echo str_repeat(MARK, 1000); flush(); }'
        for abort in ('', 'ignore_user_abort(false);'):
            for _ in range(3):
                with server.connect() as connection:
                    body = (abort + code).encode()
                    connection.send_request(fcgi.post_params(self.script, body, 'text/plain', QUERY_STRING='a=' + MARK, HTTP_COOKIE='c=' + MARK), body)
                    connection.read_record()
                self.assert_clean(server, self.show(server), before)


class Remembered(WorkerTest):
    """What PHP's own functions remember from one call to the next."""

    def test_seed_of_the_random_numbers(self):
        server = self.worker()
        known = self.php(server, 'mt_srand(42); mt_rand(); echo mt_rand();').text
        self.php(server, 'mt_srand(42); mt_rand();')
        self.assertNotEqual(self.php(server, 'echo mt_rand();').text, known)

    def test_what_is_known_of_files(self):
        server = self.worker()
        file = os.path.join(server.tmp, 'grows')
        for size in (1, 2, 3):
            with open(file, 'w', encoding='utf-8') as out:
                out.write('x' * size)
            self.assertEqual(self.php(server, f'echo filesize("{file}");').text, str(size))

    def test_headers_of_the_last_answer_over_http(self):
        class Site(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header('X-Mark', MARK)
                self.end_headers()

            def log_message(self, *_):
                pass
        site = http.server.HTTPServer(('127.0.0.1', 0), Site)
        self.addCleanup(site.server_close)
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(site.shutdown)
        server = self.worker()
        show = 'echo json_encode(http_get_last_response_headers());'
        self.assertIn(MARK, self.php(server, f'file_get_contents("http://127.0.0.1:{site.server_port}/"); {show}').text)
        self.assertEqual(self.php(server, show).text, 'null')
