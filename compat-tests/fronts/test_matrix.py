"""The matrix of matrix.py: every cell must have its expected value. With FTM_MATRIX=FILE the table is written there."""

import os
import subprocess
import unittest

from ftm.proc import poll
from ftm.server import Binary, Pool, Server, free_port
from matrix import COLUMNS, EXCEPT, EXPECTED, FRONTS, PAGES, Cell

SEEN = {}


def exception(front, column):
    return next((EXCEPT[name, column] for name in (front, front.split(',')[0]) if (name, column) in EXCEPT), None)


def expected(front, column):
    other = exception(front, column)
    return other[0] if other else EXPECTED[column]


def version(setup):
    flag = {'caddy': 'version', 'haproxy': '-v'}.get(setup.make.binary, '-v')
    out = subprocess.run([setup.make.installed(), flag], capture_output=True, text=True)
    return next((word.strip('(),') for word in (out.stdout + out.stderr).replace('/', ' ').split() if word[0].isdigit() and '.' in word), '?')


def table():
    """The run as Markdown: one line per feature, one column per front, notes below."""
    notes, lines = [], []
    names = [name for name in FRONTS if name in SEEN]
    lines.append('| | ' + ' | '.join(names) + ' |')
    lines.append('|---|' + '---|' * len(names))
    for column in COLUMNS:
        cells = []
        for front in names:
            seen, other = SEEN[front].get(column, '–'), exception(front, column)
            if other and other[1] not in notes:
                notes.append(other[1])
            cells.append(seen + (f' [{notes.index(other[1]) + 1}]' if other else ''))
        lines.append(f'| {column} | ' + ' | '.join(cells) + ' |')
    lines += ['', *(f'{i}. {note}' for i, note in enumerate(notes, 1))]
    versions = sorted({f'{FRONTS[name].make.__name__.replace("ApacheFcgid", "Apache")} {version(FRONTS[name])}' for name in names})
    return '\n'.join(lines) + '\n\nSeen with ' + ', '.join(versions) + '.\n'


class Matrix(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        if os.environ.get('FTM_MATRIX') and SEEN:
            with open(os.environ['FTM_MATRIX'], 'w') as file:
                file.write(table())

    def check(self, name):
        setup = FRONTS[name]
        if not setup.make.installed():
            self.skipTest(f'this release has no {setup.make.binary}')
        server = Server([Pool(children=8, listen=setup.transport)], binary=Binary(os.environ['FTM_BINARY']), modules=['ffi'], ini={'ffi.enable': '1', 'post_max_size': '64M'}).prepare()
        for page, text in PAGES.items():
            server.script(page, text)
        server.start()
        self.addCleanup(server.stop)
        with setup.make(setup, server.pool().address, server.docroot, free_port()) as front:
            cell = Cell(front, server)
            poll(lambda: COLUMNS['page'](cell) == 'ok', 15, f'{name}: a page')
            SEEN[name] = {}
            for column, look in COLUMNS.items():
                with self.subTest(front=name, column=column):
                    SEEN[name][column] = look(cell)
                    self.assertEqual(SEEN[name][column], expected(name, column))


for _name in FRONTS:
    def _test(self, name=_name):
        self.check(name)
    setattr(Matrix, 'test_' + _name.replace(', ', '_').replace(' ', '_'), _test)
