"""What of a request's body is kept for PHP, where, and what happens when it cannot be."""

import os
import shutil
import signal
from tempfile import TemporaryDirectory

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only
from ftm.http import multipart

BIG = 3 << 20
SCRIPT = '<?php echo strlen(file_get_contents("php://input")), " ", count($_POST), " ", strlen($_POST["a"] ?? ""), " ", $_FILES["f"]["size"] ?? "-";'


class Bodies(DaemonTest):
    def server_with(self, ini=None, **settings):
        server = self.serve([Pool(children=2, settings=settings)], ini={'post_max_size': '1M', **(ini or {})})
        return server, server.script('size.php', SCRIPT)

    def form(self, server, script, size=BIG, **params):
        return server.post(script, b'a=' + b'x' * (size - 2), CONTENT_TYPE='application/x-www-form-urlencoded', **params)

    @ftm_only('php-fpm lets php://input read the rest from the socket')
    def test_a_form_beyond_post_max_size_is_not_stored(self):
        server, script = self.server_with()
        with server.connect() as connection:
            connection.send_request(fcgi.post_params(script, b'a=' + b'x' * (BIG - 2), 'application/x-www-form-urlencoded'),
                                    b'a=' + b'x' * (BIG - 2), keep=True)
            answer = connection.read_response()
            self.assertIn(b'exceeds the limit of 1048576 bytes', answer.stderr)
            self.assertTrue(answer.text.endswith(f'{(1 << 20) + 1} 0 0 -'), answer.text[-80:])
            again = connection.request(fcgi.post_params(script, b'a=1', 'application/x-www-form-urlencoded'), b'a=1')
            self.assertEqual(again.text, '3 1 1 -', 'the connection goes on behind the body')

    @ftm_only('php-fpm does not store bodies')
    def test_limits_hold_for_a_body_that_arrives_over_a_reload(self):
        server, script = self.server_with()
        kinds = ('application/x-www-form-urlencoded', 'application/octet-stream')
        connections = []
        for kind in kinds:
            body = b'a=' + b'x' * (BIG - 2)
            data = fcgi.whole_request(fcgi.post_params(script, body, kind), body)
            connection = server.connect(timeout=40)
            connection.send(data[:BIG // 6])
            connections.append((connection, data[BIG // 6:]))
        old = server.workers()
        server.kill(signal.SIGUSR2)
        self.poll(lambda: len(server.workers()) == 1 and server.workers() != old, 20, 'the successor serves alone')
        for connection, rest in connections:
            connection.send(rest[:-16])
        files = self.poll(lambda: [what for pid in server.workers() for what in proc.descriptors(pid).values()
                                   if 'deleted' in what and 'memfd' not in what], 10, 'the bodies are in files')
        self.assertTrue(all(what.startswith(server.tmp) for what in files), files)
        answers = []
        for connection, rest in connections:
            connection.send(rest[-16:])
            answers.append(connection.read_response().text)
            connection.close()
        self.assertEqual(answers, [f'{(1 << 20) + 1} 0 0 -', f'{BIG} 0 0 -'])

    def test_user_ini_raises_the_limit(self):
        server, script = self.server_with(ini={'user_ini.cache_ttl': '0'})
        server.script('.user.ini', 'post_max_size = 8M\n')
        body, kind = multipart([('a', 'x' * BIG)], [])
        where = {'DOCUMENT_ROOT': os.path.dirname(script)}
        self.assertEqual(server.post(script, body, CONTENT_TYPE=kind, **where).text, f'0 1 {BIG} -')
        self.assertEqual(self.form(server, script, **where).text, f'{BIG} 0 0 -', 'PHP looks at these before it reads .user.ini')

    def test_parameters_raise_the_limit(self):
        server, script = self.server_with()
        for name in ('PHP_VALUE', 'PHP_ADMIN_VALUE'):
            self.assertEqual(self.form(server, script, **{name: 'post_max_size=8M'}).text, f'{BIG} 1 {BIG - 2} -', name)

    def test_a_pool_value_raises_the_limit(self):
        server, script = self.server_with(**{'php_admin_value[post_max_size]': '8M', 'php_admin_value[upload_max_filesize]': '8M'})
        self.assertEqual(self.form(server, script).text, f'{BIG} 1 {BIG - 2} -')
        body, kind = multipart([], [('f', 'x.bin', 'application/octet-stream', b'y' * BIG)])
        self.assertEqual(server.post(script, body, CONTENT_TYPE=kind).text, f'0 0 0 {BIG}')

    def test_other_bodies_are_whole_whatever_the_limit(self):
        server, script = self.server_with(ini={'display_errors': '0'})
        for method, kind in (('PUT', 'application/octet-stream'), ('POST', 'application/json'), ('PUT', 'application/x-www-form-urlencoded')):
            answer = server.post(script, b'z' * BIG, CONTENT_TYPE=kind, REQUEST_METHOD=method)
            self.assertEqual(answer.text, f'{BIG} 0 0 -', method + ' ' + kind)

    @ftm_only('php-fpm does not store bodies')
    def test_a_body_that_cannot_be_stored_is_an_error(self):
        directory = self.enterContext(TemporaryDirectory(ignore_cleanup_errors=True))
        os.chmod(directory, 0o777)
        server, script = self.server_with(ini={'upload_tmp_dir': directory, 'post_max_size': '8M'})
        self.assertEqual(self.form(server, script).text, f'{BIG} 1 {BIG - 2} -')
        shutil.rmtree(directory)
        with server.connect() as connection:
            connection.send_request(fcgi.post_params(script, b'z' * BIG), b'z' * BIG, keep=True)
            answer = connection.read_response()
            self.assertEqual(answer.status, 500)
            self.assertEqual(connection.request(fcgi.post_params(script, b'abc'), b'abc').text, '3 0 0 -')
        server.expect_log(rf'ERROR: \[pool www\] the body of a request \({BIG} bytes\) could not be stored in {directory}: No such file or directory$')

    def test_a_missing_upload_directory_is_replaced(self):
        server, script = self.server_with(ini={'upload_tmp_dir': '/nonexistent', 'post_max_size': '8M'})
        self.assertEqual(self.form(server, script).text, f'{BIG} 1 {BIG - 2} -')
