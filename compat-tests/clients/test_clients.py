"""cgi-fcgi, and those who read the status page, beside stock php-fpm."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from ftm import beside, fcgi
from ftm.front import Front
from ftm.proc import poll
from ftm.server import Pool

HERE = os.path.dirname(os.path.abspath(__file__))

# What the usual Prometheus exporter decodes from status?json&full, and into which Go type.
EXPORTER_POOL = {
    'pool': str, 'process manager': str, 'start time': int, 'start since': int, 'accepted conn': int, 'listen queue': int, 'max listen queue': int,
    'listen queue len': int, 'idle processes': int, 'active processes': int, 'total processes': int, 'max active processes': int,
    'max children reached': int, 'slow requests': int, 'processes': list,
}
EXPORTER_PROCESS = {
    'pid': int, 'state': str, 'start time': int, 'start since': int, 'requests': int, 'request duration': int, 'request method': str, 'request uri': str,
    'content length': int, 'user': str, 'script': str, 'last request cpu': float, 'last request memory': int,
}
STATES = {'Idle', 'Running', 'Reading headers', 'Info', 'Getting request informations', 'Ending'}


def pools():
    settings = {'pm.status_path': '/status', 'ping.path': '/ping', 'ping.response': 'pong'}
    return [Pool('www', children=3, settings=settings), Pool('net', listen='tcp', children=2, settings=settings)]


def shape(text):
    """Status text with every number as N: what stays must be equal."""
    text = re.sub(r'\d+/\w+/\d+:\d+:\d+:\d+ [+-]\d+', 'DATE', text)
    return re.sub(r'\d+(\.\d+)?', 'N', text)


class Clients(unittest.TestCase):
    maxDiff = 3000

    @classmethod
    def setUpClass(cls):
        cls.servers = beside.servers(pools)
        for server in cls.servers.values():
            server.script('page.php', '<?php header("X-Custom: yes"); echo $_SERVER["REQUEST_METHOD"], " ", $_GET["q"] ?? "-", "\\n"; foreach ($_POST as $k => $v) echo "$k=$v\\n";')
            server.script('input.php', '<?php $b = file_get_contents("php://input"); echo strlen($b), " ", sha1($b), "\\n";')
            server.script('fatal.php', '<?php echo "before\\n"; undefined_function();')
            server.script('code.php', '<?php http_response_code(404); echo "none\\n"; exit(3);')
            server.script('large.php', '<?php for ($i = 0; $i < 20000; $i++) echo "line $i of many\\n";')
            server.script('env.php', '<?php ksort($_SERVER); foreach ($_SERVER as $k => $v) if (!is_array($v) && strncmp($k, "REQUEST_TIME", 12)) echo "$k=$v\\n";')

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers.values():
            server.stop()

    def both(self, ask):
        """{name: ask(server)} where both must be equal; returns stock's."""
        answers = {name: ask(server) for name, server in self.servers.items()}
        self.assertEqual(answers['php-ftm'], answers['php-fpm'])
        return answers['php-fpm']

    def settled(self, server):
        """The latest requests have ended: a child or context is idle a moment after its answer."""
        poll(lambda: 'idle processes:       2\n' in server.ping('www', '/status').text, what=lambda: server.ping('www', '/status').text)

    def setUp(self):
        for server in self.servers.values():
            self.settled(server)

    # cgi-fcgi

    def cgi_fcgi(self, server, pool='www', body=b'', **env):
        address = server.pool(pool).address
        target = address if isinstance(address, str) else '%s:%d' % address
        done = subprocess.run(['env', '-i', *(f'{k}={v}' for k, v in env.items()), 'cgi-fcgi', '-bind', '-connect', target], input=body, capture_output=True, timeout=120)
        root = re.escape(server.docroot.encode())
        return done.returncode, re.sub(root, b'ROOT', done.stdout), re.sub(root, b'ROOT', done.stderr)

    def test_cgi_fcgi_pages(self):
        for pool in ('www', 'net'):
            for script, env in (('page.php', {'REQUEST_METHOD': 'GET', 'QUERY_STRING': 'q=1'}), ('page.php', {'REQUEST_METHOD': 'HEAD'}), ('env.php', {'REQUEST_METHOD': 'GET', 'ANY': 'thing', 'EMPTY': ''}),
                                ('fatal.php', {'REQUEST_METHOD': 'GET'}), ('code.php', {'REQUEST_METHOD': 'GET'}), ('large.php', {'REQUEST_METHOD': 'GET'}), ('none.php', {'REQUEST_METHOD': 'GET'})):
                with self.subTest(pool=pool, script=script, env=env):
                    code, out, _ = self.both(lambda s: self.cgi_fcgi(s, pool, SCRIPT_FILENAME=os.path.join(s.docroot, script), SCRIPT_NAME='/' + script, **env))
                    self.assertIn(b'\r\n\r\n', out)
                    if script == 'large.php':
                        self.assertEqual(out.count(b'\n'), 20003 if b'X-Powered-By' in out else 20002)

    def test_cgi_fcgi_without_a_script_name(self):
        """Only a file name, as health checks of containers send it."""
        self.both(lambda s: self.cgi_fcgi(s, REQUEST_METHOD='GET', SCRIPT_FILENAME=os.path.join(s.docroot, 'page.php')))
        self.both(lambda s: self.cgi_fcgi(s, SCRIPT_FILENAME=os.path.join(s.docroot, 'page.php')))
        self.both(lambda s: self.cgi_fcgi(s))

    def test_cgi_fcgi_posts(self):
        for body in (b'', b'a=1&b=two', b'x' * 300000):
            with self.subTest(len(body)):
                form = 'application/x-www-form-urlencoded'
                self.both(lambda s: self.cgi_fcgi(s, body=body, REQUEST_METHOD='POST', CONTENT_TYPE=form, CONTENT_LENGTH=str(len(body)), SCRIPT_FILENAME=os.path.join(s.docroot, 'page.php')))
                out = self.both(lambda s: self.cgi_fcgi(s, body=body, REQUEST_METHOD='POST', CONTENT_TYPE='text/plain', CONTENT_LENGTH=str(len(body)), SCRIPT_FILENAME=os.path.join(s.docroot, 'input.php')))[1]
                self.assertIn(b'\r\n\r\n%d ' % len(body), out)

    def test_cgi_fcgi_nobody_there(self):
        done = self.both(lambda s: subprocess.run(['cgi-fcgi', '-bind', '-connect', '/nonexistent/socket'], capture_output=True, stdin=subprocess.DEVNULL, timeout=120).returncode)
        self.assertNotEqual(done, 0)

    # php-fpm-healthcheck: env -i with three variables, cut at the fifth line, one number per line

    def health(self, server, pool, path):
        code, out, err = self.cgi_fcgi(server, pool, REQUEST_METHOD='GET', SCRIPT_NAME=path, SCRIPT_FILENAME=path)
        self.assertEqual(code, 0, err)
        return out.decode()

    def test_healthcheck_status(self):
        for pool in ('www', 'net'):
            out = self.both(lambda s: shape(self.health(s, pool, '/status')))
            self.assertIn('accepted conn:        N', out)
        for name, server in self.servers.items():
            self.settled(server)
            lines = self.health(server, 'www', '/status').split('\n')[4:]
            values = dict(re.findall(r'^([a-z ]+): +(.*)$', '\n'.join(lines), re.M))
            for key in ('accepted conn', 'listen queue', 'max listen queue', 'listen queue len', 'idle processes', 'active processes', 'total processes', 'max active processes', 'max children reached', 'slow requests'):
                self.assertRegex(values[key], r'^\d+$', (name, key))
            self.assertEqual((values['active processes'], values['idle processes'], values['total processes']), ('1', '2', '3'), name)
            more = dict(re.findall(r'^([a-z ]+): +(.*)$', self.health(server, 'www', '/status'), re.M))
            self.assertGreater(int(more['accepted conn']), int(values['accepted conn']), name)

    def test_healthcheck_ping_and_wrong_path(self):
        self.assertTrue(self.both(lambda s: self.health(s, 'www', '/ping')).endswith('\r\n\r\npong'))
        self.assertIn('Status: 404 Not Found', self.both(lambda s: self.health(s, 'www', '/no-such-status')))

    # the exporter's fields

    def exporter(self, server, pool='www', query='json&full'):
        params = {'SCRIPT_FILENAME': '/status', 'SCRIPT_NAME': '/status', 'SERVER_SOFTWARE': 'go / php-fpm_exporter', 'REMOTE_ADDR': '127.0.0.1',
                  'QUERY_STRING': query, 'REQUEST_METHOD': 'GET', 'CONTENT_LENGTH': '0', 'SERVER_PROTOCOL': 'HTTP/1.1', 'REQUEST_URI': '/status?' + query}
        response = fcgi.request(server.pool(pool).address, params)
        self.assertEqual(response.header('Content-type'), 'application/json')
        return json.loads(response.body)

    def decode(self, value, fields, where):
        """As Go decodes JSON: an absent field stays zero and is missed, a wrong type is an error."""
        result = {}
        for name, kind in fields.items():
            self.assertIn(name, value, where)
            got = value[name]
            self.assertTrue(isinstance(got, (int, float) if kind is float else kind) and not isinstance(got, bool), f'{where}: {name} is {got!r}')
            if kind is int:
                self.assertTrue(-2 ** 63 <= got < 2 ** 63, name)
            result[name] = got
        return result

    def test_prometheus_exporter(self):
        seen = {}
        for name, server in self.servers.items():
            for _ in range(5):
                server.get(os.path.join(server.docroot, 'page.php'), 'q=exporter')
            self.settled(server)
            before = self.exporter(server)
            self.settled(server)
            between = self.exporter(server)
            self.settled(server)
            after = self.exporter(server)
            pool = self.decode(after, EXPORTER_POOL, name)
            processes = [self.decode(p, EXPORTER_PROCESS, name) for p in after['processes']]
            self.assertGreater(between['accepted conn'], before['accepted conn'], name)
            self.assertGreater(after['accepted conn'], between['accepted conn'], name)
            self.assertEqual((pool['idle processes'], pool['active processes'], pool['total processes']), (2, 1, 3), name)
            self.assertEqual(len(processes), 3, name)
            self.assertLessEqual({p['state'] for p in processes}, STATES, name)
            self.assertEqual(sorted(p['state'] == 'Running' for p in processes), [False, False, True], name)
            seen[name] = (list(after), [type(v) for v in after.values()], list(after['processes'][0]), pool['pool'], pool['process manager'])
        self.assertEqual(seen['php-ftm'], seen['php-fpm'])

    def test_prometheus_exporter_while_busy(self):
        for name, server in self.servers.items():
            flag = os.path.join(server.tmp, 'flag')
            slow = server.script('slow.php', '<?php touch($_GET["f"]); while (file_exists($_GET["f"])) { usleep(5000); clearstatcache(); } echo "done";')
            with server.connect() as connection:
                connection.send_request(fcgi.script_params(slow, QUERY_STRING='f=' + flag))
                poll(lambda: os.path.exists(flag))
                status = poll(lambda: (s := self.exporter(server))['active processes'] == 2 and s)
                os.unlink(flag)
                self.assertEqual(connection.read_response().text, 'done')
            running, = [p for p in status['processes'] if p['script'].endswith('/slow.php')]
            self.assertEqual((running['state'], running['request method'], running['last request cpu'], running['last request memory']), ('Running', 'GET', 0, 0), name)
            self.assertGreater(running['request duration'], 0, name)

    # readers that Debian has

    def front(self, server):
        location = 'location ~ ^/(status|ping)$ { access_log off; include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_pass php; }'
        return Front(server.pool('www').address, server.docroot, locations=location.replace('include fastcgi_params', 'include /etc/nginx/fastcgi_params'))

    @unittest.skipUnless(shutil.which('zabbix_agentd'), 'this release has no zabbix-agent')
    def test_zabbix_agent(self):
        """Zabbix's template for php-fpm: the agent's web.page.get, then names of the JSON."""
        def ask(server):
            with self.front(server) as front, tempfile.NamedTemporaryFile('w', suffix='.conf') as conf:
                conf.write('Hostname=test\nServer=127.0.0.1\n')
                conf.flush()
                results = []
                for key in (f'web.page.get[127.0.0.1,status?json,{front.port}]', f'web.page.get[127.0.0.1,ping,{front.port}]'):
                    done = subprocess.run(['zabbix_agentd', '-c', conf.name, '-t', key], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
                    match = re.search(r'\[t\|(.*)\]\s*$', done.stdout, re.S)
                    self.assertTrue(match, done.stdout + done.stderr)
                    results.append(match.group(1))
                status = json.loads(results[0].split('\r\n\r\n', 1)[-1].split('\n\n', 1)[-1])
                for name in ('accepted conn', 'active processes', 'idle processes', 'listen queue', 'listen queue len', 'max active processes', 'max children reached', 'max listen queue',
                             'pool', 'process manager', 'slow requests', 'start since', 'total processes'):
                    self.assertIn(name, status)
                return list(status), status['pool'], results[1].rpartition('\n')[2], shape(re.sub(r'(?m)^(Date|Server):.*$', '', results[0]))
        self.assertEqual(self.both(ask)[2], 'pong')

    @unittest.skipUnless(shutil.which('collectd'), 'this release has no collectd')
    def test_collectd_curl_json(self):
        gauges = ('listen queue', 'max listen queue', 'listen queue len', 'idle processes', 'active processes', 'total processes', 'max active processes', 'max children reached', 'slow requests')

        def ask(server):
            with self.front(server) as front, tempfile.TemporaryDirectory() as root:
                keys = ''.join(f'    <Key "{name}">\n      Type "gauge"\n      Instance "{name.replace(" ", "_")}"\n    </Key>\n' for name in gauges)
                with open(root + '/collectd.conf', 'w') as conf:
                    conf.write(f'Hostname "host"\nFQDNLookup false\nInterval 0.3\nBaseDir "{root}"\nPIDFile "{root}/pid"\nTypesDB "/usr/share/collectd/types.db"\n'
                               f'LoadPlugin logfile\n<Plugin logfile>\n  File stderr\n</Plugin>\nLoadPlugin csv\n<Plugin csv>\n  DataDir "{root}/csv"\n  StoreRates false\n</Plugin>\n'
                               f'LoadPlugin curl_json\n<Plugin curl_json>\n  <URL "http://127.0.0.1:{front.port}/status?json">\n    Instance "www"\n{keys}'
                               '    <Key "accepted conn">\n      Type "derive"\n      Instance "accepted"\n    </Key>\n  </URL>\n</Plugin>\n')
                with open(root + '/output', 'wb') as output:
                    process = subprocess.Popen(['collectd', '-f', '-C', root + '/collectd.conf'], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
                try:
                    def files():
                        return {re.sub(r'-\d{4}-\d\d-\d\d$', '', name): os.path.join(folder, name) for folder, _, names in os.walk(root + '/csv') for name in names}

                    def rows():
                        found = files()
                        return len(found) == len(gauges) + 1 and all(len(open(path).readlines()) >= 3 for path in found.values()) and found
                    found = poll(rows, 15, lambda: f'{sorted(files())}\n{open(root + "/output").read()[-2000:]}')
                    last = {name: float(open(path).readlines()[-1].split(',')[1]) for name, path in found.items()}
                    accepted = [float(line.split(',')[1]) for line in open(found['derive-accepted']).readlines()[1:]]
                finally:
                    process.terminate()
                    process.wait(10)
                self.assertEqual(accepted, sorted(set(accepted)), 'accepted connections grow')
                last.pop('derive-accepted')
                # php-fpm knows the queue of TCP sockets only (docs/COMPATIBILITY.md).
                for name in ('gauge-max_active_processes', 'gauge-max_children_reached', 'gauge-listen_queue_len', 'gauge-max_listen_queue'):
                    last.pop(name)
                return last
        last = self.both(ask)
        self.assertEqual((last['gauge-active_processes'], last['gauge-idle_processes'], last['gauge-total_processes']), (1, 2, 3))

    @unittest.skipUnless(subprocess.run(['perl', '-MFCGI::Client', '-e', '1'], stderr=subprocess.DEVNULL).returncode == 0, 'this release has no libfcgi-client-perl')
    def test_perl_fcgi_client(self):
        """FCGI::Client, which monitoring plugins in Perl use."""
        def ask(server):
            results = []
            for script, name, body in (('/ping', '/ping', ''), ('/status', '/status', ''), (os.path.join(server.docroot, 'input.php'), '/input.php', 'b' * 70000)):
                done = subprocess.run(['perl', os.path.join(HERE, 'fcgi-client.pl'), server.pool('www').address, script, name], input=body.encode(), capture_output=True, timeout=120)
                self.assertEqual(done.returncode, 0, done.stderr)
                results.append(shape(done.stdout.decode()) if name == '/status' else done.stdout.decode())
            return results
        ping, status, echo = self.both(ask)
        self.assertTrue(ping.endswith('pong'))
        self.assertIn('idle processes:       N', status)
        self.assertIn('\r\n\r\n70000 ', echo)

    def test_text_as_munin_plugins_read_it(self):
        """Debian's munin has no php-fpm plugin; those that people install match these lines."""
        def ask(server):
            self.settled(server)
            with self.front(server) as front:
                text = front.browser().get('/status').text
            values = {}
            for name in ('accepted conn', 'idle processes', 'active processes', 'total processes', 'max children reached', 'listen queue', 'slow requests'):
                match = re.search(rf'^{name}:\s+(\d+)$', text, re.M)
                self.assertTrue(match, (name, text))
                values[name] = int(match.group(1))
            self.assertRegex(text, r'(?m)^process manager:\s+static$')
            values.pop('accepted conn')
            values.pop('max children reached')
            return values
        self.assertEqual(self.both(ask)['total processes'], 3)
