"""What worker mode costs and saves: php-fpm, a classic context and a worker, all in one run."""

import os
from statistics import median

from bench import CHILDREN, measurement

CLASSES = 150

LOOP = """<?php
require __DIR__ . '/app.php';
if (!function_exists('frankenphp_handle_request')) {
    answer();
    return;
}
while (frankenphp_handle_request(static function () { answer(); })) {
}
"""

HELLO = "<?php function answer() { echo 'hello world'; }"

# What a framework does before it can answer: load its classes, wire its services, read its configuration.
BOOTED = """<?php
namespace App { spl_autoload_register(static function ($name) { require __DIR__ . '/' . substr($name, 4) . '.php'; }); }
namespace {
    final class Kernel {
        public array $services = [];
        public array $routes = [];
        public function __construct() {
            for ($i = 0; $i < %d; $i++) {
                $class = "App\\Service$i";
                $this->services[$class] = new $class(['number' => $i, 'debug' => false]);
                $this->routes["/page/$i"] = [$class, 'answer'];
            }
        }
    }
    function answer() {
        static $kernel = new Kernel();
        [$class, $method] = $kernel->routes['/page/7'];
        echo $kernel->services[$class]->$method();
    }
}
"""

SERVICE = """<?php
namespace App;
final class Service%d {
    public function __construct(private array $options) { ksort($this->options); }
    public function answer(): string { return 'hello from service ' . $this->options['number']; }
}
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o644)


def rounds_of(bench, subjects, script, expected):
    for subject in subjects.values():
        subject.load(script, '-k', '-n', 1000, '-e', expected)
    rounds = {name: [] for name in subjects}
    for number in range(bench.options.rounds):
        order = list(subjects)
        for name in order[number % 3:] + order[:number % 3]:
            rounds[name].append(subjects[name].measured(script, '-t', bench.options.seconds, '-k', '-e', expected))
    return rounds


def pair(bench, title, rounds, left, right, goal=''):
    bench.heading(title, left, right)
    for text, key, wanted in (('CPU per request, µs', 'cpu_us', goal), ('requests per second', 'rate', ''),
                              ('latency p50, ms', 'p50_ms', ''), ('latency p99, ms', 'p99_ms', '')):
        values = [[r[key] for r in rounds[name]] for name in (left, right)]
        bench.row(text, *map(median, values), median(b / a if a else 0.0 for a, b in zip(*values)), wanted)


@measurement
def worker(bench):
    """hello world and a page that boots 150 classes: php-fpm, classic, worker"""
    applications = {'hello': ('hello world', {'app.php': HELLO}),
                    'booted': ('hello from service 7', {'app.php': BOOTED % CLASSES, **{f'Service{i}.php': SERVICE % i for i in range(CLASSES)}})}
    for name, (expected, files) in applications.items():
        folder = os.path.join(bench.docroot, name)
        for file, text in {'index.php': LOOP, **files}.items():
            write(folder, file, text)
        script = name + '/index.php'
        with bench.subject('fpm') as fpm, bench.subject('ftm') as classic, \
                bench.subject('ftm', CHILDREN + 1, **{'worker.script': os.path.join(folder, 'index.php'), 'worker.num': CHILDREN}) as workers:
            rounds = rounds_of(bench, {'php-fpm': fpm, 'classic': classic, 'worker': workers}, script, expected)
        title = 'hello world' if name == 'hello' else f'page that boots {CLASSES} classes'
        pair(bench, title, rounds, 'php-fpm', 'classic')
        pair(bench, title, rounds, 'php-fpm', 'worker')
        pair(bench, title, rounds, 'classic', 'worker', '<= 1' if name == 'hello' else '')
