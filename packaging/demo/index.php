<?php
/*
 * The page that packaging/quickstart serves: which process and thread ran it, what opcache does, how many requests
 * each context has served, and a form and an upload to see that request bodies arrive.
 *
 * Counts live in files, one per context, in the directory that the pool's environment names (DEMO_STATE).
 */

function h(string|int|null $text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

/** Counts this request for the thread that runs it; returns context => requests. */
function count_request(string $directory, string $context): array
{
    $file = @fopen("$directory/" . str_replace('/', '-', $context), 'c+');
    if ($file) {
        flock($file, LOCK_EX);
        $count = (int) stream_get_contents($file) + 1;
        rewind($file);
        fwrite($file, (string) $count);
        fclose($file);
    }
    $counts = [];
    foreach (glob("$directory/*") ?: [] as $path) {
        $counts[str_replace('-', ' / ', basename($path))] = (int) file_get_contents($path);
    }
    arsort($counts);
    return $counts;
}

function opcache_state(): string
{
    if (!function_exists('opcache_get_status') || !($status = opcache_get_status(false))) {
        return 'off';
    }
    $statistics = $status['opcache_statistics'];
    return sprintf('on: %d scripts, %d hits, %d misses, %.1f MiB used', $statistics['num_cached_scripts'],
        $statistics['hits'], $statistics['misses'], $status['memory_usage']['used_memory'] / 1048576);
}

function upload_report(array $upload): string
{
    if ($upload['error'] === UPLOAD_ERR_NO_FILE) {
        return 'no file was chosen';
    }
    if ($upload['error'] !== UPLOAD_ERR_OK || !is_uploaded_file($upload['tmp_name'])) {
        return 'the upload failed, error ' . $upload['error'];
    }
    return sprintf('%s: %s bytes, sha256 %s', $upload['name'], number_format($upload['size']),
        hash_file('sha256', $upload['tmp_name']));
}

// Linux says /proc/thread-self -> PID/task/TID, in php-fpm PID and TID are the same.
$thread = @readlink('/proc/thread-self') ?: getmypid() . '/task/' . getmypid();
[$process, , $thread] = explode('/', $thread);
$counts = count_request(getenv('DEMO_STATE') ?: sys_get_temp_dir(), "$process/$thread");

$facts = [
    'PHP' => PHP_VERSION . (PHP_ZTS ? ', thread-safe' : ', not thread-safe'),
    'SAPI' => PHP_SAPI,
    'Process' => $process,
    'Thread' => $thread,
    'Opcache' => opcache_state(),
    'Requests served by this context' => $counts["$process / $thread"] ?? 'unknown',
    'Requests served by all' => array_sum($counts),
    'Web server' => $_SERVER['SERVER_SOFTWARE'] ?? '',
    'This request' => $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI'],
];
?>
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>php-ftm serves this page</title>
<style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
    h1 { font-size: 1.6rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
    table { border-collapse: collapse; width: 100% }
    th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ddd; font-weight: normal }
    th { color: #666 } output { display: block; background: #eef6ee; padding: .5rem .8rem; overflow-wrap: anywhere }
    input, button { font: inherit; padding: .2rem .5rem }
</style>
<h1>php-ftm serves this page</h1>
<table>
<?php foreach ($facts as $name => $value): ?>
    <tr><th><?= h($name) ?></th><td><?= h($value) ?></td></tr>
<?php endforeach ?>
</table>

<h2>Post a text</h2>
<form method="post">
    <input name="text" value="<?= h($_POST['text'] ?? '') ?>" placeholder="anything" aria-label="Text">
    <button>Send</button>
</form>
<?php if (isset($_POST['text'])): ?>
<output>posted: <?= h($_POST['text']) ?></output>
<?php endif ?>

<h2>Upload a file</h2>
<form method="post" enctype="multipart/form-data">
    <input type="file" name="file" aria-label="File">
    <button>Upload</button>
</form>
<?php if (isset($_FILES['file'])): ?>
<output>uploaded: <?= h(upload_report($_FILES['file'])) ?></output>
<?php endif ?>

<h2>Contexts seen</h2>
<table>
    <tr><th>Process / thread</th><th>Requests</th></tr>
<?php foreach ($counts as $context => $count): ?>
    <tr><td><?= h($context) ?></td><td><?= h($count) ?></td></tr>
<?php endforeach ?>
</table>
</html>
