<?php

namespace App\Providers;

use App\Users;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        Auth::provider('everyone', fn () => new Users());
    }
}
