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
    out = subprocess.run([*setup.program(), 'version' if setup.make.binary == 'caddy' else '-v'], capture_output=True, text=True)
    return next((word.strip('(),') for word in (out.stdout + out.stderr).replace('/', ' ').split() if word[0].isdigit() and '.' in word), '?')


def lines_of(names, notes):
    """One line per feature, one column per front; `notes` grows."""
    yield '| | ' + ' | '.join(name.removesuffix(', newest') for name in names) + ' |'
    yield '|---|' + '---|' * len(names)
    for column in COLUMNS:
        cells = []
        for front in names:
            seen, other = SEEN[front].get(column), exception(front, column)
            if seen and other and other[1] and other[1] not in notes:
                notes.append(other[1])
            cells.append((seen or '–') + (f' [{notes.index(other[1]) + 1}]' if seen and other and other[1] else ''))
        yield f'| {column} | ' + ' | '.join(cells) + ' |'


def versions(names):
    return 'Seen with ' + ', '.join(sorted({f'{FRONTS[name].make.__name__.replace("ApacheFcgid", "Apache")} {version(FRONTS[name])}' for name in names})) + '.'


def table():
    """The run as Markdown: this release's servers, the newest suite's, and notes."""
    notes, lines = [], []
    for names in ([name for name in FRONTS if name in SEEN and FRONTS[name].newest == new] for new in (False, True)):
        if names:
            lines += [*([f'The newest suite ({os.environ["FTM_NEWEST_SUITE"]}), set up as in etc/fronts:', ''] if FRONTS[names[0]].newest else []), *lines_of(names, notes), '', versions(names), '']
    return '\n'.join([*lines, *(f'{i}. {note}' for i, note in enumerate(notes, 1))]) + '\n'


class Matrix(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        if os.environ.get('FTM_MATRIX') and SEEN:
            with open(os.environ['FTM_MATRIX'], 'w') as file:
                file.write(table())

    def check(self, name):
        setup = FRONTS[name]
        if setup.absence():
            self.skipTest(setup.absence())
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
                    if SEEN[name][column] is not None:
                        self.assertEqual(SEEN[name][column], expected(name, column))


for _name in FRONTS:
    def _test(self, name=_name):
        self.check(name)
    setattr(Matrix, 'test_' + _name.replace(', ', '_').replace(' ', '_'), _test)
