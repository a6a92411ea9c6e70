"""The matrix of matrix.py: every cell must have its expected value. With FTM_MATRIX=FILE the table is written there."""

import os
import unittest

from expected import FRONTS, exception, expected
from ftm.proc import poll
from matrix import COLUMNS, PAGES, Cell
from proxies import PROXIES
from served import serve

SEEN = {}


def lines_of(names, notes, suffixed):
    """One line per feature, one column per front; `notes` grows."""
    yield '| | ' + ' | '.join(name if suffixed else name.removesuffix(', newest') for name in names) + ' |'
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
    return 'Seen with ' + ', '.join(sorted({f'{FRONTS[name].make.__name__.replace("Proxy", "", 1 if name in PROXIES else 0).replace("ApacheFcgid", "Apache").replace("NginxModule", "Nginx")} {FRONTS[name].version()}' for name in names})) + '.'


def table():
    """The run as Markdown: this release's servers, the newest suite's, those that speak HTTP to php-ftm, and notes."""
    titles = {(False, False): None, (False, True): f'The newest suite ({os.environ.get("FTM_NEWEST_SUITE")}), set up as in etc/fronts:',
              (True, False): 'Before `http.listen` ([HTTP.md](HTTP.md)) instead of FastCGI:'}
    notes, lines = [], []
    for (proxy, new), title in titles.items():
        names = [name for name in FRONTS if name in SEEN and (name in PROXIES) == proxy and (proxy or FRONTS[name].newest == new)]
        if names:
            lines += [*([title, ''] if title else []), *lines_of(names, notes, proxy), '', versions(names), '']
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
        server, front = serve(self, setup, PAGES, modules=['ffi'], ini={'ffi.enable': '1', 'post_max_size': '64M'})
        cell = Cell(front, server, lambda column: expected(name, column))
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
