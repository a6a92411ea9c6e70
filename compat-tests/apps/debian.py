"""Files of Debian packages without installing them: a private apt state, `apt-get download`, `dpkg -x` into a private root.

Nothing of the system's configuration, package lists or caches changes.  The mirror is the one that the machine's own
package sources name; the suite may be another one, so that an application newer than the machine can be tried.
"""

import fcntl
import glob
import os
import re
import shutil
import subprocess
import time

KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
CACHE = os.environ.get('PHP_FTM_CACHE') or os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'php-ftm')


class Unavailable(Exception):
    pass


def mirror():
    """Base address of the machine's Debian archive."""
    given = os.environ.get('PHP_FTM_MIRROR')
    if given:
        return given
    out = subprocess.run(['apt-get', 'update', '--print-uris'], capture_output=True, text=True).stdout
    match = re.search(r"^'([^']*/debian)/dists/[^/]*/main/", out, re.M) or re.search(r"^'([^']*/debian)/dists/", out, re.M)
    if not match:
        raise Unavailable("this machine's package sources name no Debian mirror; PHP_FTM_MIRROR can")
    return match.group(1)


class PrivateApt:
    def __init__(self, suite):
        self.suite = suite
        self.dir = os.path.join(CACHE, 'apps', 'apt-' + suite)
        for sub in ('parts', 'lists/partial', 'cache/archives/partial', 'debs'):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        with open(os.path.join(self.dir, 'parts', 'suite.sources'), 'w') as f:
            f.write(f'Types: deb\nURIs: {mirror()}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n')
        with open(os.path.join(self.dir, 'status'), 'w'):
            pass
        self.conf = os.path.join(self.dir, 'apt.conf')
        with open(self.conf, 'w') as f:
            f.write(f'''Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{self.dir}/parts";
Dir::State::Lists "{self.dir}/lists";
Dir::State::status "{self.dir}/status";
Dir::Cache "{self.dir}/cache";
Acquire::Languages "none";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
''')

    def run(self, tool, *args, cwd=None):
        done = subprocess.run([tool, '-c', self.conf, *args], capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Unavailable(f'{tool} {args[0]} for {self.suite}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}')
        return done.stdout

    def closure(self, packages, keep):
        """The packages and what they depend on, as far as `keep` matches the names; dependencies alone, not recommendations."""
        out = self.run('apt-cache', 'depends', '--recurse', '--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances', *packages)
        names = {line.strip() for line in out.splitlines() if line and not line[0].isspace() and not line.startswith('<')}
        return sorted({n for n in names if re.fullmatch(keep, n)} | set(packages))

    def installation(self, packages, keep):
        """What would be installed into an empty root, alternatives decided, as far as `keep` matches the names."""
        out = self.run('apt-get', '-s', '--no-install-recommends', 'install', *packages)
        return sorted({n for n in re.findall(r'(?m)^Inst (\S+)', out) if re.fullmatch(keep, n)} | set(packages))

    def versions(self, packages):
        out = self.run('apt-cache', 'show', '--no-all-versions', *packages)
        return dict(re.findall(r'^Package: (\S+)\n(?:.*\n)*?Version: (\S+)', out, re.M))


def _made(name, suite):
    """The unpacked copies of a suite, the one used last at the end."""
    stamps = glob.glob(os.path.join(CACHE, 'apps', f'{name}-{suite}-*', 'versions'))
    return [os.path.dirname(path) for path in sorted(stamps, key=os.path.getmtime)]


def _versions(target):
    with open(os.path.join(target, 'versions')) as f:
        return dict(line.split() for line in f)


def _note(target, asked):
    os.utime(os.path.join(target, 'versions'))
    with open(os.path.join(target, 'asked'), 'w') as f:
        f.write(asked)


def _recent(name, suite, asked):
    """Root and versions of a copy that was made or confirmed within a day for the same packages."""
    for target in reversed(_made(name, suite)):
        path = os.path.join(target, 'asked')
        if os.path.exists(path) and time.time() - os.path.getmtime(path) < 86400 and open(path).read() == asked:
            return os.path.join(target, 'root'), _versions(target)
    return None


def unpack(name, packages, keep, suites, to_run=False):
    """A folder with the unpacked packages of the first suite that has them; returns it, the suite and {package: version}.

    Kept in the cache: the same versions are not fetched or unpacked a second time, and for a day the archive is not
    asked again whether there are newer ones.
    """
    os.makedirs(os.path.join(CACHE, 'apps'), exist_ok=True)
    problems = []
    with open(os.path.join(CACHE, 'apps', name + '.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = ' '.join([keep, *packages])
        for suite in suites:
            recent = _recent(name, suite, asked)
            if recent:
                return recent[0], suite, recent[1]
            try:
                apt = PrivateApt(suite)
                apt.run('apt-get', '-q', 'update')
                wanted = (apt.installation if to_run else apt.closure)(packages, keep)
                versions = apt.versions(wanted)
            except Unavailable as problem:
                # Without the network the last unpacked copy of this suite will do.
                made = _made(name, suite)
                if made:
                    return os.path.join(made[-1], 'root'), suite, _versions(made[-1])
                problems.append(str(problem))
                continue
            target = os.path.join(CACHE, 'apps', f'{name}-{suite}-{versions[packages[0]].replace(":", "-")}')
            listing = ''.join(f'{p} {v}\n' for p, v in sorted(versions.items()))
            stamp = os.path.join(target, 'versions')
            if os.path.exists(stamp) and open(stamp).read() == listing:
                _note(target, asked)
                return os.path.join(target, 'root'), suite, versions
            shutil.rmtree(target, ignore_errors=True)
            debs = os.path.join(target, 'debs')
            root = os.path.join(target, 'root')
            os.makedirs(debs)
            os.makedirs(root)
            try:
                apt.run('apt-get', '-q', 'download', *wanted, cwd=debs)
            except Unavailable as problem:
                shutil.rmtree(target, ignore_errors=True)
                problems.append(str(problem))
                continue
            for deb in sorted(glob.glob(os.path.join(debs, '*.deb'))):
                subprocess.run(['dpkg', '-x', deb, root], check=True)
            shutil.rmtree(debs)
            with open(stamp, 'w') as f:
                f.write(listing)
            _note(target, asked)
            return root, suite, versions
    raise Unavailable('; '.join(problems))


def copy_resolved(root, source, target, missing=None):
    """Copies a folder of a private root; symbolic links, absolute ones too, are followed inside that root."""
    def real(path, depth=0):
        if depth > 40:
            return None
        if os.path.islink(path):
            link = os.readlink(path)
            return real(root + link if link.startswith('/') else os.path.join(os.path.dirname(path), link), depth + 1)
        parent = os.path.dirname(path)
        if len(parent) > len(root):
            resolved = real(parent, depth + 1)
            if resolved is None:
                return None
            path = os.path.join(resolved, os.path.basename(path))
            if os.path.islink(path):
                return real(path, depth + 1)
        return os.path.normpath(path)

    def copy(a, b):
        a = real(a)
        if a is None or not os.path.exists(a):
            if missing is not None:
                missing.append(b)
            return
        if os.path.isdir(a):
            os.makedirs(b, exist_ok=True)
            for entry in os.listdir(a):
                copy(os.path.join(a, entry), os.path.join(b, entry))
        else:
            shutil.copyfile(a, b)
    copy(os.path.join(root, source.lstrip('/')), target)
