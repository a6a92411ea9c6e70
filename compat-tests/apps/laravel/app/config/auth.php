<?php

return [
    'defaults' => ['guard' => 'web', 'passwords' => 'users'],
    'guards' => ['web' => ['driver' => 'session', 'provider' => 'everyone']],
    'providers' => ['everyone' => ['driver' => 'everyone']],
    'passwords' => [],
];
