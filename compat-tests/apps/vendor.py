"""The libraries of an application from Debian's packages, with the class map that Composer makes.

Debian ships an autoloader per library; a deployed application has one optimised map instead, and loading classes is a
good part of what a classic request costs.  So the code is copied, Debian's autoloaders are left out, and Composer,
itself from a Debian package and without the network, writes vendor/autoload.php.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import debian

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARIES = r'php-.*|composer|jsonlint'
SUITES = ['sid', 'forky']        # trixie's Symfony 6.4 and Laravel 10 know no worker mode


def fetch(name, packages):
    """The packages unpacked, of the newest suite that has them: their root, suite and versions."""
    return debian.unpack(name, packages, LIBRARIES, SUITES)


def php(*arguments, cwd=None, env=None):
    """Runs the runtime's command line PHP with the modules that nearly every site loads."""
    runtime = os.path.join(PROJECT, 'build/runtime')
    done = subprocess.run([os.path.join(runtime, 'bin/php'), *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={'PATH': os.environ['PATH'], 'HOME': '/nonexistent', 'PHP_INI_SCAN_DIR': os.path.join(runtime, 'etc/conf.d'), **(env or {})})
    if done.returncode:
        raise RuntimeError(f'php {" ".join(arguments)[:200]}: exit code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}')
    return done.stdout


def required_files(folder):
    """What Debian's autoloaders load at once (functions and polyfills) is what composer.json calls `files`."""
    found = []
    for path, _, names in sorted(os.walk(folder)):
        if 'autoload.php' in names:
            with open(os.path.join(path, 'autoload.php'), encoding='utf-8') as file:
                for name in re.findall(r"^require(?:_once)? __DIR__ ?\. ?'([^']+)';", file.read(), re.M):
                    if not os.path.basename(name).startswith('autoload'):
                        found.append(os.path.normpath(path + name))
    return list(dict.fromkeys(found))


def composer_of(root, target):
    """A copy of the unpacked Composer whose autoloaders look there and not in /usr/share/php; returns its program."""
    share = os.path.join(target, 'share/php')
    debian.copy_resolved(root, '/usr/share/php', share)
    debian.copy_resolved(root, '/usr/bin/composer', os.path.join(target, 'composer'))
    for path, _, names in os.walk(target):
        for name in names:
            if name in ('autoload.php', 'composer'):
                with open(os.path.join(path, name), encoding='utf-8') as file:
                    text = file.read()
                text = text.replace("'/usr/share/php/", f"'{share}/").replace("__DIR__ . '/../share/php/", f"'{share}/")
                with open(os.path.join(path, name), 'w', encoding='utf-8') as file:
                    file.write(text)
    return os.path.join(target, 'composer')


def assembled(name, packages):
    """A folder in the cache with packages/ (the code) and vendor/ (Composer's map of it and of App in src/ or app/), for an
    application to copy; returns it and what it was made of."""
    root, suite, versions = fetch(name, packages)
    composer, _, composers = fetch('composer', ['composer'])
    with open(__file__, 'rb') as file:
        way = hashlib.sha1(file.read() + composers['composer'].encode()).hexdigest()[:10]
    target = os.path.join(os.path.dirname(root), 'assembled-' + way)
    described = f'{packages[0][4:]} {versions[packages[0]]} of {suite}'
    if os.path.isdir(target):
        return target, described
    work = tempfile.mkdtemp(prefix='assembling-', dir=os.path.dirname(root))
    try:
        os.chmod(work, 0o755)
        install(work, root, composer_of(composer, os.path.join(work, 'composer')))
        shutil.rmtree(os.path.join(work, 'composer'))
        if not os.path.isdir(target):
            os.rename(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target, described


def install(app, root, composer):
    """`composer` is the program that composer_of() has made."""
    target = os.path.join(app, 'packages/src')
    debian.copy_resolved(root, '/usr/share/php', target)
    if os.path.isdir(os.path.join(target, 'Illuminate/config')):
        os.rename(os.path.join(target, 'Illuminate/config'), os.path.join(app, 'packages/config'))     # where Laravel looks for its defaults
    files = required_files(target)
    for path, _, names in os.walk(target):
        if 'autoload.php' in names:
            with open(os.path.join(path, 'autoload.php'), encoding='utf-8') as file:
                if 'spl_autoload_register' in file.read():
                    os.unlink(file.name)
    with open(os.path.join(app, 'composer.json'), 'w') as file:
        json.dump({'name': 'test/application', 'autoload': {'psr-4': {'App\\': ['src/', 'app/']}, 'classmap': ['packages/src/'], 'files': [os.path.relpath(f, app) for f in files]},
                   'config': {'allow-plugins': False}, 'repositories': [{'packagist.org': False}]}, file, indent=1)
    for name in ('src', 'app'):
        os.mkdir(os.path.join(app, name))
    php(composer, 'update', '--optimize-autoloader', '--no-dev', '--no-scripts', '--no-plugins', '--no-interaction', cwd=app,
        env={'COMPOSER_DISABLE_NETWORK': '1', 'COMPOSER_ALLOW_SUPERUSER': '1', 'COMPOSER_HOME': os.path.join(app, 'composer/home'), 'COMPOSER_ROOT_VERSION': '1.0.0'})
    for name in ('src', 'app'):
        os.rmdir(os.path.join(app, name))
