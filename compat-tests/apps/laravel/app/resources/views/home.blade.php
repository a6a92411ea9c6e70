@extends('layout')
@section('body')
<h1>@yield('title', 'Application')</h1>
<ul>
@foreach ($articles as $article)
<li class="{{ $loop->odd ? 'odd' : 'even' }}"><a href="{{ route('home', ['article' => $loop->iteration]) }}">{{ $article['title'] }}</a> {{ number_format($article['words'], 1) }}</li>
@endforeach
</ul>
@endsection
