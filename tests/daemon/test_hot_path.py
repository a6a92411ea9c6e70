"""The context that reads a request runs it: no lock is taken and no thread woken on the way of an ordinary request."""

from ftm import fcgi
from ftm.case import DaemonTest, Pool, ftm_only
from ftm.lock_count import LockCount

REQUESTS = 2000


@ftm_only('counts what threads do to each other')
class HotPath(DaemonTest):
    def counted(self, settings=(), modules=(), keep=True, params=fcgi.script_params, source='<?php echo "hello";', **pool):
        count = LockCount(self)
        server = self.serve([Pool(settings=settings, **pool)], modules=modules, env=count.env)
        script = server.script('hello.php', source)
        connection = None

        def ask(times):
            nonlocal connection
            for _ in range(times):
                if connection is None or not keep:
                    connection = server.connect()
                connection.send_request(params(script), keep=keep)
                self.assertEqual(connection.read_response().text, 'hello')
                if not keep:
                    connection.close()
        ask(50)
        started = count.read()
        self.assertGreater(started['mutex'], 0, 'the library counts')
        return count.during(lambda: ask(REQUESTS))

    def assertFree(self, counts):
        """libxml takes a mutex in PHP's request start-up, in php-fpm as well. A context that finds nothing to do for a second
        sleeps and is woken; less than one in fifty requests is none of theirs."""
        for name, number in counts.items():
            self.assertLess(number / REQUESTS, 1.02 if name == 'mutex' else 0.02, f'{name}: {counts}')

    def test_kept_connection(self):
        self.assertFree(self.counted())

    def test_new_connections(self):
        self.assertFree(self.counted(keep=False))

    def test_with_opcache(self):
        self.assertFree(self.counted(modules=['opcache']))

    def test_where_a_status_page_is_kept_and_requests_may_not_last(self):
        self.assertFree(self.counted({'pm.status_path': '/status', 'request_terminate_timeout': '30s', 'request_slowlog_timeout': '10s', 'slowlog': '/dev/null'}))

    def test_dynamic_pool(self):
        self.assertFree(self.counted({'pm': 'dynamic', 'pm.start_servers': '2', 'pm.min_spare_servers': '1', 'pm.max_spare_servers': '3'}, children=4))
