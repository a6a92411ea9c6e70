"""Memory that a burst of requests has left behind."""

import os
import unittest

from ftm import fcgi, proc
from ftm.case import DaemonTest, Pool, ftm_only, sanitized

FILL = ('<?php $a = []; for ($i = 0; $i < 100000; $i++) $a[] = "string number $i"; touch($_GET["m"]); '
        'while (!file_exists($_GET["go"])) { usleep(5000); clearstatcache(); } echo count($a);')


class Memory(DaemonTest):
    @ftm_only('a php-fpm child keeps what it has')
    @unittest.skipIf(sanitized(), 'sanitizers have memory of their own')
    def test_cold_contexts_give_theirs_back(self):
        waiting = os.cpu_count() + 2  # those keep what they have
        count = max(24, 2 * waiting + 8)
        server = self.serve([Pool(children=count)])
        script = server.script('fill.php', FILL)
        [engine] = server.workers()
        none = proc.private_memory(engine)

        def all_at_once(turn):
            """Each holds what it has until all of them have it."""
            marks = [os.path.join(server.tmp, f'mark{turn}-{number}') for number in range(count)]
            go = os.path.join(server.tmp, f'go{turn}')
            connections = [self.enterContext(server.connect()) for _ in marks]
            for connection, mark in zip(connections, marks):
                connection.send_request(fcgi.script_params(script, QUERY_STRING=f'm={mark}&go={go}'))
            self.poll(lambda: all(map(os.path.exists, marks)))
            open(go, 'w').close()
            self.assertEqual([connection.read_response().text for connection in connections], ['100000'] * count)

        for turn in range(3):  # the heap keeps what was needed on average
            all_at_once(turn)
        full = proc.private_memory(engine)
        limit = none + (full - none) * (waiting + 4) / count
        self.poll(lambda: proc.private_memory(engine) < limit, what=lambda: f'{full} bytes go down to {limit:.0f}, they are {proc.private_memory(engine)}')
        all_at_once(3)  # and works as before
        self.assertEqual(server.workers(), [engine])
