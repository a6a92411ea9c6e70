<?php
// Everything a script can learn about its request, one value per line, in order.
function line($value) {
    if (is_array($value)) return 'array ' . json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES);
    if (is_string($value)) return '"' . addcslashes($value, "\0..\37\"\\\177..\377") . '"';
    return gettype($value) . ' ' . var_export($value, true);
}
function section($title, $values) {
    echo "== $title (", is_array($values) ? count($values) : line($values), ")\n";
    if (is_array($values)) foreach ($values as $key => $value) echo addcslashes((string) $key, "\0..\37\177..\377"), ' = ', line($value), "\n";
}
function dump() {
    section('$_SERVER', $_SERVER);
    section('$_ENV', $_ENV);
    section('getenv()', getenv());
    foreach (['PATH', 'USER', 'HOME', 'FTM_ROW', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'HTTP_PROXY', 'HTTP', 'H', 'HTTP_P', 'HTTP_HOST', 'PATH_INFO', 'REQUEST_TIME', 'EMPTY_ONE', 'DOUBLE'] as $name)
        echo "getenv($name) = ", line(getenv($name)), ' local ', line(getenv($name, true)), "\n";
    section('$_GET', $_GET);
    section('$_POST', $_POST);
    section('$_COOKIE', $_COOKIE);
    section('$_REQUEST', $_REQUEST);
    section('$_FILES', $_FILES);
    section('apache_request_headers', apache_request_headers());
    section('getallheaders', getallheaders());
    section('argv', $GLOBALS['argv'] ?? null);
    section('argc', $GLOBALS['argc'] ?? null);
    $body = file_get_contents('php://input');
    echo '== php://input ', strlen($body), ' ', sha1($body), ' ', line(substr($body, 0, 200)), "\n";
    echo '== cwd ', getcwd(), "\n== included ", implode(' ', get_included_files()), "\n";
    echo '== connection ', connection_status(), ' ', connection_aborted(), "\n";
    echo '== user ', get_current_user(), ' uid ', getmyuid(), "\n";
}
header('Content-Type: text/plain');
dump();
