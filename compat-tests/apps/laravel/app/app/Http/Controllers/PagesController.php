<?php

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\RedirectResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\View\View;
use Symfony\Component\HttpFoundation\StreamedResponse;

class PagesController
{
    private static int $requests = 0;
    private static string $boot;

    public function home(): View
    {
        return view('home', ['articles' => array_map(fn ($i) => ['title' => "Article <$i>", 'words' => $i * 97 % 31], range(1, 30))]);
    }

    public function data(Request $request): JsonResponse
    {
        return response()->json(['query' => $request->query(), 'method' => $request->method(), 'host' => $request->getHost(), 'path' => $request->path(), 'url' => route('home'),
            'accept' => $request->header('accept'), 'list' => range(1, 20), 'locale' => app()->getLocale()]);
    }

    /** Which boot of the application answers, and how often it was asked: the only page that must differ in a worker. */
    public function boot(): array
    {
        self::$boot ??= bin2hex(random_bytes(8));

        return ['boot' => self::$boot, 'requests' => ++self::$requests];
    }

    public function contact(): View
    {
        return view('contact');
    }

    public function send(Request $request): RedirectResponse
    {
        $data = $request->validate(['email' => 'required|email', 'message' => 'required|min:10']);

        return redirect()->route('contact')->with('notice', 'Thank you, ' . $data['email']);
    }

    public function login(): View
    {
        return view('login');
    }

    public function enter(Request $request): RedirectResponse
    {
        if (!Auth::attempt($request->only('name', 'password'))) {
            return back()->withErrors(['name' => 'Invalid credentials.'])->onlyInput('name');
        }
        $request->session()->regenerate();

        return redirect()->intended(route('account'));
    }

    public function leave(Request $request): RedirectResponse
    {
        Auth::logout();
        $request->session()->invalidate();

        return redirect('/');
    }

    public function account(): View
    {
        return view('account');
    }

    /** Counts in the session of a user who is logged in. */
    public function count(Request $request): array
    {
        $request->session()->increment('count');

        return ['user' => $request->user()->getAuthIdentifier(), 'count' => session('count'), 'asked' => $request->query('n')];
    }

    public function upload(Request $request): array
    {
        $file = $request->file('document');
        $answer = ['name' => $file->getClientOriginalName(), 'size' => $file->getSize(), 'type' => $file->getMimeType(), 'sha1' => sha1_file($file->getPathname()), 'title' => $request->input('title')];
        $file->storeAs('uploads', sha1($answer['name']) . '.bin');
        $moved = $file->move(storage_path('app'), 'moved.bin');

        return $answer + ['stored' => sha1_file(storage_path('app/private/uploads/' . sha1($answer['name']) . '.bin')), 'kept' => sha1_file($moved->getPathname())];
    }

    public function fails(): never
    {
        throw new \RuntimeException('the page that fails');
    }

    public function dump(): never
    {
        dd(['dumped' => 'by dd']);
    }

    public function streamed(): StreamedResponse
    {
        return response()->stream(function () {
            for ($i = 0; $i < 200; ++$i) {
                echo str_repeat("$i ", 100), "\n";
                if (0 === $i % 20) {
                    flush();
                }
            }
        }, headers: ['Content-Type' => 'text/plain', 'X-Accel-Buffering' => 'no']);
    }

    public function after(string $mark): string
    {
        dispatch(function () use ($mark) {
            for ($i = 0; $i < 30000 && !file_exists(storage_path("go-$mark")); ++$i) { // until the test allows it
                usleep(10000);
                clearstatcache();
            }
            file_put_contents(storage_path("done-$mark"), 'done');
        })->afterResponse();

        return "at once $mark";
    }
}
