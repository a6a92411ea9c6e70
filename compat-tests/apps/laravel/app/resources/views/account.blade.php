@extends('layout')
@section('body')
<h1>Account of {{ Auth::user()->getAuthIdentifier() }}</h1><form method="post" action="/logout">@csrf<button>Log out</button></form>
@endsection
