"""request_terminate_timeout while a real database server thinks: through mysqli and PDO, with a new and a persistent connection."""

import os
import shutil
import sys
import tempfile
import time
import unittest

from ftm import fcgi
from ftm.case import DaemonTest, Pool, is_ftm, needs_module, sanitizer_threads, time_limit
from ftm.server import PROJECT

sys.path.append(os.path.join(PROJECT, 'compat-tests/apps'))
from mariadb import MariaDb, tool  # noqa: E402

LIMIT = 3  # seconds

SQL = '''<?php
ignore_user_abort(true);
$socket = $_GET['socket'];
$persistent = ($_GET['persistent'] ?? '') === '1';
if ($_GET['through'] === 'pdo') {
    $db = new PDO("mysql:unix_socket=$socket", 'test', 'secret', [PDO::ATTR_PERSISTENT => $persistent]);
    $ask = fn($what) => $db->query($what)->fetchColumn();
} else {
    mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    $db = mysqli_connect($persistent ? 'p:localhost' : 'localhost', 'test', 'secret', null, null, $socket);
    $ask = fn($what) => $db->query($what)->fetch_row()[0];
}
if (isset($_GET['flag'])) {
    touch($_GET['flag']);
    try { $ask('SELECT SLEEP(300)'); } finally { touch($_GET['flag'] . '.went-on'); }
    echo 'went on';
} else {
    echo $ask('SELECT 6 * ' . (int) $_GET['number']), ' ', $ask('SELECT CONNECTION_ID()');
}
'''


@needs_module('mysqlnd', 'mysqli', 'pdo', 'pdo_mysql')
class TerminateSql(DaemonTest):
    @classmethod
    def setUpClass(cls):
        try:
            tool('mariadbd', 'mysqld')
            tool('mariadb-install-db', 'mysql_install_db')
        except FileNotFoundError as error:
            raise unittest.SkipTest(str(error))
        cls.folder = tempfile.mkdtemp(prefix='ftm-sql-')
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        cls.database = MariaDb(os.path.join(cls.folder, 'data'), os.path.join(cls.folder, 'run/socket')).create()
        cls.addClassCleanup(cls.database.stop)
        cls.database.start("CREATE USER 'test'@'localhost' IDENTIFIED BY 'secret';\n")

    def ask(self, server, through, number, persistent=0):
        return server.get(self.sql, f'socket={self.database.socket}&through={through}&persistent={persistent}&number={number}').text.split()[0]

    @time_limit(120)
    def test_client_is_rid_of_it_and_neighbours_are_served(self):
        server = self.serve([Pool(children=4, settings={'request_terminate_timeout': f'{LIMIT}s'})], modules=['mysqlnd', 'mysqli', 'pdo', 'pdo_mysql'])
        self.sql = server.script('sql.php', SQL)
        engines = self.poll(server.workers)
        for through in ('mysqli', 'pdo'):
            for persistent in (0, 1):
                with self.subTest(f'{through} {persistent}'):
                    since = server.mark()
                    self.assertEqual(self.ask(server, through, 1, persistent), '6')
                    flag = os.path.join(server.tmp, f'{through}{persistent}')
                    with server.connect(timeout=40) as connection:
                        began = time.monotonic()
                        connection.send_request(fcgi.script_params(self.sql, QUERY_STRING=f'socket={self.database.socket}&through={through}&persistent={persistent}&flag={flag}'))
                        self.poll(lambda: os.path.exists(flag))
                        while time.monotonic() < began + LIMIT - 1.5:
                            self.assertEqual(self.ask(server, through, 7), '42')
                        with self.assertRaises(fcgi.Closed):
                            connection.read_response()
                        took = time.monotonic() - began
                    self.assertGreaterEqual(took, LIMIT - 0.05)
                    server.wait_for(rf'child \d+, script \'{self.sql}\' \(request: "GET /sql\.php\?[^"]*"\) execution timed out \([1-9]\d*\.\d{{6}} sec\), terminating$', 5, since)
                    # Whatever the connection was in the middle of: nobody gets its answer.
                    for number in range(12):
                        self.assertEqual(self.ask(server, through, number, persistent), str(6 * number))
                    self.assertFalse(os.path.exists(flag + '.went-on'))
        if is_ftm() and not sanitizer_threads():     # TSan delays the signal, so the thread counts as stuck
            self.assertEqual(server.workers(), engines)
