"""Finds test_*.py in folders, runs every test with a time limit and ends in 'N passed, N failed, N skipped'."""

import collections
import faulthandler
import importlib.util
import os
import signal
import sys
import time
import traceback
import unittest

from .proc import time_scale

LIMIT = 900


class OutOfTime(Exception):
    pass


def _alarm(*_):
    raise OutOfTime('the test ran longer than its limit')


class Result(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.passed = 0
        self.problems = []
        self._began = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        self._marked = len(self.errors) + len(self.failures)
        limit = max(LIMIT, getattr(getattr(test, test._testMethodName, None), 'time_limit', 0)) * time_scale()
        signal.setitimer(signal.ITIMER_REAL, limit)
        faulthandler.dump_traceback_later(limit + 60 * time_scale(), exit=True)

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        took = time.monotonic() - self._began
        mine = [(t, text) for t, text in [*self.errors, *self.failures] if t is test or getattr(t, 'test_case', None) is test]
        skipped = [why for t, why in self.skipped if t is test]
        if mine:
            word = 'FAIL'
            self.problems.append((test.id(), mine))
        elif skipped:
            word = 'skip'
        else:
            word = 'ok  '
            self.passed += 1
        note = f' ({skipped[0]})' if skipped and not mine else ''
        self.out.write(f'{word} {test.id()} {took:.2f} s{note}\n')
        for _, text in mine:
            lines = text.rstrip().splitlines()
            if len(lines) > 130:        # the head of a sanitizer report matters most, and so do the last lines of a log
                lines = [*lines[:80], f'… {len(lines) - 130} lines …', *lines[-50:]]
            self.out.write(''.join('     ' + line + '\n' for line in lines))
        if mine and getattr(test, 'logs', ''):
            self.out.write(''.join('     | ' + line + '\n' for line in test.logs.rstrip().splitlines()[-60:]))
        self.out.flush()
        super().stopTest(test)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            text = ''.join(traceback.format_exception(*error))
            self.failures.append((test, f'{subtest._subDescription()}\n{text}'))


def load(folders, patterns=()):
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            if not (name.startswith('test_') and name.endswith('.py')):
                continue
            module_name = name[:-3]
            spec = importlib.util.spec_from_file_location(module_name, os.path.join(folder, name))
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
            suite.addTests(loader.loadTestsFromModule(module))

    def flat(s):
        for item in s:
            if isinstance(item, unittest.TestSuite):
                yield from flat(item)
            else:
                yield item
    return [t for t in flat(suite) if not patterns or any(p in t.id() for p in patterns)]


def end_class(tests, is_set_up):
    if tests is not None:
        if is_set_up:
            tests.tearDownClass()
        tests.doClassCleanups()


def main(folders, patterns=(), list_only=False):
    tests = load(folders, patterns)
    if list_only:
        for test in tests:
            print(test.id())
        return 0
    signal.signal(signal.SIGALRM, _alarm)
    out = sys.stdout
    result = Result(out)
    began = time.monotonic()
    current_class = without = broken = None
    for test in tests:
        if type(test) is not current_class:
            end_class(current_class, without is broken is None)
            current_class, without, broken = type(test), None, None
            try:
                current_class.setUpClass()
            except unittest.SkipTest as why:
                without = str(why)
            except Exception:                   # of this class only; the others are run
                broken = sys.exc_info()
        if broken is not None:
            result.startTest(test)
            result.addError(test, broken)
            result.stopTest(test)
        elif without is None:
            test(result)
        else:
            result.startTest(test)
            result.addSkip(test, without)
            result.stopTest(test)
        if result.shouldStop:
            break
    end_class(current_class, without is broken is None)
    failed = len(result.problems)
    if failed:
        out.write('\nfailed:\n' + ''.join(f'  {name}\n' for name, _ in result.problems))
    for why, count in sorted(collections.Counter(why for _, why in result.skipped).items()):
        out.write(f'skipped {count}: {why}\n')
    out.write(f'elapsed {time.monotonic() - began:.1f} s\n')
    out.write(f'{result.passed} passed, {failed} failed, {len(result.skipped)} skipped\n')
    out.flush()
    return 1 if failed or result.passed == 0 else 0
