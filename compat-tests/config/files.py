"""Configurations that are more than one line in a sound file: whole files, several files, every directive with every kind
of value.  Each case is (name, {path relative to the scratch directory: text}); @DIR@ is that directory, main.conf is read.
"""

POOL = '[www]\nlisten=@DIR@/w.sock\npm=static\npm.max_children=2\nuser=www-data\n'
GLOBAL = '[global]\nerror_log=@DIR@/error.log\n'

GLOBALS = """pid error_log syslog.ident syslog.facility log_buffering log_level log_limit emergency_restart_interval
emergency_restart_threshold process_control_timeout process.max process.priority daemonize rlimit_files rlimit_core
events.mechanism systemd_interval""".split()
POOLS = """prefix user group listen listen.backlog listen.acl_users listen.acl_groups listen.owner listen.group listen.mode
listen.allowed_clients listen.setfib process.priority process.dumpable pm pm.max_children pm.start_servers
pm.min_spare_servers pm.max_spare_servers pm.max_spawn_rate pm.process_idle_timeout pm.max_requests pm.status_path
pm.status_listen ping.path ping.response access.log access.format access.suppress_path[] slowlog request_slowlog_timeout
request_slowlog_trace_depth request_terminate_timeout request_terminate_timeout_track_finished rlimit_files rlimit_core
chroot chdir catch_workers_output decorate_workers_output clear_env security.limit_extensions apparmor_hat env[A]
php_value[a] php_admin_value[a] php_flag[a] php_admin_flag[a]""".split()

# What any directive may be given by mistake.
VALUES = {'empty': '', 'empty in quotes': '""', 'text': 'abc', 'number': '7', 'negative': '-3', 'huge': '99999999999999999999',
          'fraction': '1.5', 'boolean': 'yes', 'capital': '"YES"', 'blank inside': 'a b', 'path': '/tmp', 'pool': 'x$pool',
          'variable': '${HOME}', 'unset variable': '${NO_SUCH_VARIABLE}', 'default': '${NO_SUCH_VARIABLE:-5}',
          'long': 'x' * 3000, 'UTF-8': '\u00e4\u6f22', 'constant': 'E_ALL'}


def wrong_values():
    for names, section in ((GLOBALS, 'global'), (POOLS, 'pool')):
        for name in names:
            for kind, value in VALUES.items():
                line = f'{name} = {value}\n'
                yield f'{section} {name}: {kind}', {'main.conf': GLOBAL + (line + POOL if section == 'global' else POOL + line)}
            good = {'pm': 'static', 'daemonize': 'no'}.get(name, '5')
            yield f'{section} {name}: twice', {'main.conf': GLOBAL + (f'{name} = 1\n{name} = {good}\n' + POOL if section == 'global'
                                                                       else POOL + f'{name} = 1\n{name} = {good}\n')}
            yield f'{section} {name}: in the other section', {'main.conf': GLOBAL + (POOL + f'{name} = 5\n' if section == 'global'
                                                                                       else f'{name} = 5\n' + POOL)}


def nested(depth):
    """main.conf includes 1.conf, which includes 2.conf …"""
    files = {'main.conf': GLOBAL + 'include = @DIR@/1.conf\n'}
    for number in range(1, depth + 1):
        files[f'{number}.conf'] = POOL if number == depth else f'include = @DIR@/{number + 1}.conf\n'
    return files


