"""A server whose pool runs a worker script, for tests."""

import os

from . import fcgi
from .case import DaemonTest, Pool, ftm_only

LOOP = '''<?php
$booted = microtime(true) . " " . random_int(0, PHP_INT_MAX);
$count = 0;
%(boot)s
while (frankenphp_handle_request(function () use (&$count, $booted) {
    $count++;
    %(callback)s
})) { %(after)s }
%(end)s
'''
# What to do is in the query: one worker serves all tests of a class of questions.
DISPATCH = '''
    switch ($_GET["do"] ?? "") {
        case "count": echo $count; break;
        case "booted": echo $booted; break;
        case "superglobals": echo json_encode(["get" => $_GET, "post" => $_POST, "cookie" => $_COOKIE, "request" => $_REQUEST, "files" => $_FILES,
            "server" => $_SERVER, "session" => $_SESSION ?? null, "input" => file_get_contents("php://input")]); break;
        case "eval": eval(file_get_contents("php://input")); break;
        default: echo "hello ", $count;
    }
'''


@ftm_only('worker mode')
class WorkerTest(DaemonTest):
    def worker(self, boot='', callback=DISPATCH, after='', end='', children=2, num=1, settings=(), ini=None, modules=(), source=None, stop_time='0', start_wait=True, **kwargs):
        server = self.serve([Pool(children=children, settings=[('catch_workers_output', 'yes'), ('decorate_workers_output', 'no')])], start=False,
                            ini=ini, modules=modules, settings={'process_control_timeout': stop_time}, **kwargs)
        text = source if source is not None else LOOP % {'boot': boot, 'callback': callback, 'after': after, 'end': end}
        self.script = server.script('worker.php', text)
        server.pools[0].settings += [('worker.script', self.script), ('worker.num', str(num)), *settings]
        server.write_conf()
        return server.start(wait=start_wait)

    def ask(self, server, what='', connection=None, **params):
        query = f'do={what}' if what else ''
        extra = params.pop('query', '')
        all_params = fcgi.script_params(self.script, QUERY_STRING='&'.join(x for x in (query, extra) if x), **params)
        return connection.request(all_params) if connection else server.get(self.script, '&'.join(x for x in (query, extra) if x), **params)

    def php(self, server, code, **params):
        """Runs code inside the worker's callback."""
        params.setdefault('CONTENT_TYPE', 'application/x-php')
        return server.post(self.script, code, QUERY_STRING='do=eval', **params)
