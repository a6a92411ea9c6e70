"""A small site behind Debian's nginx, with Debian's own snippet for PHP, and a walk through it."""

import json
import os
import pwd
import shutil
import subprocess
import threading
import time

import package
from ftm.http import Browser
from ftm.proc import poll

ROOT = '/var/www/ftm-site'
PORT = 8080
NGINX_CONF = f"""user www-data;
worker_processes 1;
pid /run/nginx-ftm.pid;
daemon off;
error_log /var/log/nginx/ftm-error.log info;
events {{ }}
http {{
  include mime.types;
  access_log off;
  server {{
    listen 127.0.0.1:{PORT};
    root {ROOT};
    index index.php;
    location / {{ try_files $uri $uri/ =404; }}
    location ~ [^/]\\.php(/|$) {{
      include snippets/fastcgi-php.conf;
      fastcgi_pass unix:{package.SOCKET};
    }}
  }}
}}
"""

PAGES = {
    'index.php': '<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; header("X-Count: $_SESSION[n]"); ?><h1>Front page</h1>\n<p>Visit <?= $_SESSION["n"] ?></p>\n',
    'form.php': '<?php echo json_encode([$_SERVER["REQUEST_METHOD"], $_POST, $_GET, strlen(file_get_contents("php://input"))]);',
    'upload.php': '<?php foreach ($_FILES as $n => $f) { echo $n, " ", $f["name"], " ", $f["error"], " ", $f["size"], " ", is_uploaded_file($f["tmp_name"]) ? sha1_file($f["tmp_name"]) : "-", "\n"; }',
    'path.php': '<?php echo json_encode([$_SERVER["SCRIPT_NAME"], $_SERVER["PATH_INFO"] ?? null, $_SERVER["PHP_SELF"], $_SERVER["SCRIPT_FILENAME"], $_SERVER["DOCUMENT_ROOT"]]);',
    'redirect.php': '<?php header("Location: /index.php", true, 302); setcookie("seen", "yes");',
    'missing-class.php': '<?php echo "before"; new NoSuchClass;',
    'complain.php': '<?php file_put_contents("php://stderr", "complaint " . $_GET["n"] . "\n"); echo "complained";',
    'slow.php': '<?php touch($_GET["flag"]); $until = microtime(true) + $_GET["s"]; while (microtime(true) < $until) { usleep(10000); } echo "slow ", $_GET["s"];',
    'authorization.php': '<?php echo $_SERVER["HTTP_AUTHORIZATION"] ?? "none";',
    'pid.php': '<?php echo getmypid();',
    'facts.php': '''<?php
        $user = posix_getpwuid(posix_geteuid());
        $all = ini_get_all(null, false);
        echo json_encode(['sapi' => PHP_SAPI, 'version' => PHP_VERSION, 'user' => $user['name'], 'group' => posix_getegid(), 'loaded' => php_ini_loaded_file(),
            'scanned' => array_map('trim', explode(',', (string)php_ini_scanned_files())), 'ini' => $all, 'modules' => get_loaded_extensions(), 'zend' => get_loaded_extensions(true),
            'cwd' => getcwd(), 'env' => getenv(), 'umask' => umask(), 'opcache' => is_array(opcache_get_status(false)), 'temporary' => sys_get_temp_dir()]);''',
}


class Site:
    def __init__(self):
        os.makedirs(ROOT, exist_ok=True)
        for name, text in PAGES.items():
            with open(os.path.join(ROOT, name), 'w') as file:
                file.write(text)
        self.flags = '/var/www/ftm-flags'
        os.makedirs(self.flags, exist_ok=True)
        shutil.chown(self.flags, 'www-data', 'www-data')
        os.makedirs('/var/log/nginx', exist_ok=True)
        with open('/etc/nginx/ftm.conf', 'w') as file:
            file.write(NGINX_CONF)
        with open('/var/log/nginx/ftm-output.log', 'ab') as output:
            self.process = subprocess.Popen(['/usr/sbin/nginx', '-c', '/etc/nginx/ftm.conf'], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        poll(self._answers, 10, lambda: 'nginx does not answer: ' + self.error_log() + open('/var/log/nginx/ftm-output.log').read())

    def _answers(self):
        try:
            return self.browser().get('/nothing.html').status == 404
        except OSError:
            return False

    def close(self):
        self.process.terminate()
        self.process.wait(10)

    @staticmethod
    def error_log():
        try:
            with open('/var/log/nginx/ftm-error.log') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    @staticmethod
    def browser():
        return Browser('127.0.0.1', PORT)

    def flag(self, name):
        path = os.path.join(self.flags, name)
        if os.path.exists(path):
            os.unlink(path)
        return path

    def facts(self):
        return json.loads(self.browser().get('/facts.php').text)

    def walk(self):
        """{step: what came back}, without what must differ (session id, date)."""
        browser = self.browser()
        seen = {}

        def note(name, answer):
            headers = sorted((k.lower(), v) for k, v in answer.headers if k.lower() not in ('date', 'set-cookie', 'connection'))
            cookies = sorted(v.partition('=')[0] + '; ' + '; '.join(v.split('; ')[1:]) for k, v in answer.headers if k.lower() == 'set-cookie')
            seen[name] = (answer.status, headers, cookies, answer.body)
            return answer
        note('front page', browser.get('/'))
        note('front page again', browser.get('/index.php'))
        note('query', browser.get('/form.php?a=1&b[]=2'))
        note('form', browser.post('/form.php?q=1', {'name': 'Jörg', 'text': 'x' * 3000}))
        note('large post', browser.request('POST', '/form.php', b'z' * 300000, {'Content-Type': 'text/plain'}))
        note('upload', browser.upload('/upload.php', {'x': 'y'}, [('one', 'one.txt', 'text/plain', b'a' * 5000), ('two', 'two.bin', 'application/octet-stream', bytes(range(256)) * 2000)]))
        note('beyond post_max_size', browser.request('POST', '/form.php', b'a=' + b'b' * (9 << 20), {'Content-Type': 'application/x-www-form-urlencoded'}))
        note('path info', browser.get('/path.php/extra/path?x=y'))
        note('redirect', browser.get('/redirect.php'))
        note('fatal error', browser.get('/missing-class.php'))
        note('missing script', browser.get('/none.php'))
        note('head', browser.request('HEAD', '/index.php'))
        return seen


class Visitors:
    """Threads that ask for a page again and again, each time on a new connection; what fails is kept with its time."""

    def __init__(self, site, count=4, path='/form.php?a=1'):
        self.site, self.path = site, path
        self.stop = threading.Event()
        self.good, self.bad = 0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def _visit(self):
        browser = self.site.browser()
        while not self.stop.is_set():
            try:
                answer = browser.get(self.path)
                problem = None if answer.status == 200 and answer.text.startswith('["GET"') else f'{answer.status} {answer.text[:80]!r}'
            except OSError as error:
                problem = repr(error)
            with self.lock:
                if problem:
                    self.bad.append((time.monotonic(), problem))
                else:
                    self.good += 1

    def more(self, count=50):
        """Waits until that many further requests went well."""
        want = self.good + count
        poll(lambda: self.good >= want, 20, lambda: f'{self.good} of {want} requests went well; {self.bad[-3:]}')

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


def www_data():
    return pwd.getpwnam('www-data')
