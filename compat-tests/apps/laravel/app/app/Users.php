<?php

namespace App;

use Illuminate\Auth\GenericUser;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;

/** user0, user1, … with the password "password of" and their name. */
class Users implements UserProvider
{
    public function retrieveById($identifier)
    {
        return preg_match('/^user\d+$/', (string) $identifier) ? new GenericUser(['id' => $identifier, 'name' => $identifier, 'password' => "password of $identifier", 'remember_token' => null]) : null;
    }

    public function retrieveByToken($identifier, #[\SensitiveParameter] $token)
    {
        return null;
    }

    public function updateRememberToken(Authenticatable $user, #[\SensitiveParameter] $token)
    {
    }

    public function retrieveByCredentials(#[\SensitiveParameter] array $credentials)
    {
        return $this->retrieveById($credentials['name'] ?? '');
    }

    public function validateCredentials(Authenticatable $user, #[\SensitiveParameter] array $credentials)
    {
        return $credentials['password'] === $user->getAuthPassword();
    }

    public function rehashPasswordIfRequired(Authenticatable $user, #[\SensitiveParameter] array $credentials, bool $force = false)
    {
    }
}
