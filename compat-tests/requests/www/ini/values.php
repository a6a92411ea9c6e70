<?php
foreach (['memory_limit', 'user_agent', 'precision', 'upload_max_filesize', 'auto_prepend_file', 'arg_separator.output', 'session.name', 'docref_root', 'post_max_size', 'display_errors'] as $k) echo "$k = ", json_encode(ini_get($k)), "\n";
echo 'post ', count($_POST), "\n";
