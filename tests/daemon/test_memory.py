"""Memory that a burst of requests has left behind."""

import os
import threading
import unittest

from ftm import proc
from ftm.case import DaemonTest, Pool, ftm_only, sanitized

FILL = '<?php $a = []; for ($i = 0; $i < 300000; $i++) $a[] = "string number $i"; usleep(200000); echo count($a);'


class Memory(DaemonTest):
    @ftm_only('a php-fpm child keeps what it has')
    @unittest.skipIf(sanitized(), 'sanitizers have memory of their own')
    def test_cold_contexts_give_theirs_back(self):
        count = 24
        server = self.serve([Pool(children=count)])
        script = server.script('fill.php', FILL)
        [engine] = server.workers()

        def all_at_once():
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(server.get(script, timeout=60).text)) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, ['300000'] * count)

        for _ in range(3):  # the heap keeps what was needed on average
            all_at_once()
        full = proc.private_memory(engine)
        waiting = len(os.sched_getaffinity(0)) + 2
        self.poll(lambda: proc.private_memory(engine) < full * (waiting + 3) / count, 20, f'{full} bytes go down')
        all_at_once()  # and works as before
        self.assertEqual(server.workers(), [engine])
