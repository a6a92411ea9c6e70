<!DOCTYPE html>
<html lang="{{ app()->getLocale() }}">
<head><meta charset="utf-8"><title>@yield('title', 'Application')</title></head>
<body>
<p>{{ request()->path() }} @auth for {{ Auth::user()->getAuthIdentifier() }} @else for nobody @endauth</p>
@if (session('notice'))<p class="flash">{{ session('notice') }}</p>@endif
@foreach ($errors->all() as $error)<p class="error">{{ $error }}</p>@endforeach
@yield('body')
</body>
</html>