def whole_files():
    both = GLOBAL + POOL
    yield 'sound', {'main.conf': both}
    yield 'empty', {'main.conf': ''}
    yield 'missing', {}
    yield 'a directory', {'main.conf/x': ''}
    yield 'global only', {'main.conf': GLOBAL}
    yield 'pool only', {'main.conf': POOL}
    yield 'pool before global', {'main.conf': POOL + GLOBAL}
    yield 'no section', {'main.conf': 'log_level = notice\n'}
    yield 'comments only', {'main.conf': '; nothing\n\n;\n'}
    yield 'CRLF', {'main.conf': both.replace('\n', '\r\n')}
    yield 'CR', {'main.conf': both.replace('\n', '\r')}
    yield 'byte order mark', {'main.conf': '\ufeff' + both}
    yield 'no final line feed', {'main.conf': both[:-1]}
    yield 'blanks around', {'main.conf': both.replace('=', ' \t= \t').replace('\n', ' \t\n')}
    yield 'blank before keys', {'main.conf': both.replace('\nl', '\n  l')}
    yield 'blank before a section', {'main.conf': both.replace('[www]', ' [www]')}
    yield 'NUL', {'main.conf': both + 'chdir=/t\0mp\n'}
    yield 'binary', {'main.conf': ''.join(map(chr, range(1, 256)))}
    for size in (198, 199, 200, 201, 1021, 1022, 1023, 1024, 1025, 4094, 4095, 4096, 4097, 65536, 200_000):
        yield f'a line of {size} bytes', {'main.conf': both + 'env[A]=' + 'x' * (size - 7) + '\n'}
        yield f'a comment of {size} bytes', {'main.conf': GLOBAL + ';' + 'x' * (size - 1) + '\n' + POOL}
    yield 'a value over two lines', {'main.conf': both + 'env[A]="one\ntwo"\n'}
    yield 'a line continued', {'main.conf': both + 'env[A]=one \\\ntwo\n'}
    yield 'an error in line 9', {'main.conf': both + '\n\n!\n'}
    yield 'two errors', {'main.conf': both + 'foo=1\nbar=2\n'}
    for level in ('debug', 'warning', 'error', 'alert'):
        yield f'an error, and warnings, at level {level}', {
            'main.conf': GLOBAL + f'log_level={level}\ninclude=@DIR@/none*.conf\n' + POOL + 'pm.start_servers=5\nchdir=/nonexistent\n'}
        yield f'sound, with a warning, at level {level}', {
            'main.conf': GLOBAL + f'log_level={level}\ninclude=@DIR@/none*.conf\n' + POOL}
    yield 'a long error beyond log_limit', {'main.conf': GLOBAL + 'log_limit=600\n' + POOL + 'access.log=/' + 'x' * 1500 + '\n'}
    yield 'the pool again', {'main.conf': both + '[www]\nchdir=/tmp\n'}
    yield 'the pool again in capitals', {'main.conf': both + '[WWW]\nchdir=/tmp\n'}
    yield 'global again', {'main.conf': both + '[Global]\nlog_limit=2000\n'}
    yield 'the same address', {'main.conf': both + POOL.replace('www', 'two')}
    yield '40 pools', {'main.conf': GLOBAL + ''.join(POOL.replace('www]', f'p{n}]').replace('w.sock', f'{n}.sock') for n in range(40))}
    yield 'a pool with a long name', {'main.conf': GLOBAL + POOL.replace('www]', 'n' * 300 + ']')}
    for name in ('a b', 'ä', '../x', '$pool', '', '1', 'on', 'a[b', '"q"', 'status', 'a;b', 'a=b', "a'b"):
        yield f'a pool named {name!r}', {'main.conf': GLOBAL + POOL.replace('www]', name + ']')}
    for depth in range(1, 8):
        yield f'includes, {depth} deep', nested(depth)
    yield 'a file that includes itself', {'main.conf': GLOBAL + POOL + 'include=@DIR@/main.conf\n'}
    yield 'includes nothing', {'main.conf': GLOBAL + 'include=@DIR@/none*.conf\n' + POOL}
    yield 'includes a missing file', {'main.conf': GLOBAL + 'include=@DIR@/none.conf\n' + POOL}
    yield 'includes from a missing directory', {'main.conf': GLOBAL + 'include=@DIR@/none/*.conf\n' + POOL}
    yield 'includes a directory', {'main.conf': GLOBAL + 'include=@DIR@/d\n' + POOL, 'd/x.conf': POOL}
    yield 'includes in order', {'main.conf': GLOBAL + 'include=@DIR@/d/*.conf\n', **{
        f'd/{n}.conf': POOL.replace('www]', f'{n}]').replace('w.sock', f'{n}.sock') for n in ('10', '9', 'b', 'B', 'a')}}
    yield 'includes by alternatives', {'main.conf': GLOBAL + 'include=@DIR@/{a,b}.conf\n', 'a.conf': POOL, 'b.conf': POOL}
    yield 'includes with a question mark', {'main.conf': GLOBAL + 'include=@DIR@/?.conf\n', 'a.conf': POOL, 'bb.conf': '!'}
    yield 'includes hidden files', {'main.conf': GLOBAL + 'include=@DIR@/*.inc\n' + POOL, '.a.inc': '!'}
    yield 'includes by a variable', {'main.conf': GLOBAL + 'include=${SCRATCH}/a.conf\n', 'a.conf': POOL}
    yield 'includes in quotes', {'main.conf': GLOBAL + 'include="@DIR@/a.conf"\n', 'a.conf': POOL}
    yield 'includes into a pool', {'main.conf': GLOBAL + POOL + 'include=@DIR@/a.conf\n', 'a.conf': 'chdir=/tmp\n'}
    yield 'goes on after an include', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\nchdir=/tmp\n', 'a.conf': POOL}
    yield 'global after an include', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\nlog_limit=2000\n', 'a.conf': POOL}
    yield 'an error in an include', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\n', 'a.conf': POOL + 'foo=bar\n'}
    yield 'a syntax error in an include', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\n', 'a.conf': POOL + 'a!b\n'}
    yield 'an empty include', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\n' + POOL, 'a.conf': ''}
    yield 'an include without line feed', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\nchdir=/tmp\n', 'a.conf': POOL[:-1]}
    yield 'two includes', {'main.conf': GLOBAL + 'include=@DIR@/a.conf\ninclude=@DIR@/b.conf\n', 'a.conf': POOL, 'b.conf': 'chdir=/tmp\n'}


def cases():
    return [*whole_files(), *wrong_values()]
