<?php

use App\Http\Controllers\PagesController;
use Illuminate\Support\Facades\Route;

Route::controller(PagesController::class)->group(function () {
    Route::get('/', 'home')->name('home');
    Route::get('/json', 'data');
    Route::get('/boot', 'boot');
    Route::get('/contact', 'contact')->name('contact');
    Route::post('/contact', 'send');
    Route::get('/login', 'login')->name('login');
    Route::post('/login', 'enter');
    Route::post('/logout', 'leave');
    Route::middleware('auth')->group(function () {
        Route::get('/account', 'account')->name('account');
        Route::get('/account/count', 'count');
    });
    Route::post('/upload', 'upload');
    Route::get('/fails', 'fails');
    Route::get('/dump', 'dump');
    Route::get('/stream', 'streamed');
    Route::get('/after/{mark}', 'after')->whereAlphaNumeric('mark');
});
