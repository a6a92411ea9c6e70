<?php
/* A script from before the framework; it leaves behind what only a worker could see. */
$_SERVER['legacy'] = define('LEGACY', 1);
printf("legacy, worker: %s, framework: %s, constant: %d\n", var_export(isset($_SERVER['FRANKENPHP_WORKER']), true), var_export(class_exists('Illuminate\Foundation\Application', false), true), LEGACY);
