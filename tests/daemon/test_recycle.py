"""pm.max_requests renews what runs the scripts and no request is lost by it."""

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, is_ftm, sanitizer_threads, stock_only
from ftm.load import ECHO, Load


class MaxRequests(DaemonTest):
    def test_renewing_under_load_loses_nothing(self):
        server = self.serve([Pool(children=4 if is_ftm() else 16, settings={'pm.max_requests': '5'})])
        script = server.script('echo.php', ECHO)
        # php-fpm ends a kept connection after the last request of its child, and fronts cope with that.
        result = Load(server.pool().address, script, clients=12, seconds=600, requests=1000, allow_stale=not is_ftm(), pause=0.002).run()
        self.assertEqual(result.failed, 0, str(result))
        self.assertEqual(result.requests, 1000)

    def test_renewing_after_every_request(self):
        server = self.serve([Pool(children=3, settings={'pm.max_requests': '1'})])
        script = server.script('echo.php', ECHO)
        result = Load(server.pool().address, script, clients=6, seconds=600, requests=300, kinds=('new GET', 'new POST')).run()
        self.assertEqual(result.failed, 0, str(result))
        self.assertEqual(result.requests, 300)

    @stock_only('children are renewed')
    def test_stock_children_are_renewed(self):
        server = self.serve([Pool(children=2, settings={'pm.max_requests': '5'})])
        script = server.script('pid.php', '<?php echo getmypid();')
        self.assertGreaterEqual(len({server.get(script).text for _ in range(40)}), 6)

    @ftm_only('contexts are renewed')
    def test_contexts_are_renewed_in_the_same_engine(self):
        """What a context keeps from request to request (persistent resources) is gone after max_requests, and the engine stays."""
        server = self.serve([Pool(children=1, settings={'pm.max_requests': '5'})])
        script = server.script('persistent.php', '<?php $s = pfsockopen("unix://" . $_GET["s"]); $meta = stream_get_meta_data($s); static $x; fwrite($s, "x"); echo "ok";')
        import os
        import socket
        path = os.path.join(server.tmp, 'listener')
        accepted = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.listen(50)
            listener.settimeout(0.2)
            pid, = self.poll(server.workers)
            for _ in range(20):
                self.assertBody(server.get(script, query='s=' + path), 'ok')
                try:
                    accepted.append(listener.accept()[0])
                except (socket.timeout, TimeoutError):
                    pass
        for connection in accepted:
            connection.close()
        self.assertEqual(server.workers(), [pid])
        self.assertGreaterEqual(len(accepted), 3, 'persistent connections were closed with their context')
        self.assertLessEqual(len(accepted), 8, 'and lived as long as it')

    @ftm_only('threads')
    def test_renewed_contexts_leave_no_thread_and_no_descriptor(self):
        server = self.serve([Pool(children=3, settings={'pm.max_requests': '3'})])
        script = server.script('echo.php', ECHO)
        pid, = self.poll(server.workers)
        Load(server.pool().address, script, clients=6, seconds=1).run()
        descriptors = len(proc.descriptors(pid))
        Load(server.pool().address, script, clients=6, seconds=3).run()
        self.assertEqual(server.workers(), [pid])
        self.poll(lambda: proc.thread_count(pid) <= 3 + 1 + sanitizer_threads(), what=lambda: f'{proc.thread_count(pid)} threads')
        self.poll(lambda: len(proc.descriptors(pid)) <= descriptors + 3, 3, lambda: proc.descriptors(pid))

    def test_kept_connection_outlives_its_context(self):
        server = self.serve([Pool(children=1, settings={'pm.max_requests': '3'})])
        script = server.script('hello.php', '<?php echo "hello";')
        served, connections = 0, 1
        connection = server.connect()
        for _ in range(10):
            try:
                self.assertBody(connection.request(fcgi.script_params(script), keep=True), 'hello')
                served += 1
            except fcgi.Closed:
                connection.close()
                connection = server.connect()
                connections += 1
        connection.close()
        if is_ftm():
            self.assertEqual((served, connections), (10, 1))
        else:
            self.assertGreater(served, 5)
