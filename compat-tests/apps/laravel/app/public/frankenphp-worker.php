<?php
/*
 * Keeps a Laravel application booted without laravel/octane, in the same way: each request is answered by a copy of the
 * booted application, which is thrown away afterwards, so that what a request binds or resolves does not reach the next.
 */

use Illuminate\Container\Container;
use Illuminate\Contracts\Auth\Access\Gate;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Str;

if (!function_exists('frankenphp_handle_request')) {
    http_response_code(404);
    exit;
}
ignore_user_abort(true);
define('LARAVEL_START', microtime(true));
require __DIR__ . '/../vendor/autoload.php';

/** @var Application $app */
$app = require __DIR__ . '/../bootstrap/app.php';
$app->instance('request', Request::create('http://localhost'));
$app->make(Kernel::class)->bootstrap();
$app->loadDeferredProviders();
// What every page needs; kept, because resolving it is what a classic request spends its time on.
foreach (['config', 'events', 'files', 'log', 'router', 'routes', 'translator', 'url', 'view', 'view.engine.resolver', 'encrypter', 'hash', 'auth', 'cookie', 'session', 'cache'] as $name) {
    $app->make($name);
}
$app->forgetInstance('request');

/** Makes the application the one that facades, helpers and the container's static access mean. */
$switch_to = static function (Application $app): void {
    $app->instance('app', $app);
    $app->instance(Container::class, $app);
    Container::setInstance($app);
    Facade::clearResolvedInstances();
    Facade::setFacadeApplication($app);
};

/** Services that the booted application has shared with its copy refer to the copy, and forget whom they served. */
$hand_over = static function (Application $sandbox): void {
    $sandbox->instance('config', clone $sandbox['config']);
    $sandbox->instance('url', clone $sandbox['url']);
    foreach (['auth', 'cache', 'db', 'filesystem', 'log', 'mail.manager', 'queue', 'session', 'validator', 'view', 'router', Kernel::class, Gate::class] as $name) {
        if ($sandbox->resolved($name)) {
            $service = $sandbox->make($name);
            foreach (['setApplication', 'setContainer'] as $method) {
                if (method_exists($service, $method)) {
                    $service->$method($sandbox);
                }
            }
        }
    }
    $sandbox['view']->share('app', $sandbox);
    $sandbox['auth']->forgetGuards();
    $sandbox['session']->forgetDrivers();
    $sandbox['cookie']->flushQueuedCookies();
    $sandbox['translator']->setLocale($sandbox['config']['app.locale']);
    foreach (['auth.driver', 'session.store', 'redirect'] as $name) {
        $sandbox->forgetInstance($name);
    }
    Str::flushCache();
};

$answer = static function () use ($app, $switch_to, $hand_over): void {
    $sandbox = clone $app;
    $switch_to($sandbox);
    $hand_over($sandbox);
    try {
        $request = Request::createFromGlobals();
        $request->enableHttpMethodParameterOverride();
        $sandbox->instance('request', $request);
        $kernel = $sandbox->make(Kernel::class);
        $response = $kernel->handle($request);
        $response->send();
        // The visitor has the page; jobs that were dispatched with afterResponse() run now.
        $kernel->terminate($request, $response);
        $request->route()?->flushController();
    } finally {
        $sandbox->flush();
        $switch_to($app);
    }
};

$most = (int) ($_SERVER['MAX_REQUESTS'] ?? 500);
$requests = 0;
while (($most <= 0 || $requests < $most) && frankenphp_handle_request($answer)) {
    $requests++;
}
