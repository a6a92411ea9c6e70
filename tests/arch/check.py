#!/usr/bin/env python3
"""The rules of the source tree (docs/ARCHITECTURE.md): check.py CHECK SOURCE_DIR [BUILD_DIR [COMPILER [FLAG...]]]

wall      no C++ object refers to Zend, PHP or setjmp: only sapi/ does, in C
layers    each folder of src/ includes only what it may know, and no file of it a header of PHP
headers   every header compiles alone; those of sapi/ as C and as C++
sizes     no file is longer than 400 lines, but for a list with reasons
Prints what is wrong, one line each; exit code 77 when there is nothing to look at yet."""

import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

SKIPPED = 77

# Folder -> what it may include beside itself; "base" is known to all. "sapi" stands for the headers of sapi/.
KNOWS = {
    "base": set(),
    "config": set(),
    "fcgi": set(),
    "http": set(),
    "net": set(),
    "observe": set(),
    "request": set(),
    "sched": {"request"},
    "php": {"request", "observe", "sapi"},
    "engine": {"net", "fcgi", "http", "request", "sched", "php", "sapi", "observe", "config"},
    "host": {"engine", "php", "sapi", "config", "observe"},
    "master": {"host", "net", "config", "observe"},
    "main.cpp": {"config", "master", "observe", "php", "sapi"},  # php and sapi for -i and -m
}

# What C++ must not refer to. libphp's own names have these prefixes, or are in the list.
FORBIDDEN = re.compile(
    r"^(_?zend_|_?php_|sapi_|ts_|tsrm_|virtual_|_*sig(set|long)jmp$|_*(set|long)jmp$|__longjmp_chk$"
    r"|_?(emalloc|efree|ecalloc|erealloc|estrdup|estrndup|safe_emalloc)(_|$)"
    r"|(executor|compiler|core|sapi)_globals(_id|_offset)?$|zval_|_?object_|add_assoc_|gc_)")

PHP_HEADER = re.compile(r"(^|/)(php|zend|sapi|tsrm|ext/|main/|Zend/|TSRM/)", re.IGNORECASE)

LONGER = {}
LINES = 400


def files(root, *patterns):
    return sorted(f for p in patterns for f in root.glob(p))


def wall(root, build, *_):
    sources = files(root, "src/**/*.cpp")
    wrong, seen = [], 0
    for source in sources:
        name = str(source.relative_to(root)) + ".o"
        objects = list(build.glob(f"CMakeFiles/*.dir/{name}"))
        for item in objects:
            seen += 1
            out = subprocess.run(["nm", "-u", "--format=posix", item], capture_output=True, text=True, check=True)
            for line in out.stdout.splitlines():
                symbol = line.split()[0].split("@")[0]
                if FORBIDDEN.match(symbol):
                    wrong.append(f"{source.relative_to(root)} refers to {symbol}")
    print(f"{seen} objects of {len(sources)} sources")
    if seen < len(sources) and not wrong:
        print("not everything is built")
        return SKIPPED
    return wrong


def layers(root, *_):
    wrong = []
    own = {h.name for h in files(root, "sapi/*.h")}
    for source in files(root, "src/**/*.[ch]pp", "src/**/*.inc"):
        where = source.relative_to(root / "src")
        folder = where.parts[0]
        if folder not in KNOWS:
            wrong.append(f"src/{where}: {folder} is not in the table")
            continue
        allowed = KNOWS[folder] | {folder, "base"}
        for number, line in enumerate(source.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if not match:
                continue
            quoted, name = match.group(1) == '"', match.group(2)
            if name in own:
                target = "sapi"
            elif quoted and "/" in name:
                target = name.split("/")[0]
            else:
                target = None
            if target in (None, "php") and not (quoted and target == "php") and PHP_HEADER.search(name):
                wrong.append(f"src/{where}:{number}: {name} is a header of PHP")
            elif quoted and target is None:
                wrong.append(f"src/{where}:{number}: say which folder {name} is in")
            elif target is not None and target not in allowed:
                wrong.append(f"src/{where}:{number}: {folder} must not know {name}")
    return wrong


def headers(root, _build, compiler, *flags):
    jobs = [("c++", h) for h in files(root, "src/**/*.hpp")]
    for header in files(root, "sapi/*.h"):
        if header.name not in ("ftm_internal.h", "ftm_worker.h"):  # include PHP's
            jobs += [("c++", header), ("c", header)]

    def compile_one(job):
        language, header = job
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as unit:
            unit.write(f'#include "{header}"\n')
            unit.flush()
            standard = "-std=c++20" if language == "c++" else "-std=gnu11"
            command = [compiler if language == "c++" else "cc", "-x", language, standard, "-fsyntax-only", "-D_GNU_SOURCE",
                       f"-I{root}/src", f"-I{root}/sapi", *flags, unit.name]
            out = subprocess.run(command, capture_output=True, text=True)
        if out.returncode == 0:
            return None
        first = next((line for line in out.stderr.splitlines() if "error" in line), "error")
        return f"{header.relative_to(root)} as {language}: {first}"

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compile_one, jobs))
    print(f"{len(jobs)} headers")
    return [r for r in results if r]


def sizes(root, *_):
    wrong = []
    for source in files(root, "src/**/*.[ch]pp", "src/**/*.inc", "sapi/*.[ch]"):
        name = str(source.relative_to(root))
        lines = len(source.read_text().splitlines())
        if lines > LINES and name not in LONGER:
            wrong.append(f"{name} has {lines} lines: split it by what one sentence can describe")
        elif lines <= LINES and name in LONGER:
            wrong.append(f"{name} has {lines} lines: it need not be in the list any more")
    return wrong + [f"{name} does not exist" for name in LONGER if not (root / name).exists()]


def main():
    check = {"wall": wall, "layers": layers, "headers": headers, "sizes": sizes}.get(sys.argv[1]) if len(sys.argv) > 2 else None
    if check is None:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
    result = check(pathlib.Path(sys.argv[2]).resolve(), build, *sys.argv[4:])
    if result == SKIPPED:
        sys.exit(SKIPPED)
    print("\n".join(result))
    sys.exit(1 if result else 0)


if __name__ == "__main__":
    main()
