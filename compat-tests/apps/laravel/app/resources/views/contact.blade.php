@extends('layout')
@section('body')
<form method="post">@csrf<input name="email" value="{{ old('email') }}"><textarea name="message">{{ old('message') }}</textarea><button>Send</button></form>
@endsection
