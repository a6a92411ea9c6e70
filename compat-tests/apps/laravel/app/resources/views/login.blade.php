@extends('layout')
@section('body')
<form method="post">@csrf<input name="name" value="{{ old('name') }}"><input name="password" type="password"><button>Log in</button></form>
@endsection
