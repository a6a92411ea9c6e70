"""Xdebug in a worker: a debugger stops inside the callback and steps.  Needs the module: packaging/php-runtime/extension
xdebug; without it the tests are skipped."""

import base64
from concurrent.futures import ThreadPoolExecutor

from ftm.case import needs_module
from ftm.dbgp import Debugger
from ftm.worker import WorkerTest

SOURCE = '''<?php
$served = 0;
while (frankenphp_handle_request(function () use (&$served) {
    $name = $_GET["name"];
    $greeting = "hello $name";
    $served++;
    echo $greeting, " ", $served;
}));
'''
LINE = 1 + SOURCE.split('\n').index('    $greeting = "hello $name";')


@needs_module('xdebug')
class Xdebug(WorkerTest):
    def setUp(self):
        self.debugger = Debugger()
        self.addCleanup(self.debugger.close)

    def debugged(self, settings=(), source=SOURCE, **ini):
        defaults = {'xdebug.mode': 'debug', 'xdebug.start_with_request': 'yes', 'xdebug.client_host': '127.0.0.1', 'xdebug.client_port': str(self.debugger.port)}
        # it is ready when the debugger has let the script boot
        return self.worker(source=source, modules=['xdebug'], ini={**defaults, **ini}, settings=settings, start_wait=False)

    def stop_and_step(self, session, name):
        """From a stop at the breakpoint to the request's end."""
        status, file, line = session.where(session.command('run'))
        self.assertEqual((status, file, line), ('break', 'file://' + self.script, LINE))
        status, _, line = session.where(session.command('step_over'))
        self.assertEqual((status, line), ('break', LINE + 1))
        value = session.command('property_get', n='$greeting').find('.//{urn:debugger_protocol_v1}property')
        self.assertEqual(base64.b64decode(value.text).decode(), f'hello {name}')

    def test_stops_in_the_callback_of_each_request(self):
        server = self.debugged()
        with self.debugger.accept() as session, ThreadPoolExecutor(2) as pool:
            session.command('breakpoint_set', t='line', f='file://' + self.script, n=LINE)
            one = pool.submit(lambda: server.get(self.script, 'name=one', timeout=30))
            self.stop_and_step(session, 'one')
            two = pool.submit(lambda: server.get(self.script, 'name=two', timeout=30))
            self.stop_and_step(session, 'two')  # lets the first one go on before
            self.assertEqual(one.result().text, 'hello one 1')
            session.command('breakpoint_remove', d=self.breakpoints(session)[0])
            session.connection.sendall(b'run -i 99\0')
            self.assertEqual(two.result().text, 'hello two 2')

    def breakpoints(self, session):
        return [b.get('id') for b in session.command('breakpoint_list').iter('{urn:debugger_protocol_v1}breakpoint')]

    def test_with_worker_debug_each_request_is_a_session(self):
        server = self.debugged(settings=[('worker.debug', 'on')])
        server.wait_ready()
        for name in ('one', 'two'):
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(lambda: server.get(self.script, f'name={name}', timeout=30))
                with self.debugger.accept() as session:
                    session.command('breakpoint_set', t='line', f='file://' + self.script, n=LINE)
                    self.stop_and_step(session, name)
                    session.connection.sendall(b'detach -i 99\0')
                    self.assertEqual(waiting.result().text, f'hello {name} 1')

    def test_debugger_that_is_asked_for_in_the_callback(self):
        source = SOURCE.replace('    $name =', '    xdebug_connect_to_client(); xdebug_break();\n    $name =')
        server = self.debugged(source=source, **{'xdebug.start_with_request': 'no'})
        server.wait_ready()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: server.get(self.script, 'name=one', timeout=30))
            with self.debugger.accept() as session:
                status, file, line = session.where(session.command('run'))
                self.assertEqual((status, file), ('break', 'file://' + self.script))
                self.assertEqual(session.where(session.command('step_over'))[2], line + 1)
                session.connection.sendall(b'detach -i 99\0')
                self.assertEqual(waiting.result().text, 'hello one 1')
