"""The same tour twice, on a worker and classic: every answer the same, apart from what a file `volatile` lists."""

import difflib
import re

# Headers of the web server and of the moment; all others are compared.
IGNORED = {'date', 'connection', 'keep-alive', 'transfer-encoding'}


def load(path):
    """Lines of `regular expression | replacement | why`."""
    rules = []
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip('\n')
            if line and not line.startswith('#'):
                parts = line.split(' | ')
                if len(parts) != 3:
                    raise ValueError(f'{path}:{number}: three parts divided by " | " expected')
                rules.append((re.compile(parts[0]), parts[1]))
    return rules


def view(answer, rules):
    """An answer as lines; bytes that are no text are shown as such."""
    text = answer.body.decode('utf-8', 'backslashreplace')
    headers = [f'{name.lower()}: {value}' for name, value in answer.headers if name.lower() not in IGNORED]
    lines = [f'status {answer.status}', *headers, '', *text.splitlines()]
    for pattern, replacement in rules:
        lines = [pattern.sub(replacement, line) for line in lines]
    return lines


def differences(first, second, rules):
    """Tours are lists of names and answers."""
    found = []
    if [name for name, _ in first] != [name for name, _ in second]:
        found.append(f'not the same pages: {[name for name, _ in first]} and {[name for name, _ in second]}')
    for (name, a), (_, b) in zip(first, second):
        a, b = view(a, rules), view(b, rules)
        if a != b:
            found.append(f'{name}:\n' + '\n'.join(list(difflib.unified_diff(a, b, 'classic', 'worker', lineterm='', n=0))[:20]))
    return found
